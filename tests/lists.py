"""Lists that stand in several places of the project, and how they differ. Each problem begins with the place to edit.

The functions take the root of a project, so that they can look at a changed copy of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
import yaml

RECORD = "loader/chat_telemetry/_record.py"
SOURCES = "models/sources.yml"
LOG_COLUMNS = "tests/migrations/test_apply.py"
LIMITS = "docs/loader.md"
CONTRACT = "tests/reports/contract.py"
LAYOUTS = "loader/chat_telemetry/_cli/report.py"
EXPOSURES = "models/exposures.yml"
REPORTS_PAGE = "docs/reports.md"
README = "README.md"
USAGE = "loader/chat_telemetry/_observe/usage_fields.py"
USAGE_PAGE = "docs/chat-code.md"
EXPECTED = "tests/wire/expected.json"
# Runs with the code of the project that is looked at.
PYTHON_LISTS = """
import json
from pathlib import Path
from chat_telemetry._cli.report import REPORTS
from chat_telemetry._observe.usage import ModelCall
from chat_telemetry._observe.usage_fields import USAGE_FIELDS
from chat_telemetry._record import COLUMNS, LONG_TEXTS, NAMES
from tests.migrations.test_apply import COLUMNS as LOG_COLUMNS
from tests.reports.contract import COLUMNS as REPORT_COLUMNS
usage_fields = {fields.api: [*fields.input, *fields.output, *fields.cached] for fields in USAGE_FIELDS}
def is_read(path):
    call = ModelCall()
    call.read(json.loads(path.read_text(encoding="utf-8")))
    return call.tokens().input is not None
print(json.dumps({
    "record": COLUMNS,
    "texts": [*NAMES, *LONG_TEXTS],
    "log": LOG_COLUMNS,
    "layouts": [*REPORTS],
    "contract": REPORT_COLUMNS,
    "usage_fields": usage_fields,
    "read_captures": [path.stem for path in Path("tests/wire").glob("*.json") if is_read(path)],
}))
"""
ATTRIBUTES = """
select attname, col_description(attrelid, attnum) from pg_attribute
where attrelid = 'public.chat_telemetry_log'::regclass and attnum > 0 and not attisdropped order by attnum
"""
# The columns of the feed, and the definitions that have to name them.
FED_COLUMNS = """
select attname, atttypid = 'text'::regtype from pg_attribute
where attrelid = 'public.chat_telemetry_changes'::regclass and attnum > 0 and attname not in ('sign', 'log_id')
order by attnum
"""
DEFINITIONS = """
select
    pg_get_functiondef('public.chat_telemetry_feed_changes'::regproc),
    pg_get_functiondef('chat_rollups.label_names'::regproc),
    pg_get_functiondef('chat_rollups.drain'::regproc),
    pg_get_viewdef('chat_rollups.log_as_drained'::regclass),
    (
        select string_agg(attname, ' ') from pg_attribute
        where attrelid = 'chat_rollups.drained_changes'::regclass and attnum > 0 and not attisdropped
    )
"""
DEFINED_IN = (
    "chat_telemetry_feed_changes()",
    "chat_rollups.label_names()",
    "chat_rollups.drain()",
    "chat_rollups.log_as_drained",
    "chat_rollups.drained_changes",
)


def run_python(root: Path, *arguments: str, **environment: str) -> str:
    """What `python ARGUMENTS` prints with the code of this project."""
    path = os.pathsep.join([str(root / "loader"), str(root)])
    finished = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path, **environment},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def problems(root: Path, connection: psycopg.Connection) -> list[str]:
    """Every difference in the project. Its migrations are applied to the database."""
    lists = json.loads(run_python(root, "-c", PYTHON_LISTS))
    return [
        *_column_problems(root, connection, lists),
        *feed_problems(connection),
        *_report_problems(root, lists["layouts"], lists["contract"]),
        *_usage_problems(root, lists["usage_fields"], lists["read_captures"]),
    ]


def feed_problems(connection: psycopg.Connection) -> list[str]:
    """Definitions in the database that name a column of the feed less often than the others of its type.

    Without created_at, which the drain also compares with the horizon.
    """
    row = connection.execute(DEFINITIONS).fetchone()
    assert row
    found: list[str] = []
    columns = connection.execute(FED_COLUMNS).fetchall()
    for place, definition in zip(DEFINED_IN, row, strict=True):
        for has_label in (True, False):
            counts = {
                column: len(re.findall(rf"\b{column}\b", definition))
                for column, is_text in columns
                if is_text == has_label and column != "created_at"
            }
            most = max(counts.values())
            found += [f"{place}: lacks {column} ({n} of {most})" for column, n in counts.items() if n < most]
    return found


def _column_problems(root: Path, connection: psycopg.Connection, lists: dict[str, list[str]]) -> Iterator[str]:
    attributes: dict[str, str | None] = dict(connection.execute(ATTRIBUTES).fetchall())
    sources = yaml.safe_load((root / SOURCES).read_text(encoding="utf-8"))["sources"]
    tables = {table["name"]: table for source in sources for table in source["tables"]}
    described = [column["name"] for column in tables["chat_telemetry_log"]["columns"]]
    yield from _differences("migrations/", attributes, lists["log"])
    yield from _differences(LOG_COLUMNS, lists["log"], attributes)
    yield from _differences(RECORD, lists["record"], [name for name in attributes if name != "sql_fingerprint"])
    yield from _differences(SOURCES, described, attributes)
    yield from (f"migrations/: lacks a comment on {column}" for column, comment in attributes.items() if not comment)
    page = (root / LIMITS).read_text(encoding="utf-8")
    yield from (f"{LIMITS}: lacks {column}" for column in lists["texts"] if f"`{column}`" not in page)


def _report_problems(root: Path, layouts: list[str], contract: dict[str, list[str]]) -> Iterator[str]:
    folders = ("models/reports/{}.sql", "models/reports/{}.yml", "tests/reports/reference/{}.sql")
    files = {path.relative_to(root).as_posix() for folder in folders for path in root.glob(folder.format("*"))}
    names = sorted({Path(name).stem for name in files if "priced_calls" not in name} | {*layouts} | {*contract})
    texts = {place: (root / place).read_text(encoding="utf-8") for place in (EXPOSURES, REPORTS_PAGE, README)}
    for name in names:
        yield from (f"{folder.format(name)}: is missing" for folder in folders if folder.format(name) not in files)
        places = {
            CONTRACT: name in contract,
            LAYOUTS: name in layouts,
            EXPOSURES: f"- ref('{name}')\n" in texts[EXPOSURES],
            REPORTS_PAGE: f"\n## {name}\n" in texts[REPORTS_PAGE],
            README: f"(docs/reports.md#{name})" in texts[README],
        }
        yield from (f"{place}: lacks {name}" for place, has_name in places.items() if not has_name)
        if f"models/reports/{name}.yml" in files and name in contract:
            (model,) = yaml.safe_load((root / f"models/reports/{name}.yml").read_text(encoding="utf-8"))["models"]
            described = [column["name"] for column in model["columns"]]
            yield from _differences(f"models/reports/{name}.yml", described, contract[name])


def _usage_problems(root: Path, usage_fields: dict[str, list[str]], read_captures: list[str]) -> Iterator[str]:
    expected = json.loads((root / EXPECTED).read_text(encoding="utf-8"))
    captures = {path.stem for path in (root / "tests/wire").glob("*.json")} - {Path(EXPECTED).stem}
    rows = (root / USAGE_PAGE).read_text(encoding="utf-8").splitlines()
    for api in sorted({*expected, *captures, *usage_fields}):
        # Several providers report usage in the same shape.
        shapes = {*usage_fields, *read_captures}
        places = {f"tests/wire/{api}.json": captures, EXPECTED: expected, USAGE: shapes}
        yield from (f"{place}: lacks {api}" for place, names in places.items() if api not in names)
        fields = usage_fields.get(api, [])
        if not any(all(f"`{field}`" in row for field in fields) for row in rows):
            yield f"{USAGE_PAGE}: lacks a row with {', '.join(fields)}"


def _differences(place: str, found: Iterable[str], wanted: Iterable[str]) -> Iterator[str]:
    found, wanted = list(found), list(wanted)
    yield from (f"{place}: lacks {name}" for name in wanted if name not in found)
    yield from (f"{place}: has {name}, which is nowhere else" for name in found if name not in wanted)
    if sorted(found) == sorted(wanted) and found != wanted:
        yield f"{place}: has another order than {wanted}"
