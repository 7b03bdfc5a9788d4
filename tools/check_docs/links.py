"""Checks that the targets of links and images exist, and the files and folders that inline code names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools.check_docs.page import Page, Problem, Text

# `tests/reports/reference/`, `migrations/*.sql`; not `application/json`, whose first part is no folder of the project.
LIKE_A_PATH = re.compile(r"[\w.-]+(/[\w.*-]+)+/?")
# Part of a path: `models/reports/NAME.sql` names no file, but the folder has such files.
PLACEHOLDER = re.compile(r"\b(NAME|NEW)\b")
COMMENT = re.compile(r"<!-- [^<>]* -->")  # marks lines that a tool writes; no reader sees it


def check_links(root: Path, page: Page, pages: Mapping[Path, Page]) -> Iterator[Problem]:
    """The problems of the page's links and images. Links to other sites are not fetched."""
    for link in [*page.links, *page.images]:
        message = _problem_of(root, page, link, pages)
        if message:
            yield page.problem(link.line, f"{link.content}: {message}")
    for html in page.html:
        if not COMMENT.fullmatch(html.content):
            message = f"{html.content}: HTML is not checked: write Markdown, or put it in backticks"
            yield page.problem(html.line, message)


def check_paths(root: Path, page: Page) -> Iterator[Problem]:
    """Paths in inline code that do not exist. Paths that git ignores are skipped."""
    ignored = {line.strip("/") for line in (root / ".gitignore").read_text(encoding="utf-8").splitlines()}
    for code in page.inline_code:
        top = code.content.split("/", 1)[0]
        if not LIKE_A_PATH.fullmatch(code.content) or top in ignored or not (root / top).is_dir():
            continue
        if not any(root.glob(PLACEHOLDER.sub("*", code.content.rstrip("/")))):
            yield page.problem(code.line, f"{code.content}: no such file or folder")


def _problem_of(root: Path, page: Page, link: Text, pages: Mapping[Path, Page]) -> str | None:
    parts = urlsplit(link.content)
    if parts.scheme or parts.netloc:
        return None
    target = (root / page.path.parent / unquote(parts.path)).resolve() if parts.path else (root / page.path).resolve()
    if not target.is_relative_to(root.resolve()):
        return "leads out of the repository"
    if not target.exists():
        return "no such file"
    if not parts.fragment:
        return None
    target_page = pages.get(target.relative_to(root.resolve()))
    if target_page is None:
        return "an anchor in something that is no page"
    return None if parts.fragment in target_page.anchors else f"{target_page.path} has no such anchor"
