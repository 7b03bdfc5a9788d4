"""Compares the trigger that computes the fingerprint with one that uses a regular expression, in turns."""

from __future__ import annotations

from functools import partial

import psycopg

from benchmarks.tables import table
from benchmarks.turns import fastest_in_turns

TARGET = 0.8
ROWS = 5_000
QUERY = """SELECT c.region, date_trunc('month', o.ordered_at) AS month,
       SUM(o.amount) AS revenue, COUNT(*) AS orders
FROM orders o
JOIN customers c ON c.id = o.customer_id
WHERE o.ordered_at >= DATE '2026-01-01' AND o.status IN ('paid', 'shipped')
GROUP BY 1, 2
ORDER BY revenue DESC
LIMIT 20;"""
TEXTS = {
    "lines with indentation": QUERY,
    "one line": " ".join(QUERY.split()),
    "ten times as long": QUERY * 10,
    "letters outside of ASCII": QUERY.replace("region", "régiön"),
}
TWINS = """
create table without_trigger (generated_sql text, sql_fingerprint text);
create table with_ours (like without_trigger);
create table with_regular_expression (like without_trigger);

create function by_regular_expression() returns trigger language plpgsql set search_path = '' as $$
begin
    new.sql_fingerprint := pg_catalog.md5(pg_catalog.lower(
        pg_catalog.regexp_replace(new.generated_sql, '[[:space:]]+', ' ', 'g')
    ));
    return new;
end
$$;

create trigger fingerprint before insert on with_ours for each row execute function public.compute_sql_fingerprint();
create trigger fingerprint before insert on with_regular_expression
for each row execute function by_regular_expression();
"""
TABLES = ("without_trigger", "with_ours", "with_regular_expression")


def seconds_of_inserts(connection: psycopg.Connection, text: str, repetitions: int) -> list[float]:
    """The fastest insert of ROWS rows into each of the TABLES, which take turns."""
    insert = f"insert into {{}} select %s || number from generate_series(1, {ROWS}) as number"
    runs = [partial(connection.execute, insert.format(name), [text]) for name in TABLES]
    return fastest_in_turns(runs, repetitions, lambda: connection.execute(f"truncate {', '.join(TABLES)}"))


def fingerprint_table(connection: psycopg.Connection, repetitions: int) -> str:
    """Measures the cost of each trigger, less that of the insert, and returns a table with the ratio."""
    connection.execute(TWINS)
    rows = []
    for name, text in TEXTS.items():
        bare, *with_trigger = seconds_of_inserts(connection, text, repetitions)
        ours, peer = (1e6 * (seconds - bare) / ROWS for seconds in with_trigger)
        rows.append(
            [name, f"{ours:.1f}", f"{peer:.1f}", f"{ours / peer:.2f}" + (" missed" if ours / peer > TARGET else "")]
        )
    header = ["text", "ours (µs a row)", "a regular expression (µs a row)", f"ratio [{TARGET}]"]
    return table("Cost of the fingerprint trigger", header, rows)
