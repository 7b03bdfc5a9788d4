"""What runs the commands of the pages finds each kind of fault in them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.docs import shell
from tests.docs.sections import Block, blocks_of
from tests.docs.shell import CommandsFailed, Terminal
from tools.check_docs.page import read_page

PAGE = """# Title

```sh
echo outside
```

## First

```sh
echo first
```

### Inner

    psql -c 'select 1'

```text
psql is an illustration
```

## Second

```sh
echo second
```
"""
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def block(text: str, line: int = 1) -> Block:
    return Block(Path("page.md"), line, "Section", "sh", text)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    (tmp_path / "clone").mkdir()
    return Terminal(tmp_path / "clone", tmp_path, "secret", timeout_s=20)


def test_a_block_belongs_to_the_innermost_section_that_is_asked_for() -> None:
    page = read_page(Path("page.md"), PAGE)
    assert [block.section for block in blocks_of(page, ["First"])] == ["", "First", "First", "First", ""]
    assert [block.section for block in blocks_of(page, ["First", "Inner", "Second"])] == [
        *["", "First", "Inner", "Inner", "Second"]
    ]
    assert [str(block) for block in blocks_of(page, ["Second"]) if block.is_command][-1] == "page.md:24 (Second)"


def test_a_section_that_the_page_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"page\.md has no section 'Third'"):
        list(blocks_of(read_page(Path("page.md"), PAGE), ["Third"]))


def test_an_indented_command_is_found_and_a_marked_illustration_is_not() -> None:
    blocks = list(blocks_of(read_page(Path("page.md"), PAGE), ["First"]))
    assert [block.line for block in blocks if block.hides_a_command] == [15]


@pytest.mark.parametrize("fault", ["false", "echo $unset", "psql_of_nobody", "grep x /dev/null", "if"])
def test_a_block_that_fails_is_named_with_what_was_printed(terminal: Terminal, fault: str) -> None:
    blocks = [block("echo before", 3), block(fault, 7), block("echo after", 9)]
    with pytest.raises(CommandsFailed) as failure:
        terminal.run(blocks, ENVIRONMENT)
    message = str(failure.value)
    assert message.startswith(f"page.md:7 (Section) failed:\n{fault}\n")
    assert "\nbefore\n" in message
    assert "\nafter\n" not in message


def test_passwords_are_typed_where_a_program_asks_on_its_terminal(terminal: Terminal) -> None:
    ask = "printf '{}' >/dev/tty\nread -r answer </dev/tty\necho \"got $answer\"\n"
    questions = ['Enter new password for user "chat_app": ', "Enter it again: ", "Password for user postgres: "]
    printed, _ = terminal.run([block(ask.format(question)) for question in questions], ENVIRONMENT)
    assert printed.count("got secret\n") == 3


def test_a_command_that_waits_for_another_answer_is_ended_and_its_question_shown(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    clock = SimpleNamespace(monotonic=lambda: 2.0 if asked.exists() else 0.0, sleep=time.sleep)
    monkeypatch.setattr(shell, "time", clock)
    impatient = Terminal(terminal.directory, terminal.scratch, "secret", timeout_s=1)
    waiting = block(f"printf 'Continue? ' >/dev/tty\ntouch {asked}\nread -r answer </dev/tty\n")
    with pytest.raises(CommandsFailed, match=r"no end after 1 s, last question 'Continue\? '"):
        impatient.run([waiting], ENVIRONMENT)


def test_only_exported_variables_outlive_the_blocks_of_a_section(terminal: Terminal) -> None:
    _, environment = terminal.run([block("one=1\nexport TWO='2 …\n2'"), block('test "$one$TWO"')], ENVIRONMENT)
    assert environment["TWO"] == "2 …\n2"
    assert "one" not in environment
    printed, _ = terminal.run([block('echo "$TWO"')], environment)
    assert "2 …\n2\n" in printed


def test_commands_work_in_the_clone(terminal: Terminal) -> None:
    terminal.run([block("echo made > here")], ENVIRONMENT)
    assert (terminal.directory / "here").read_text() == "made\n"
