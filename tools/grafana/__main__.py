"""`python -m tools.grafana`: write bi/grafana/dashboards/chat_telemetry.json.

    python -m tools.grafana [--check]

The SQL of statistics and tables is that of bi/queries. With --check it writes nothing, and exits with 1 if the file
would change.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.grafana.dashboard import dashboard

ROOT = Path(__file__).resolve().parents[2]
FILE = Path("bi/grafana/dashboards/chat_telemetry.json")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file would change")
    options = parser.parse_args(arguments)
    file = options.root / FILE
    after = json.dumps(dashboard(options.root), indent=2, ensure_ascii=False) + "\n"
    if options.check:
        changed = not file.exists() or file.read_text(encoding="utf-8") != after
        sys.stderr.write(f"{FILE} would change: run python -m tools.grafana\n" if changed else "")
        return int(changed)
    file.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
