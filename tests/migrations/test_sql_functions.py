"""The fingerprint trigger."""

from __future__ import annotations

import hashlib

from tests.conftest import Database


def fingerprint(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_the_fingerprint_folds_case_and_white_space_and_ignores_the_value_of_the_client(database: Database) -> None:
    (user,) = database.add_users()
    statement = (
        "insert into chat_telemetry_log (user_id, user_question, generated_sql, sql_fingerprint)"
        " values (%s, '', %s, 'of the client') returning sql_fingerprint"
    )
    with database.connect() as connection:
        for query in ("SELECT 1  FROM t", "select 1\n\tfrom\r\nt", "Select 1 from T"):
            assert connection.execute(statement, [user, query]).fetchone() == (fingerprint("select 1 from t"),)
        assert connection.execute(statement, [user, " select 2"]).fetchone() == (fingerprint(" select 2"),)
        assert connection.execute(statement, [user, None]).fetchone() == (None,)


def test_each_kind_of_white_space_is_folded_and_no_letter_is(database: Database) -> None:
    (user,) = database.add_users()
    statement = (
        "insert into chat_telemetry_log (user_id, user_question, generated_sql) values (%s, '', %s)"
        " returning sql_fingerprint"
    )
    letters = "select abcdefghijklmnopqrstuvwxyz"
    with database.connect() as connection:
        for white_space in " \t\n\r\f\v":
            for query in (letters.replace(" ", white_space), letters.replace(" ", white_space * 2)):
                assert connection.execute(statement, [user, query]).fetchone() == (fingerprint(letters),)


def test_an_update_computes_the_fingerprint_again(database: Database) -> None:
    (user,) = database.add_users()
    with database.connect() as connection:
        connection.execute(
            "insert into chat_telemetry_log (user_id, user_question, generated_sql) values (%s, '', 'select 1')", [user]
        )
        for change, expected in [
            ("generated_sql = 'select 2'", fingerprint("select 2")),
            ("sql_fingerprint = 'forged'", fingerprint("select 2")),
            ("generated_sql = null", None),
        ]:
            rows = connection.execute(f"update chat_telemetry_log set {change} returning sql_fingerprint")
            assert rows.fetchone() == (expected,)
