"""The thousand most frequent SQL texts of sql_patterns, cut where several are equally frequent."""

from __future__ import annotations

from tests.dbt_project import DbtProject
from tests.reports.contract import differences
from tests.reports.scenes import AS_OF, execute, value

# 500 texts that were asked twice and 700 that were asked once: the limit cuts through the second group.
ROWS = """
with person as (insert into auth.users default values returning id)

insert into public.chat_telemetry_log (user_id, user_question, generated_sql, created_at)
select person.id, 'How many?', 'select ' || number, '2026-11-22 12:00:00+00'
from person
cross join generate_series(1, 1200) as number
cross join lateral generate_series(1, case when number <= 500 then 2 else 1 end)
"""


def test_of_equally_frequent_texts_the_smallest_fingerprints_are_kept(project: DbtProject) -> None:
    execute(project, ROWS)
    project.run("run", report_as_of=AS_OF)
    with project.database.connect() as connection:
        assert differences(connection, "sql_patterns", AS_OF) == []
    assert value(project, "select count(*) from chat_reports.sql_patterns") == 1000
