"""Measures how the time of a shape grows with the length of its text, and the cost of the fingerprint.

Run `make bench-shapes`. Twice the text should take at most 2.5 times as long, also where nothing is ever closed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from functools import partial
from itertools import pairwise
from pathlib import Path

import psycopg

from benchmarks.fingerprint import fingerprint_table
from benchmarks.tables import table
from benchmarks.turns import fastest_in_turns
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from chat_telemetry._cli.migrations import apply_migrations

TARGET = 2.5
QUERY = "select a.id, sum(b.price * 1.19) from a join b on a.id = b.id where a.x in (1, 2) and b.day > '2026-01-01' "
# What a text begins with, and what follows until it is long enough.
TEXTS = {
    "ordinary SQL": ("", QUERY),
    "long IN list": ("select x from t where x in (1", ", 12345"),
    "long IN list of strings": ("select x from t where x in ('a'", ", 'it''s'"),
    "many rows of values": ("insert into t values (1, 'a')", ", (-2, 'b')"),
    "nested arrays": ("select ", "[[1, 2], [3]], "),
    "brackets never closed": ("select ", "["),
    "parentheses never closed": ("select ", "in ("),
    "comment never closed": ("select ", "/* x "),
    "comments in comments": ("select ", "/* x /* y */ "),
    "many comments": ("select ", "/* x */ -- y\n"),
    "string never closed": ("select '", "it is a long "),
    "quotes": ("select ", "'"),
    "quotes and backslashes": ("select e'", "\\'"),
    "strings that go on": ("select 'a'", "\n'a'"),
    "strings and gaps": ("select ", "'a' \t"),
    "quoted names never closed": ("select ", '"a""'),
    "dollar signs": ("select ", "$"),
    "dollar quotes never closed": ("select ", "$a$ $b$ $"),
    "dollar quotes": ("select ", "$a$ $ $$ $a$ "),
    "parameters": ("select ", "$1"),
    "digits": ("select ", "1"),
    "numbers with dots": ("select ", "1..2"),
    "numbers with letters": ("select ", "1e+0x_"),
    "one name": ("select ", "ab_"),
    "operators": ("select ", "+-<"),
    "signs": ("select ", "- 1 + "),
    "semicolons": ("", "; "),
    "line ends": ("select ", "\n"),
    "spaces": ("select ", " "),
    "dots": ("select ", "a."),
    "colons": ("select ", ":"),
    "emoji": ("select ", "🦆 '🦆'"),
}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--characters", type=int, default=100_000, help="of the longest text; the function reads 100,000"
    )
    parser.add_argument("--repetitions", type=int, default=7, help="runs of each text; the fastest one counts")
    return parser.parse_args()


def text_of(begin: str, more: str, characters: int) -> str:
    return (begin + more * (characters // len(more) + 1))[:characters]


def milliseconds(connection: psycopg.Connection, texts: list[str], repetitions: int) -> list[float]:
    """Of each text the fastest run. The texts take turns."""
    shape = "select length(public.chat_telemetry_sql_shape(%s))"
    runs = [partial(connection.execute, shape, [text]) for text in texts]
    return [1000 * seconds for seconds in fastest_in_turns(runs, repetitions)]


def result_table(measured: dict[str, list[float]], sizes: list[int]) -> str:
    header = ["text", *(f"{size:,} (ms)" for size in sizes), f"twice the text [{TARGET}]"]
    rows = []
    for name, times in measured.items():
        ratios = [longer / shorter for shorter, longer in pairwise(times)]
        figures = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        rows.append([name, *(f"{value:.1f}" for value in times), figures + (" missed" if max(ratios) > TARGET else "")])
    return table("Time of a shape by the length of its text", header, rows)


def main() -> None:
    options = read_options()
    sizes = [options.characters // 4, options.characters // 2, options.characters]
    directory = Path(tempfile.mkdtemp(prefix="bench-shapes-"))
    server = EmbeddedPostgres(directory, version=18)
    server.start()
    try:
        apply_migrations(server.conninfo())
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            measured = {
                name: milliseconds(connection, [text_of(*parts, size) for size in sizes], options.repetitions)
                for name, parts in TEXTS.items()
            }
            fingerprints = fingerprint_table(connection, options.repetitions)
    finally:
        server.stop("immediate")
        shutil.rmtree(directory)
    print(result_table(measured, sizes))
    print(fingerprints)


if __name__ == "__main__":
    main()
