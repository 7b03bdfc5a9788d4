"""A Markdown page as GitHub shows it: its links, anchors, code blocks and inline code, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

# What GitHub keeps of a heading's text, html-pipeline's rule: letters, digits, marks and underscores, "-" and " ".
NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Text:
    """A link's target or a piece of code, and its line. `language` is None where the page names none."""

    line: int
    content: str
    language: str | None = None


@dataclass(frozen=True)
class Heading:
    """A heading, its line, and its level: 1 is the title of the page."""

    line: int
    level: int
    content: str


@dataclass
class Page:
    """One page; `path` is relative to the root of the repository."""

    path: Path
    headings: list[Heading] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    links: list[Text] = field(default_factory=list)
    images: list[Text] = field(default_factory=list)
    blocks: list[Text] = field(default_factory=list)
    inline_code: list[Text] = field(default_factory=list)
    html: list[Text] = field(default_factory=list)

    def problem(self, line: int, message: str) -> Problem:
        return Problem(self.path, line, message)


def read_page(path: Path, text: str) -> Page:
    """Parse the `text` of the page at `path`."""
    page = Page(path)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "fence":
            page.blocks.append(Text(line + 1, token.content, token.info.strip()))
        elif token.type == "code_block":
            page.blocks.append(Text(line, token.content))
        elif token.type == "html_block":
            page.html.append(Text(line, token.content.strip()))
        elif token.type == "inline":
            _read_inline(page, token, line)
            if before is not None and before.type == "heading_open":
                page.headings.append(Heading(line, int(before.tag.removeprefix("h")), _text_of(token)))
                page.anchors.add(_anchor(token, page.anchors))
    return page


def _read_inline(page: Page, token: Token, line: int) -> None:
    places = {"code_inline": page.inline_code, "html_inline": page.html, "link_open": page.links, "image": page.images}
    for child in token.children or []:
        if child.type in {"softbreak", "hardbreak"}:
            line += 1
        elif child.type in places:
            target = child.attrGet("href") or child.attrGet("src")
            places[child.type].append(Text(line, str(target or child.content)))


def _text_of(heading: Token) -> str:
    return "".join(child.content for child in heading.children or [] if child.type in {"text", "code_inline"})


def _anchor(heading: Token, taken: set[str]) -> str:
    slug = NOT_IN_ANCHORS.sub("", _text_of(heading).lower()).replace(" ", "-")
    return next(anchor for anchor in _numbered(slug) if anchor not in taken)


def _numbered(slug: str) -> Iterator[str]:
    yield slug
    number = 0
    while True:
        number += 1
        yield f"{slug}-{number}"
