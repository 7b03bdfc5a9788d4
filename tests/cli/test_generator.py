"""The chat requests of the demo: the same in each run, plausible, and with every case that the reports distinguish."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from chat_telemetry._cli.demo import generator
from chat_telemetry._cli.demo.generator import generate
from chat_telemetry._delivery.store import Store
from chat_telemetry._encoding import encode
from chat_telemetry._record import TelemetryRecord
from tests.conftest import Database

UNTIL = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def requests() -> list[TelemetryRecord]:
    return list(generate(5000, UNTIL))


def test_a_later_run_generates_the_same_requests_and_newer_ones(requests: list[TelemetryRecord]) -> None:
    assert list(generate(5000, UNTIL)) == requests
    known = {record.log_id: record for record in requests}
    later = list(generate(5000, UNTIL + timedelta(hours=3)))
    new = [record for record in later if record.log_id not in known]
    assert new
    assert all(record.created_at > UNTIL for record in new)
    assert all(known[record.log_id] == record for record in later if record.log_id in known)


def test_ids_are_unique_and_times_ascend_within_thirty_days(requests: list[TelemetryRecord]) -> None:
    assert len({record.log_id for record in requests}) == len(requests)
    moments = [record.created_at for record in requests]
    assert moments == sorted(moments)
    assert UNTIL - timedelta(days=30) < moments[0]
    assert moments[-1] <= UNTIL


@pytest.mark.parametrize("count", [1, 100, 5000, 20_000])
def test_about_as_many_requests_are_generated_as_asked_for(count: int) -> None:
    generated = sum(1 for _ in generate(count, UNTIL))
    assert abs(generated - count) <= max(31, count * 0.06)


def test_every_kind_of_failure_occurs_with_the_values_measured_before_it(requests: list[TelemetryRecord]) -> None:
    failed: dict[str, list[TelemetryRecord]] = {failure.error_type: [] for failure in generator.FAILURES}
    for record in requests:
        if record.error_type:
            failed[record.error_type].append(record)
    assert all(failed.values())
    steps = {name: {record.failed_step for record in records} for name, records in failed.items()}
    assert steps == {failure.error_type: {failure.failed_step} for failure in generator.FAILURES}
    assert not any(record.generated_sql or record.sql_input_tokens for record in failed["sql_generation"])
    assert all(record.nl_to_sql_duration_ms and record.generated_sql for record in failed["sql_validation"])
    assert not any(record.sql_execution_duration_ms for record in failed["sql_validation"])
    assert all(record.sql_execution_duration_ms and not record.response_model for record in failed["sql_execution"])
    assert all(record.ttfb_ms and not record.ai_response for record in failed["response_generation"])
    assert 0.02 < sum(map(len, failed.values())) / len(requests) < 0.08


def test_off_topic_questions_have_a_response_and_no_sql(requests: list[TelemetryRecord]) -> None:
    off_topic = [record for record in requests if record.is_off_topic]
    assert 0.04 < len(off_topic) / len(requests) < 0.08
    assert all(record.ai_response and not record.generated_sql and not record.error_type for record in off_topic)


def test_a_request_has_all_values_of_its_finished_steps_and_no_others(requests: list[TelemetryRecord]) -> None:
    for record in requests:
        assert record.user_question
        sql_call = [record.sql_input_tokens, record.sql_output_tokens, record.nl_to_sql_duration_ms]
        if record.error_type in ("unexpected", "sql_generation"):
            assert sql_call[:2] == [None, None]
        else:
            assert all(sql_call)
        response_call = [
            *(record.response_id, record.ai_response, record.follow_up_suggestions, record.response_input_tokens),
            *(record.response_output_tokens, record.response_generation_duration_ms),
        ]
        assert all(response_call) if record.error_type is None else not any(response_call)
        started = record.error_type in (None, "response_generation")
        assert (record.response_model is not None, record.ttfb_ms is not None) == (started, started)
        before = (record.nl_to_sql_duration_ms or 0) + (record.sql_execution_duration_ms or 0)
        assert record.ttfb_ms is None or record.ttfb_ms > before + 50


def test_a_query_finds_rows_and_a_count_finds_one(requests: list[TelemetryRecord]) -> None:
    found = Counter(record.result_row_count for record in requests if record.sql_execution_duration_ms)
    assert found[1] > 100
    assert len(found) > 10


def test_cached_tokens_are_part_of_the_input_tokens_of_long_prompts(requests: list[TelemetryRecord]) -> None:
    calls = [(record.sql_input_tokens or 0, record.sql_cached_tokens or 0) for record in requests]
    calls += [(record.response_input_tokens or 0, record.response_cached_tokens or 0) for record in requests]
    assert any(cached for _, cached in calls)
    for of_input, cached in calls:
        assert 0 <= cached <= of_input
        assert cached % 128 == 0
        assert of_input >= 1024 or not cached


def test_the_usual_model_changes_on_the_fifteenth(requests: list[TelemetryRecord]) -> None:
    days = {
        model.name: {
            record.created_at.date() for record in requests if record.response_model == record.sql_model == model.name
        }
        for model in (generator.GPT_4O_MINI, generator.GPT_41_MINI)
    }
    before, after = sorted(days.values(), key=min)
    assert max(before) < datetime(2026, 11, 15, tzinfo=UTC).date() <= min(after)


def test_most_requests_come_by_day_and_from_few_users(requests: list[TelemetryRecord]) -> None:
    hours = Counter(record.created_at.hour for record in requests)
    assert hours[10] > 5 * hours[3]
    weekend = sum(record.created_at.weekday() >= 5 for record in requests)
    assert weekend < len(requests) * 0.2
    users = [count for _, count in Counter(record.user_id for record in requests).most_common()]
    assert sum(users[: len(users) // 10]) > len(requests) * 0.3


def test_the_same_question_occurs_with_different_values(requests: list[TelemetryRecord]) -> None:
    statements = {record.generated_sql for record in requests if record.generated_sql}
    assert len(statements) > 200
    assert not any("{" in text for text in statements)
    assert not any("{" in record.user_question for record in requests)


def test_the_generated_requests_can_be_stored(database: Database) -> None:
    records = list(generate(200, UNTIL))
    with database.connect() as connection:
        for record in records:
            connection.execute("insert into auth.users values (%s) on conflict do nothing", [record.user_id])
    lines = [encode(record) for record in records]
    assert [msgspec.json.decode(line, type=TelemetryRecord) for line in lines] == records
    with closing(Store(database.conninfo)) as store:
        assert store.insert(lines).stored == len(records)
