"""`python -m tools.superset.bundle`: write bi/superset, the bundle that Superset imports.

    python -m tools.superset.bundle [--check | --zip FILE [--uri URI]]

The descriptions of columns come from models/reports/*.yml, models/shared_columns.md and the comments in
migrations. With --check it writes nothing, and exits with 1 if a file would change. With --zip it writes the bundle
into a zip file instead, with the URI of your database.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.superset.charts import CHARTS
from tools.superset.dashboard import dashboard
from tools.superset.datasets import DATABASE_FILE, DATABASE_NAME, URI, database, dataset
from tools.superset.relations import read_relations

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = Path("bi/superset")
# Without a `type`, both the button "Import dashboards" and the API for all assets take the same file.
METADATA = {"version": "1.0.0", "timestamp": "2026-12-01T00:00:00+00:00"}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file would change")
    parser.add_argument("--zip", type=Path, metavar="FILE", help="write this zip file and nothing else")
    parser.add_argument("--uri", default=URI, help="the URI of the database in the zip file, ten X for the password")
    options = parser.parse_args(arguments)
    if options.zip:
        options.zip.write_bytes(zipped(with_uri(bundle(options.root), options.uri)))
        return 0
    directory = options.root / DIRECTORY
    after, before = bundle(options.root), current(directory)
    changed = sorted(name for name in after.keys() | before.keys() if after.get(name) != before.get(name))
    if options.check:
        sys.stderr.writelines(f"{DIRECTORY / name} would change\n" for name in changed)
        return 1 if changed else 0
    for name in changed:
        write(directory / name, after.get(name))
    return 0


def bundle(root: Path) -> dict[str, str]:
    """The text of each file by its path in the bundle. The same project gives the same bytes."""
    contents: dict[str, Any] = {"metadata.yaml": METADATA, DATABASE_FILE: database()}
    for relation in read_relations(root):
        contents[f"datasets/{DATABASE_NAME}/{relation.name}.yaml"] = dataset(relation)
    contents |= {f"charts/{chart.name}.yaml": chart.config() for chart in CHARTS}
    contents["dashboards/chat_telemetry.yaml"] = dashboard()
    return {name: dump(content) for name, content in contents.items()}


def dump(content: Any) -> str:
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))


def current(directory: Path) -> dict[str, str]:
    files = directory.rglob("*.yaml")
    return {file.relative_to(directory).as_posix(): file.read_text(encoding="utf-8") for file in files}


def write(file: Path, text: str | None) -> None:
    if text is None:
        file.unlink()
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def with_uri(texts: Mapping[str, str], uri: str) -> dict[str, str]:
    return {**texts, DATABASE_FILE: dump(database(uri))}


def zipped(texts: Mapping[str, str]) -> bytes:
    """Superset drops the first folder of each path, so there is one around the bundle."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(f"chat_telemetry/{name}"), text)
    return content.getvalue()


if __name__ == "__main__":
    sys.exit(main())
