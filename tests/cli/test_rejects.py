"""The files of rejected lines hold what people asked, so only their owner reads them, and no link leads elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli, count, line, process
from tests.conftest import Database
from tests.planted import PLANTED, plant

NAMES = ["in.jsonl.rejected.jsonl", "in.jsonl.rejected.reasons.txt"]


@pytest.mark.parametrize("already_exist", [False, True])
def test_only_the_owner_can_read_rejected_lines_and_reasons(
    cli: Cli, database: Database, tmp_path: Path, already_exist: bool
) -> None:
    (tmp_path / "in.jsonl").write_text("bad\n")
    if already_exist:
        for name in NAMES:
            (tmp_path / name).write_text("earlier\n")
            (tmp_path / name).chmod(0o644)
    cli("load", "in.jsonl", database=database)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in NAMES] == [0o600, 0o600]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", PLANTED)
def test_a_file_that_is_not_only_of_this_user_is_refused_in_one_line_before_anything_is_loaded(
    cli: Cli, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, kind: str
) -> None:
    (user,) = database.add_users(1)
    (tmp_path / "in.jsonl").write_text(f"bad\n{line(user)}\n")
    target = plant(kind, tmp_path / name, monkeypatch)
    outcome = cli("load", "in.jsonl", database=database)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"error: {name} ")
    assert PLANTED[kind] in outcome.err
    assert outcome.err.endswith(", or choose another file with --rejected\n")
    assert outcome.err.count("\n") == 1
    assert target.read_text() == "private\n"
    assert count(database) == 0


def test_the_rejects_of_stdin_follow_no_link(database: Database, tmp_path: Path) -> None:
    target = tmp_path / "private.txt"
    target.write_text("private\n")
    (tmp_path / "stdin.rejected.jsonl").symlink_to(target)
    url = {"CHAT_TELEMETRY_DATABASE_URL": database.conninfo}
    outcome = process("load", "-", stdin=b"bad\n", cwd=tmp_path, environment=url)
    assert outcome.code == 2
    assert outcome.err == (
        "error: stdin.rejected.jsonl is a symbolic link, which is not followed: delete it, "
        "or choose another file with --rejected\n"
    )
    assert target.read_text() == "private\n"


def test_a_link_that_appears_during_the_load_is_not_followed(
    cli: Cli, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.jsonl").write_text("bad\n")
    monkeypatch.setattr("chat_telemetry._cli.rejects.check_file", lambda path: None)
    target = plant("symbolic link", tmp_path / NAMES[0], monkeypatch)
    outcome = cli("load", "in.jsonl", database=database)
    assert (outcome.code, outcome.err.splitlines()[-1]) == (
        1,
        f"error: {NAMES[0]}: is a symbolic link, which is not followed: delete it",
    )
    assert target.read_text() == "private\n"
