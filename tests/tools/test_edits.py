"""`make test-mutants`: what is changed in a Python and in a SQL file, one thing at a time, and what is left alone."""

from __future__ import annotations

import ast

import pytest

from tools.mutants.mutant import applied
from tools.mutants.python_edits import python_edits
from tools.mutants.sources import PYTHON, SQL, all_mutants, matching, project_files
from tools.mutants.sql_edits import sql_edits
from tools.mutants.workplace import ROOT

PATHS = project_files()


def python(text: str) -> set[str]:
    """The text after each edit."""
    return {applied(text, edit) for edit in python_edits(text)}


def sql(text: str) -> set[str]:
    return {applied(text, edit) for edit in sql_edits(text)}


@pytest.mark.parametrize(
    ("text", "mutants"),
    [
        ("x = a < b", {"x = a <= b"}),
        ("x = a <= b >= c", {"x = a < b >= c", "x = a <= b > c"}),
        ("x = a is not b", {"x = a is b"}),
        ("x = a not in b", {"x = a in b"}),
        (
            "x = a == (  # and so on\n    b and c)",
            {"x = a != (  # and so on\n    b and c)", "x = a == (  # and so on\n    b or c)"},
        ),
        ("x = not (a or b)", {"x = (a or b)", "x = not (a and b)"}),
        ("x = 0.5", {"x = 1.5"}),
        ("x = 30_000", {"x = 60000"}),
        ("x = 'é' if a + b else c", {"x = 'é' if a - b else c", "x = 'é' if not (a + b) else c"}),
        ("x = a + 'b'", set()),
        ("x -= y", {"x += y"}),
        ("x = min(a, b)", {"x = max(a, b)"}),
        ("f()", {"pass"}),
        ("a.b = c", {"pass"}),
        ("a[b], c = d", {"pass"}),
        ("raise f()", {"pass"}),
        ("if a:\n    b = c", {"if not (a):\n    b = c"}),
        ("if a is b:\n    c = d", {"if a is not b:\n    c = d"}),
        ("def f():\n    return a", {"def f():\n    return None"}),
        ("def f():\n    return False", {"def f():\n    return True"}),
        (
            "try:\n    a = b\nexcept (C, D.E):\n    a = c",
            {
                "try:\n    a = b\nexcept (ZeroDivisionError, D.E):\n    a = c",
                "try:\n    a = b\nexcept (C, ZeroDivisionError):\n    a = c",
            },
        ),
        ("with suppress(A):\n    b = c", {"with suppress(ZeroDivisionError):\n    b = c"}),
    ],
)
def test_one_thing_changes_in_python(text: str, mutants: set[str]) -> None:
    assert python(text) == mutants


@pytest.mark.parametrize(
    "text",
    [
        '"""A docstring, 1 < 2."""',
        "x = 'a < b'  # 1 < 2",
        "x = f'{1 + len(a)} lines'",
        "def f(a: Literal[1]) -> Literal[2]: ...",
        "@cache(size=1)\ndef f(): ...",
        "logger.debug('%d lines', 1)",
        "x = zip(a, b, strict=True)",
        "class A:\n    def __init__(self):\n        self.a = b",
        "def f():\n    yield a",
    ],
)
def test_texts_annotations_and_what_fails_at_once_are_left_alone_in_python(text: str) -> None:
    assert python(text) == set()


@pytest.mark.parametrize(
    ("text", "mutants"),
    [
        ("select a < b", {"select a <= b"}),
        ("select a = b", {"select a <> b"}),
        ("select a is distinct from b", {"select a <> b"}),
        ("select a is not distinct from b", {"select a = b"}),
        ("select a is null", {"select a is not null"}),
        ("select a or not b", {"select a and not b", "select a or b"}),
        ("select a between b and c", set()),
        ("select 1e6 - a", {"select 2000000.0 - a", "select 1e6 + a"}),
        ("limit 99", {"limit 100"}),
        ("select max(a), max", {"select min(a), max"}),
        ("select least(a, b)", {"select greatest(a, b)"}),
        (
            "from a inner join b on a.c = b.c",
            {"from a left join b on a.c = b.c", "from a inner join b on true", "from a inner join b on a.c <> b.c"},
        ),
        ("select a union all select b", {"select a union select b"}),
        ("select a except select b", {"select a except all select b"}),
        ("order by a desc", {"order by a asc"}),
        ("select count(distinct a)", {"select count(a)"}),
        ("select coalesce(f(a, b), c)", {"select (f(a, b))"}),
        ("select a in (b)", {"select a not in (b)"}),
        ("select a not in (b)", {"select a in (b)"}),
        ("select case when a then b end", set()),
        ("create policy a on b for select using (true);", {"", "create policy a on b for select using (false);"}),
        ("grant a to b;\n\nrevoke c from d;", {"\n\nrevoke c from d;", "grant a to b;\n\n"}),
        ("create table a (b text not null);", {"create table a (b text );"}),
        (
            "create table a (b numeric(g) not null, c text not null, constraint d primary key (b), f text not null);",
            {
                "create table a (b numeric(g) not null, c text , constraint d primary key (b), f text not null);",
                "create table a (b numeric(g) not null, c text not null, constraint d primary key (b), f text );",
            },
        ),
        ("alter table a alter column b set not null;", {"alter table a alter column b set ;", ""}),
        (
            "{% if a == b and c is not none %}d{% endif %}",
            {
                "{% if a != b and c is not none %}d{% endif %}",
                "{% if a == b or c is not none %}d{% endif %}",
                "{% if a == b and c is none %}d{% endif %}",
            },
        ),
        ("{%- do a.append(b) -%}", {""}),
    ],
)
def test_one_thing_changes_in_sql(text: str, mutants: set[str]) -> None:
    assert sql(text) == mutants


def test_each_condition_is_dropped_for_itself() -> None:
    text = """
    select a from b
    where c is distinct from d and e in (f, g) {% if h %}and exists (select from i where j){% endif %}
    order by a
    """
    dropped = [edit for edit in sql_edits(text) if edit.operator == "dropped condition"]
    assert {edit.replacement for edit in dropped} == {"true"}
    assert {text[edit.start : edit.end] for edit in dropped} == {
        "c is distinct from d",
        "e in (f, g)",
        "exists (select from i where j)",
        "j",
    }


def test_statements_of_a_function_body_are_dropped_but_for_its_last_return() -> None:
    text = """
    create function a() returns text language plpgsql set search_path = '' as $$
    declare
        b constant text := 'c';
    begin
        perform d();
        if b > e then
            return f;
        end if;
        g := case when h then i else j end;
        return g;
    end
    $$;
    """
    dropped = [text[edit.start : edit.end] for edit in sql_edits(text) if edit.operator == "dropped statement"]
    assert dropped == ["perform d();", "return f;", "g := case when h then i else j end;"]


@pytest.mark.parametrize(
    "text",
    [
        "-- a < b\n/* a < b */ {# a < b #}",
        "select 'a < {{ b | join(\"', '\") }} or c'",
        "comment on table a is 'b'; comment on column a.c is 'd';",
        "set lock_timeout = '5s';",
        "create table if not exists a (b text) with (fillfactor = 80, autovacuum_vacuum_insert_threshold = -1);",
        "create or replace function a() returns b language sql set c = d as $$ select e $$;",
        "{% for a in b %}{% set c = d %}{% endfor %}",
    ],
)
def test_comments_texts_settings_and_what_makes_a_table_are_left_alone_in_sql(text: str) -> None:
    assert sql(text) == set()


def test_every_mutant_of_the_loader_is_python() -> None:
    mutants = list(all_mutants(matching(PATHS, PYTHON)))
    assert len(mutants) > 1000
    for each in mutants:
        ast.parse(applied((ROOT / each.path).read_text(), each.edit))


def test_every_file_with_sql_has_mutants_or_nothing_to_change() -> None:
    without = set(matching(PATHS, SQL)) - {each.path for each in all_mutants(matching(PATHS, SQL))}
    assert {path for path in without if (ROOT / path).read_text().count("\n") > 30} == set()
