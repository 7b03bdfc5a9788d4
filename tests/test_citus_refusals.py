"""The SQL of the project has nothing that Citus refuses, and each rule finds what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat_telemetry._cli.sql_project import project_directory
from tests.citus_refusals import refusals, texts_of

ROOT = project_directory()
FILES = sorted(
    path
    for pattern in ("models/**/*.sql", "macros/**/*.sql", "tests/dbt/**/*.sql", "migrations/**/*.sql", "loader/**/*.py")
    for path in ROOT.glob(pattern)
)
SIGNED = "select {log} 1 as sign from public.chat_telemetry_log union all select {feed} -sign from {changes}"
CHANGES = "public.chat_telemetry_changes"
WITH_KEYS = SIGNED.format(log="log_id,", feed="log_id,", changes=CHANGES)
REFUSED = {
    "subquery in values": "insert into t (a, b) values (1, (select max(created_at) from public.chat_telemetry_log))",
    "subquery in a later row": "insert into t values (1, 2), (3, (select 1))",
    "with in values": "insert into t values (coalesce((with x as (select 1) select * from x), 1))",
    "subquery in having": "select a from %s group by a having not exists (select from u where u.a = t.a) order by a",
    "recursive": "with recursive days as (select 1 union all select 2 from days) select * from days",
    "recursive in a macro": "{% macro m() %}with\n    recursive days as (select 1){% endmacro %}",
    "merge": "merge into public.chat_telemetry_log as l using new on l.log_id = new.log_id when matched then delete",
    "pg_temp in a drop": "drop view if exists pg_temp.x__new",
    "pg_temp in a quoted drop": "execute 'drop table pg_temp.' || name",
    "union without a key": SIGNED.format(log="", feed="", changes=CHANGES),
    "union with one key": SIGNED.format(log="log_id,", feed="", changes=CHANGES),
    "union in parentheses": f"select sum(sign) from ({SIGNED.format(log='', feed='log_id,', changes=CHANGES)}) as s",
    "union of sources": SIGNED.format(log="", feed="", changes="{{ source('chat', 'chat_telemetry_changes') }}"),
    "join with the union": f"select 1 from ({WITH_KEYS}) as s left join t on true",
    "subquery without columns": "select exists (select from public.chat_telemetry_changes as c) as is_there",
    "rows as values": "select to_jsonb(p), (select count(*) from public.chat_telemetry_changes) from progress as p",
    "exists beside the feed": "select 1 from public.chat_telemetry_changes where not exists (select from t)",
    "lateral values": "select v.a from {{ changes }} cross join lateral (values (a), (b)) as v (a)",
    "lateral unnest": "select v.a from public.chat_telemetry_log cross join lateral unnest(array[a, b]) as v (a)",
    "conflict without returning": "insert into public.chat_telemetry_log (a) values (1) on conflict do nothing",
    "insert of a query": "insert into public.chat_telemetry_log (a) select a from new returning true",
}
ALLOWED = {
    "values": "insert into t values (1, lower('a')), (2, 'b (c)') on conflict do nothing",
    "comment": "select 1 -- merge into t\n/* with recursive */ {# drop view pg_temp.x #}",
    "union with keys": WITH_KEYS,
    "exists with a column": "select exists (select 1 from public.chat_telemetry_changes)",
    "rows in another statement": "select to_jsonb(p) from p; select count(*) from public.chat_telemetry_log",
    "two unions": "select a from public.chat_telemetry_log union all select a from t; select b from " + CHANGES,
    "unnest in the list": "select unnest(array[a, b]) as a from {{ changes }} where a is not null",
    "insert": "insert into public.chat_telemetry_log (a) select 1 on conflict do nothing returning true",
    "having of another table": "select a from t group by a having exists (select from u where u.a = t.a)",
    "lateral on few rows": "select v.a from (select distinct a from t) as d cross join lateral (values (a)) as v (a)",
    "having": "select a from %s group by a having count(*) > 1 union all select a from u where exists (select 1)",
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_has_what_citus_refuses(path: Path) -> None:
    assert {text: found for text in texts_of(path) if (found := refusals(text))} == {}


def test_all_kinds_of_files_are_looked_at() -> None:
    folders = {path.relative_to(ROOT).parts[0] for path in FILES}
    assert folders == {"models", "macros", "tests", "migrations", "loader"}
    assert len(FILES) > 150


@pytest.mark.parametrize("name", REFUSED)
def test_what_citus_refuses_is_found_once(name: str) -> None:
    assert len(refusals(REFUSED[name])) == 1


@pytest.mark.parametrize("name", ALLOWED)
def test_what_citus_accepts_is_not_found(name: str) -> None:
    assert refusals(ALLOWED[name]) == []


def test_the_strings_of_a_python_file_are_read_as_they_are_joined(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        'A = f"merge {into} t"\nB = "drop view " "pg_temp.x"\nC = b"with recursive x as (select 1)"\nD = 1\n'
    )
    found = [refusal for text in texts_of(module) for refusal in refusals(text)]
    assert [refusal.split(":")[0] for refusal in found] == ["pg_temp in a DROP", "a recursive query"]
