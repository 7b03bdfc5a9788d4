"""The fingerprint trigger and the shape of a query."""

from __future__ import annotations

import hashlib

import pytest

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


@pytest.mark.parametrize(
    ("query", "shape"),
    [
        ("SELECT * FROM t WHERE a = 'x' AND b > 10.5", "select * from t where a = ? and b > ?"),
        ("select 'it''s', E'it\\'s', N'x', B'01', $$a b$$, $q$c$q$", "select ?, ?, ?, ?, ?, ?"),
        ("select 1e5, .5, 3., 1.2E-3", "select ?, ?, ?, ?"),
        ("select a1, t2.c3 from t2", "select a1, t2.c3 from t2"),
        ('select "Col 1" from "T""2" limit 5', 'select "Col 1" from "T""2" limit ?'),
        (
            "select 1 where x in (1, 2,3) and y IN ('a') and z in ( -1 , 2 ) and w in (1, -2)",
            "select ? where x in (?) and y in (?) and z in (?) and w in (?)",
        ),
        ("select 1 where x in (select 2 from t)", "select ? where x in (select ? from t)"),
        ("select a -- the 1st\n  , b /* and\n 2nd */ from t;", "select a, b from t"),
        ("select $1, $2::text", "select ?, ?::text"),
        ("select 'not ended", "select ?"),
        ("select date '2026-01-01' - interval '7 days'", "select date ? - interval ?"),
        ("select 'Straße', \"größe\" from käufe", 'select ?, "größe" from käufe'),
        ("", None),
    ],
)
def test_the_shape_of_a_query_has_no_literals(database: Database, query: str, shape: str | None) -> None:
    with database.connect() as connection:
        assert connection.execute("select public.chat_telemetry_sql_shape(%s)", [query]).fetchone() == (shape,)
