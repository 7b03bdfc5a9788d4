"""Reports into which telemetry_transformer put code, and a trap that shows with whose rights the code ran."""

from __future__ import annotations

from typing import LiteralString

from tests.conftest import Database

# The code counts its calls in `calls`. `loot` belongs to the login that reads the report: code with the rights of the
# login can take a number. What is taken from a sequence stays taken after a rollback.
TRAP = """
create sequence chat_reports.calls;
create sequence public.loot;
grant usage on sequence chat_reports.calls to public;
alter sequence public.loot owner to {login};
"""
CODE: LiteralString = r"""
create function chat_reports.take() returns integer language plpgsql as $$
begin
    begin
        execute 'reset role';
    exception when others then null;
    end;
    perform pg_catalog.nextval('public.loot');
    return 1;
exception when others then
    return 0;
end
$$;
create function chat_reports.take_later() returns trigger language plpgsql as $$
begin
    perform chat_reports.take();
    return null;
end
$$;
create function chat_reports.take_with_role() returns integer language sql set role = none
as 'select chat_reports.take()';
create function chat_reports.code() returns integer language plpgsql volatile as $$
declare
    attempt text;
begin
    perform pg_catalog.nextval('chat_reports.calls');
    foreach attempt in array array[
        'reset role', 'set role none', 'set local role none', 'reset all',
        'set session authorization default', 'reset session authorization',
        'select pg_catalog.set_config(''role'', ''none'', false)',
        'select pg_catalog.set_config(''session_authorization'', ''default'', true)',
        'select chat_reports.take_with_role()',
        'do ''begin execute ''''reset role''''; perform chat_reports.take(); end''',
        'declare held cursor with hold for select chat_reports.take()',
        'create temporary table now_or_later (n integer)',
        'create constraint trigger later after insert on now_or_later deferrable initially deferred
            for each row execute function chat_reports.take_later()',
        'insert into now_or_later values (1)',
        'create function pg_temp.read_report(unknown) returns integer language sql as ''select chat_reports.take()''',
        'set search_path = chat_reports, public'
    ] loop
        begin
            execute attempt;
            perform chat_reports.take();
        exception when others then null;
        end;
    end loop;
    return 1;
end
$$;
create function chat_reports.constant_code(n integer) returns integer language plpgsql immutable as $$
begin
    return n + chat_reports.code();
end
$$;
create type chat_reports.mood as enum ('last_7_days');
create function chat_reports.as_json(chat_reports.mood) returns json language plpgsql as $$
begin
    return pg_catalog.to_json(chat_reports.code());
end
$$;
create function chat_reports.as_text(chat_reports.mood) returns text language plpgsql as $$
begin
    return chat_reports.code()::text;
end
$$;
create cast (chat_reports.mood as json) with function chat_reports.as_json;
create cast (chat_reports.mood as text) with function chat_reports.as_text;
"""
# Each of them is a whole report for the name of the first word.
REPORTS: dict[str, LiteralString] = {
    "a function in a view": "off_topic view as select 1 as day, chat_reports.code() as request_count",
    "a function that the planner evaluates": (
        "off_topic view as select day from generate_series(1, 3) as day where day <> chat_reports.constant_code(5)"
    ),
    "an index that the planner evaluates": "off_topic materialized view as select 1 as day",
    "a cast to json": "off_topic materialized view as select 1 as day, 'last_7_days'::chat_reports.mood as mood",
    "a cast to text": (
        "latency materialized view as select 'last_7_days'::chat_reports.mood as period, 1 as period_start,"
        " 'ttfb'::text as step, 1 as request_count, 1 as p50_ms, 1 as p95_ms, 1 as p99_ms"
    ),
    "a row policy": "off_topic table as select 1 as day",
    "a report of a user": "of_mine materialized view as select 1 as day, 'last_7_days'::chat_reports.mood as mood",
}
AND_THEN: dict[str, LiteralString] = {
    "an index that the planner evaluates": (
        "create index on chat_reports.off_topic ((day + chat_reports.constant_code(5)))"
    ),
    "a row policy": (
        "alter table chat_reports.off_topic enable row level security;"
        " create policy code on chat_reports.off_topic using (chat_reports.code() = 1)"
    ),
}


def put_code(database: Database, kind: str, login: str) -> str:
    """As telemetry_transformer, replace a report by code of this kind, to attack this login. Returns its name."""
    with database.connect() as connection:
        connection.execute(TRAP.format(login=login))
    name, _, definition = REPORTS[kind].partition(" ")
    relation, _, query = definition.partition(" as ")
    with database.as_role("telemetry_transformer") as connection:
        connection.execute(CODE)
        connection.execute(f"create {relation} chat_reports.{name} as {query}")
        connection.execute(AND_THEN.get(kind, ""))
        connection.execute(f"grant select on chat_reports.{name} to telemetry_reader")
    with database.connect() as connection:
        connection.execute("select setval('chat_reports.calls', 1, false)")
    return name


def calls_and_loot(database: Database) -> tuple[int, int]:
    """How often the code ran, and how often it had the rights of the login."""
    with database.connect() as connection:
        query = "select coalesce(pg_sequence_last_value(%s), 0)"
        found = [connection.execute(query, [name]).fetchone() for name in ("chat_reports.calls", "public.loot")]
    (calls,), (loot,) = (row or (0,) for row in found)
    return calls, loot
