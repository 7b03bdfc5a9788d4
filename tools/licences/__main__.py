"""`make licences`: write the tables of docs/licences.md. With --check write nothing, and fail if they would change.

For `make sbom`: --locked prints the lines of requirements.lock that a user installs with all extras, and --compare
fails if an SBOM does not have the packages of the page.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from tools.licences.licence import LicenceUnknown, read_reviewed
from tools.licences.packages import installed_by
from tools.licences.page import PAGE, new_text

ROOT = Path(__file__).resolve().parents[2]
NOT_LOCKED = {"dbt-core-experimental-parser"}  # pyproject.toml says why
# A package of the lock with its hashes, in the lines below.
LOCKED = re.compile(r"^([\w.-]+)==.*\n(?:[ \t].*\n)*", re.MULTILINE)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page would change")
    parser.add_argument("--locked", action="store_true", help="print the locked packages that a user installs")
    parser.add_argument("--compare", type=Path, metavar="SBOM", help="compare a CycloneDX SBOM with the page")
    options = parser.parse_args(arguments)
    if options.locked:
        sys.stdout.write(locked(options.root))
        return 0
    if options.compare:
        return compare(options.compare, installed_by(options.root))
    page = options.root / PAGE
    before = page.read_text(encoding="utf-8")
    try:
        after = new_text(options.root, before, read_reviewed())
    except LicenceUnknown as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if options.check and after != before:
        sys.stderr.write(f"{PAGE} would change: run make licences\n")
        return 1
    if not options.check:
        page.write_text(after, encoding="utf-8")
    return 0


def compare(sbom: Path, causes: Mapping[str, Sequence[str]]) -> int:
    """The exit code: 0 if the SBOM has every package that is installed here, and no other."""
    components = json.loads(sbom.read_text(encoding="utf-8"))["components"]
    names = {canonicalize_name(component["name"]) for component in components}
    elsewhere = {name for name, brought_by in causes.items() if all("Windows" in cause for cause in brought_by)}
    wrong = (set(causes) - elsewhere - NOT_LOCKED) ^ names
    for name in sorted(wrong):
        sys.stderr.write(f"{sbom}: {name} is {'not on' if name in names else 'only on'} the page of the licences\n")
    sys.stdout.write(f"{sbom}: {len(names)} packages\n")
    return 1 if wrong else 0


def locked(root: Path) -> str:
    """The lines of requirements.lock for the packages that the project and its extras install."""
    names = installed_by(root)
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    return "".join(found[0] for found in LOCKED.finditer(lock) if found[1] in names)


if __name__ == "__main__":
    sys.exit(main())
