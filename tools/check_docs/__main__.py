"""`make docs`: check the Markdown pages, what CI calls, and the connection strings of examples.

Prints one line a problem; exits with 1 if there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tools.check_docs.code_blocks import check_blocks
from tools.check_docs.commands import read_makefile
from tools.check_docs.connections import check_connections, check_programs
from tools.check_docs.links import check_links, check_paths
from tools.check_docs.page import Problem, read_page
from tools.check_docs.workflows import check_workflows
from tools.report_columns import PAGE as REPORTS
from tools.report_columns import problems as column_problems

ROOT = Path(__file__).parents[2]
# Not models/*.md: those are dbt's descriptions of columns, and no page.
PAGES = ("*.md", "docs/**/*.md", "bi/**/*.md", "[!.]*/README.md")


def page_paths(root: Path) -> list[Path]:
    """The pages of the repository at `root`, relative to it."""
    return sorted({path.relative_to(root) for pattern in PAGES for path in root.glob(pattern)})


def find_problems(root: Path) -> Iterator[Problem]:
    """Everything that is wrong, page by page."""
    pages = {path: read_page(path, (root / path).read_text(encoding="utf-8")) for path in page_paths(root)}
    makefile = read_makefile(root)
    for page in pages.values():
        problems = [*check_links(root, page, pages), *check_paths(root, page), *check_blocks(root, page, makefile)]
        yield from sorted([*problems, *check_connections(page)], key=lambda problem: problem.line)
    yield from check_workflows(root, makefile)
    yield from check_programs(root)
    yield from (Problem(REPORTS, 1, message) for message in column_problems(root))


def main() -> int:
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    problems = list(find_problems(root))
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    sys.stdout.write(f"{len(page_paths(root))} pages, {len(problems) or 'no'} problems\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
