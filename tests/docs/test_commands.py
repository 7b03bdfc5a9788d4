"""The commands of docs/operating.md, as they stand there, on a new PostgreSQL 15 of Debian."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.sections import Block, blocks_of
from tests.docs.site import Site
from tests.docs.stages import STAGES, Stage
from tools.check_docs.page import read_page

ROOT = Path(__file__).parents[2]
PAGES = list(dict.fromkeys(stage.page for stage in STAGES))


def blocks(page: Path) -> list[Block]:
    """The blocks of the page, each with the stage's section that contains it."""
    sections = [stage.section for stage in STAGES if stage.page == page]
    return list(blocks_of(read_page(page, (ROOT / page).read_text(encoding="utf-8")), sections))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_of_the_page_is_in_a_section_that_is_run(page: Path) -> None:
    assert [str(block) for block in blocks(page) if block.is_command and not block.section] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_of_the_page_is_in_a_block_that_is_run(page: Path) -> None:
    assert [str(block) for block in blocks(page) if block.hides_a_command] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_sections_are_run_in_the_order_of_their_page(page: Path) -> None:
    of_page = [block.section for block in blocks(page) if block.is_command]
    assert list(dict.fromkeys(of_page)) == [stage.section for stage in STAGES if stage.page == page]


@pytest.mark.docs
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.section)
def test_the_commands_of_a_section_do_what_it_says(site: Site, stage: Stage) -> None:
    commands = [block for block in blocks(stage.page) if block.is_command and block.section == stage.section]
    with contextmanager(stage.surroundings)(site, "\n".join(block.text for block in commands)):
        site.run(commands)


@pytest.mark.docs
def test_every_command_was_run_and_all_else_is_named(site: Site) -> None:
    everything = [block for page in PAGES for block in blocks(page)]
    for block in everything:
        print(f"{'ran' if block in site.done else f'not run ({block.language})'}: {block}")
    assert {block for block in everything if block.is_command} == set(site.done)
