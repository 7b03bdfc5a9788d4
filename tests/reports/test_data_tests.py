"""Each data test finds a bad row, because users learn from `dbt test` that a report is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import SERVERS
from tests.dbt_project import NO_UNIT_TESTS, DbtProject, results

# Most of the time goes into dbt, so one server is enough.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

COMMENTS = "every_report_column_has_a_comment"
REPORTS = "select relname from pg_class where relnamespace = 'chat_reports'::regnamespace and relkind = 'm'"
# The tables of dbt models and seeds that have data tests.
TABLES = """
select oid::regclass::text from pg_class
where
    relnamespace in ('chat_prices'::regnamespace, 'chat_rollups'::regnamespace)
    and relkind = 'r'
    and relname not in ('alerts', 'drained_changes', 'labels', 'own_prices', 'progress', 'report_state')
"""
COLUMNS = """
select attname, atttypid::regtype::text, attnotnull from pg_attribute where attrelid = %s::regclass and attnum > 0
"""
# Good rows, and rows that violate one data test each.
OUTCOMES = """
insert into chat_reports.errors values
-- Right: halves, thirds and both ends of the range.
('2026-11-01', 'none', 'none', 1, 2, 0.5), ('2026-11-01', 'unexpected', 'unknown', 1, 2, 0.5),
('2026-11-02', 'none', 'none', 1, 3, 1 / 3.0), ('2026-11-02', 'unexpected', 'unknown', 1, 3, 1 / 3.0),
('2026-11-02', 'unexpected', 'response', 1, 3, 1 / 3.0),
('2026-11-03', 'none', 'none', 1, 2, 0), ('2026-11-03', 'unexpected', 'unknown', 1, 2, 1),
-- A day whose requests do not add up, and one whose shares do not.
('2026-11-04', 'none', 'none', 1, 2, 1),
('2026-11-05', 'none', 'none', 1, 1, 0.5),
-- A row that stands there twice.
('2026-11-06', 'none', 'none', 1, 2, 0.5), ('2026-11-06', 'none', 'none', 1, 2, 0.5),
-- Shares below and above the range, and one that is not known.
('2026-11-07', 'none', 'none', 1, 2, -0.1), ('2026-11-07', 'unexpected', 'unknown', 1, 2, 1.1),
('2026-11-08', 'none', 'none', 1, 1, null),
-- A count below its range.
('2026-11-09', 'none', 'none', 0, 0, 1)
"""
COSTS = """
insert into chat_reports.token_cost (call_count, cost_usd, cache_savings_usd, unpriced_call_count, price_match) values
-- Right.
(2, 1, 0, 0, 'exact'), (2, null, null, 2, 'unpriced'),
-- No cost in spite of a price, and a cost without one; the same for what the cache saved and for the calls.
(2, null, 0, 0, 'exact'), (2, 0, null, 2, 'unpriced'),
(2, 1, null, 0, 'exact'), (2, null, 0, 2, 'unpriced'),
(2, 1, 0, 1, 'exact'), (2, null, null, 1, 'unpriced')
"""


def outcomes(project: DbtProject, *selection: str) -> dict[str, int]:
    """The number of bad rows that each data test found."""
    selected = ["--select", *selection] if selection else []
    outcome = project.invoke("test", *selected, *NO_UNIT_TESTS, reconcile_all=True)
    assert outcome.result, outcome.exception
    assert {result.status for result in results(outcome)} <= {"pass", "fail", "warn"}
    return {result.node.name: result.failures for result in results(outcome)}


def take_any_row(project: DbtProject) -> list[str]:
    """Replace the reports by tables, and drop all constraints of these and of the rollups; returns their names."""
    with project.database.connect() as connection:
        reports = [name for (name,) in connection.execute(REPORTS)]
        for report in reports:
            connection.execute(f"create table chat_rollups.copy_of_{report} as table chat_reports.{report}")
            connection.execute(f"drop materialized view chat_reports.{report}")
            connection.execute(f"alter table chat_rollups.copy_of_{report} set schema chat_reports")
            connection.execute(f"alter table chat_reports.copy_of_{report} rename to {report}")
            connection.execute(f"grant select on chat_reports.{report} to telemetry_transformer")
        tables = [name for (name,) in connection.execute(TABLES)]
        for table in tables:
            connection.execute(f"alter table {table} drop constraint if exists {table.split('.')[1]}_pkey")
            for column, _, is_required in connection.execute(COLUMNS, [table]).fetchall():
                if is_required:
                    connection.execute(f"alter table {table} alter column {column} drop not null")
    return [f"chat_reports.{report}" for report in reports] + tables


def bad_rows(relation: str, columns: list[tuple[str, str, bool]]) -> Iterator[str]:
    """Rows that violate every data test: nulls, numbers below all bounds, ascending and descending numbers."""
    constants = {
        "boolean": "false",
        "uuid": f"'{'0' * 32}'",
        "date": "'1999-12-31'",
        "text": f"'made up for {relation}'",
    }
    yield ", ".join(["null"] * len(columns))
    yield ", ".join(["null"] * len(columns))
    for numbers in ([-5] * len(columns), range(10, 1000), range(1000, 10, -1)):
        yield ", ".join(
            constants.get(kind, str(number)) for (_, kind, _), number in zip(columns, numbers, strict=False)
        )


def test_every_data_test_passes_on_a_random_log(ours: DbtProject) -> None:
    # The log has names that are not among the accepted values.
    warnings = {"accepted_values_errors_error_type", "accepted_values_errors_failed_step"}
    assert {test.split("__")[0] for test, count in outcomes(ours).items() if count} <= warnings


def test_every_data_test_can_fail(ours: DbtProject) -> None:
    relations = take_any_row(ours)
    with ours.database.connect() as connection:
        for relation in relations:
            for row in bad_rows(relation, connection.execute(COLUMNS, [relation]).fetchall()):
                connection.execute(f"insert into {relation} values ({row})")
    found = outcomes(ours)
    assert len(found) > 150
    assert {test for test, count in found.items() if count == 0} == {COMMENTS}


def test_data_tests_of_bounds_grains_and_sums_fail_only_with_bad_rows(ours: DbtProject) -> None:
    take_any_row(ours)
    with ours.database.connect() as connection:
        for report, rows in (("errors", OUTCOMES), ("token_cost", COSTS)):
            connection.execute(f"delete from chat_reports.{report}")
            connection.execute(rows)
    found = outcomes(ours, "errors", "unpriced_means_no_cost")
    assert {test: count for test, count in found.items() if count} == {
        "errors_add_up_to_their_day": 2,
        "unique_grain_errors_day__error_type__failed_step": 1,
        "in_range_errors_0__1__share_of_requests": 2,
        "not_null_errors_share_of_requests": 1,
        "in_range_errors_1__request_count": 1,
        "unpriced_means_no_cost": 6,
    }


def test_a_report_without_comments_is_found_in_the_catalog(ours: DbtProject) -> None:
    with ours.database.connect() as connection:
        connection.execute("comment on column chat_reports.errors.day is null")
        assert outcomes(ours, COMMENTS) == {COMMENTS: 1}
        connection.execute("comment on materialized view chat_reports.off_topic is ''")
        assert outcomes(ours, COMMENTS) == {COMMENTS: 5}
        connection.execute("create materialized view chat_reports.eighth_report as select 1 as number")
        assert outcomes(ours, COMMENTS) == {COMMENTS: 6}
        connection.execute("comment on materialized view chat_reports.eighth_report is 'One row.'")
        assert outcomes(ours, COMMENTS) == {COMMENTS: 6}
        connection.execute("comment on column chat_reports.eighth_report.number is 'Never sum it.'")
        assert outcomes(ours, COMMENTS) == {COMMENTS: 5}
