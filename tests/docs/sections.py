"""The blocks of code in the sections of a page. Those in ```sh are commands, which are run; the others are not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.check_docs.page import Page

# A block without a language that begins with one of these is a command that would not be run.
PROGRAMS = {
    "chat-telemetry",
    "createdb",
    "dbt",
    "export",
    "for",
    "make",
    "pip",
    "psql",
    "python",
    "python3",
    "supabase",
}


@dataclass(frozen=True)
class Block:
    """A block of code with its place. `language` is None if the block is indented, and empty if none is named."""

    page: Path
    line: int
    section: str
    language: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} ({self.section})"

    @property
    def is_command(self) -> bool:
        return self.language == "sh"

    @property
    def hides_a_command(self) -> bool:
        return not self.language and self.text.removeprefix("$").split(maxsplit=1)[0] in PROGRAMS


def blocks_of(page: Page, sections: Collection[str]) -> Iterator[Block]:
    """All blocks of the page, each with the innermost of the `sections` that contains it, or else an empty name.

    Raises ValueError if the page has no such section.
    """
    missing = set(sections) - {heading.content for heading in page.headings}
    if missing:
        raise ValueError(f"{page.path} has no section {missing.pop()!r}")
    for block in page.blocks:
        yield Block(page.path, block.line, _section(page, block.line, sections), block.language, block.content)


def _section(page: Page, line: int, sections: Collection[str]) -> str:
    level, found = 7, ""
    for heading in reversed([heading for heading in page.headings if heading.line < line]):
        if heading.level < level:
            level = heading.level
            found = found or (heading.content if heading.content in sections else "")
    return found
