from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat_telemetry._delivery.store import InsertResult, Store, _reason
from chat_telemetry._encoding import encode
from chat_telemetry._errors import DatabaseNotReady, DatabaseUnavailable
from chat_telemetry._record import COLUMNS
from tests.loader.conftest import WRITER, Log
from tests.loader.delivery.conftest import lines, raw

unusual_texts = [
    "\0", "\0\0", "\\\0", "\\\\\0u0000", "a\\u0000", "\\\\u0000", "\ud800", "\udc00\ud800", "'; --", "],[",
]  # fmt: skip


any_text = st.text(st.characters(codec=None)) | st.sampled_from(unusual_texts)


any_integer = st.none() | st.integers(0, 2**31 - 1)


ADVICE = ": your application has to insert the user into auth.users first"


any_columns: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {"user_question": any_text, "is_off_topic": st.booleans()},
    optional={
        "ai_response": st.none() | any_text,
        "generated_sql": st.none() | any_text,
        "follow_up_suggestions": st.none() | st.lists(any_text, max_size=4),
        "error_type": st.none() | any_text,
        "sql_model": st.none() | any_text,
        "result_row_count": any_integer,
        "ttfb_ms": any_integer,
        "response_cached_tokens": any_integer,
        "created_at": st.datetimes(
            min_value=datetime(2000, 1, 2), max_value=datetime(2026, 1, 1), timezones=st.sampled_from([None, UTC])
        ),
    },
)


def _without_nul(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(any_columns, min_size=1, max_size=20))
def test_all_values_of_a_record_are_stored_unchanged(log: Log, store: Store, batch: list[dict[str, Any]]) -> None:
    records = [log.record(**columns) for columns in batch]
    assert store.insert(lines(*records)) == InsertResult(stored=len(records), duplicates=0)
    with log.database.connect() as connection:
        connection.execute("set time zone 'UTC'")
        rows = connection.execute(
            f"select {', '.join(COLUMNS)} from public.chat_telemetry_log where log_id = any(%s)",
            [[record.log_id for record in records]],
        ).fetchall()
    stored = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows}
    for record in records:
        sent = dict(zip(COLUMNS, _without_nul(json.loads(encode(record))), strict=True))
        found = stored[record.log_id]
        assert found.pop("created_at") == datetime.fromisoformat(sent.pop("created_at"))
        assert {column: str(value) if isinstance(value, UUID) else value for column, value in found.items()} == sent


def test_a_batch_sent_twice_is_stored_once(log: Log, store: Store) -> None:
    first, second = log.record(), log.record()
    assert store.insert(lines(first)) == InsertResult(stored=1, duplicates=0)
    assert store.insert(lines(first, second, second)) == InsertResult(stored=1, duplicates=2)
    assert sorted(log.stored_ids()) == sorted([first.log_id, second.log_id])


def test_floats_are_rounded_and_numbers_as_text_are_parsed(log: Log, store: Store) -> None:
    record = log.record(ttfb_ms=12.5, nl_to_sql_duration_ms=12.4, sql_input_tokens="31", sql_output_tokens=1e3)
    assert store.insert(lines(record)).stored == 1
    assert log.query(
        "select ttfb_ms, nl_to_sql_duration_ms, sql_input_tokens, sql_output_tokens from public.chat_telemetry_log"
    ) == [(13, 12, 31, 1000)]


def test_the_database_computes_the_fingerprint(log: Log, store: Store) -> None:
    store.insert(lines(log.record(generated_sql="SELECT  1"), log.record(generated_sql="select\n1")))
    assert log.query("select count(distinct sql_fingerprint), count(*) from public.chat_telemetry_log") == [(1, 2)]


def test_invalid_rows_are_found_and_the_rest_of_their_batch_is_stored(log: Log, store: Store) -> None:
    records = [log.record() for _ in range(500)]
    records[250].user_id = uuid4()
    batch = lines(*records)
    batch[0] = raw(log.record(ttfb_ms=2**31))
    batch[499] = raw(log.record(user_id="hunter2"))
    result = store.insert(batch)
    assert (result.stored, result.duplicates) == (497, 0)
    assert [(rejection.index, rejection.reason) for rejection in result.rejected] == [
        (0, "NumericValueOutOfRange (22003)"),
        (250, f"ForeignKeyViolation (23503) of chat_telemetry_log_user_id_fkey{ADVICE}"),
        (499, "InvalidTextRepresentation (22P02)"),
    ]
    assert result.rejected[2].detail == 'invalid input syntax for type uuid: "hunter2"'
    good = {record.log_id for record in records[1:250] + records[251:499]}
    assert {*log.stored_ids()} == good


@pytest.mark.parametrize("line", [b'["018f5c1e', b"5", b"[]", b"{}", b"null", b"]["])
def test_a_line_that_is_not_a_record_does_not_stop_the_other_lines(log: Log, store: Store, line: bytes) -> None:
    result = store.insert([*lines(log.record()), line, *lines(log.record())])
    assert result.stored == 2
    assert [rejection.index for rejection in result.rejected] == [1]


def test_the_reason_names_a_required_column_that_is_missing(log: Log, store: Store) -> None:
    (rejection,) = store.insert([raw(log.record(user_question=None))]).rejected
    assert rejection.reason == "NotNullViolation (23502) of user_question"


@pytest.mark.parametrize(
    ("error_code", "text", "named"),
    [
        (
            "23503",
            'insert or update on table "chat_telemetry_log_102012" violates foreign key constraint "user_fkey_102012"',
            "ForeignKeyViolation (23503) of user_fkey: your application has to insert the user into auth.users first",
        ),
        (
            "23502",
            'null value in column "user_question" of relation "chat_telemetry_log_102012" violates not-null constraint',
            "NotNullViolation (23502) of user_question",
        ),
        ("22P02", 'invalid input syntax for type uuid: "my secret"', "InvalidTextRepresentation (22P02)"),
        ("23514", 'the question "my secret" is forbidden', "CheckViolation (23514)"),
    ],
)
def test_the_reason_has_the_name_that_only_the_text_of_citus_has(
    log: Log, error_code: str, text: str, named: str
) -> None:
    with pytest.raises(psycopg.Error) as raised:
        log.execute(f"do $$ begin raise exception using errcode = '{error_code}', message = '{text}'; end $$")
    assert _reason(raised.value) == named


def test_a_value_that_is_too_long_for_its_index_rejects_its_row(log: Log, store: Store) -> None:
    incompressible = "".join(uuid4().hex for _ in range(500))
    result = store.insert(lines(log.record(error_type=incompressible), log.record()))
    assert result.stored == 1
    assert [rejection.reason for rejection in result.rejected] == ["ProgramLimitExceeded (54000)"]


def conversations(log: Log) -> set[tuple[UUID, UUID | None]]:
    rows = log.query("select log_id, conversation_id from public.chat_telemetry_log")
    return {(log_id, conversation_id) for log_id, conversation_id in rows}


def test_a_conversation_that_does_not_exist_is_stored_as_null(log: Log, store: Store) -> None:
    known = [log.record(conversation_id=log.conversation_id) for _ in range(20)]
    unknown = [log.record(conversation_id=uuid4()) for _ in range(20)]
    assert store.insert(lines(*known, *unknown)) == InsertResult(stored=40, duplicates=0)
    assert conversations(log) == {(record.log_id, log.conversation_id) for record in known} | {
        (record.log_id, None) for record in unknown
    }


@pytest.mark.parametrize(
    "hide",
    [
        "alter table public.chat_conversations enable row level security",
        "revoke all on table public.chat_conversations from service_role, public",
    ],
)
def test_a_conversation_that_the_role_cannot_see_is_kept(log: Log, store: Store, hide: str) -> None:
    log.execute(hide)
    known = [log.record(conversation_id=log.conversation_id) for _ in range(20)]
    unknown = log.record(conversation_id=uuid4())
    assert store.insert(lines(*known, unknown)).stored == 21
    assert conversations(log) == {(record.log_id, log.conversation_id) for record in known} | {(unknown.log_id, None)}


def test_a_missing_user_rejects_the_row_even_if_the_conversation_is_missing_too(log: Log, store: Store) -> None:
    result = store.insert(lines(log.record(user_id=uuid4(), conversation_id=uuid4()), log.record()))
    assert result.stored == 1
    assert [rejection.reason for rejection in result.rejected] == [
        f"ForeignKeyViolation (23503) of chat_telemetry_log_user_id_fkey{ADVICE}"
    ]


def test_the_error_of_a_missing_table_says_run_migrate(log: Log, store: Store) -> None:
    log.execute("drop table public.chat_telemetry_log cascade")
    with pytest.raises(DatabaseNotReady, match=r"UndefinedTable \(42P01\): run `chat-telemetry migrate`"):
        store.insert(lines(log.record()))


def test_the_error_of_a_missing_privilege_says_which_role_to_grant(log: Log, store: Store) -> None:
    log.execute("revoke insert on public.chat_telemetry_log from service_role")
    with pytest.raises(DatabaseNotReady, match=r"\(42501\), permission denied .*`grant telemetry_writer to <role>`"):
        store.insert(lines(log.record()))


def test_a_foreign_key_that_the_server_cannot_check_is_not_blamed_on_the_role(log: Log, store: Store) -> None:
    owner = f"keyless_{log.database.name}"
    log.execute(f"create role {owner}")
    try:
        log.execute(f"alter table auth.users owner to {owner}")
        with pytest.raises(DatabaseNotReady, match=r"for schema auth: the owner of auth\.users needs"):
            store.insert(lines(log.record()))
    finally:
        log.execute(f"reassign owned by {owner} to current_user")
        log.execute(f"drop role {owner}")


def test_after_a_read_only_error_the_next_insert_opens_a_new_connection(log: Log, store: Store) -> None:
    log.execute(f"alter role {WRITER} in database {log.database.name} set default_transaction_read_only = on")
    with pytest.raises(DatabaseUnavailable, match=r"ReadOnlySqlTransaction \(25006\)"):
        store.insert(lines(log.record()))
    log.execute(f"alter role {WRITER} in database {log.database.name} reset default_transaction_read_only")
    assert store.insert(lines(log.record())).stored == 1


def raise_in_first_insert(log: Log, error_code: str) -> None:
    """Create a trigger that raises an error with this SQLSTATE, in the first insert only."""
    log.execute(f"""
        create sequence attempts;
        create function fail_once() returns trigger language plpgsql security definer as $$
        begin
            if nextval('attempts') = 1 then raise exception 'raised by the test' using errcode = '{error_code}'; end if;
            return new;
        end $$;
        create trigger fail_once before insert on public.chat_telemetry_log execute function fail_once();
    """)


@pytest.mark.parametrize(
    "error_code",
    [
        pytest.param("08006", id="connection failure"),
        pytest.param("25006", id="read-only transaction"),
        pytest.param("40P01", id="deadlock"),
        pytest.param("53100", id="disk full"),
        pytest.param("53300", id="too many connections"),
        pytest.param("55P03", id="lock not available"),
        pytest.param("57014", id="query canceled"),
        pytest.param("58030", id="input/output error"),
        pytest.param("XX001", id="data corrupted"),
        pytest.param("XX002", id="index corrupted"),
    ],
)
def test_a_batch_can_be_sent_again_after_an_error_that_no_row_causes(log: Log, store: Store, error_code: str) -> None:
    raise_in_first_insert(log, error_code)
    batch = lines(log.record())
    with pytest.raises(DatabaseUnavailable, match=rf"\({error_code}\)"):
        store.insert(batch)
    assert store.insert(batch) == InsertResult(stored=1, duplicates=0)


@pytest.mark.parametrize("error_code", ["P0001", "22000", "XX000"])
def test_any_other_error_rejects_its_row(log: Log, store: Store, error_code: str) -> None:
    raise_in_first_insert(log, error_code)
    (rejection,) = store.insert(lines(log.record())).rejected
    assert f"({error_code})" in rejection.reason
    assert rejection.detail == "raised by the test"
