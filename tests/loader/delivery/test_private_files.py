from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from chat_telemetry._delivery import private_files
from chat_telemetry._delivery.private_files import check_directory, create_directory, files_named, open_private
from tests.planted import PLANTED, plant


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("flags", [os.O_RDWR, os.O_WRONLY | os.O_APPEND | os.O_CREAT, os.O_RDWR | os.O_CREAT])
def test_only_a_regular_file_of_this_user_is_opened(
    kind: str, flags: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = plant(kind, tmp_path / "file", monkeypatch)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    with pytest.raises(PermissionError, match=PLANTED[kind]):
        open_private(tmp_path / "file", flags)
    assert target.read_text() == "private\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "private.txt"]
    assert os.dup(0) == lowest_free, "no descriptor stays open"
    os.close(lowest_free)


def test_a_new_file_is_readable_for_its_owner_only(tmp_path: Path) -> None:
    os.close(open_private(tmp_path / "new", os.O_WRONLY | os.O_CREAT))
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("mode", "advice"),
    [
        pytest.param(0o770, "run `chmod 700 {}`", id="group"),
        pytest.param(0o702, "run `chmod 700 {}`", id="others"),
        pytest.param(0o1777, "use a new directory, for example {}/chat-telemetry", id="like /tmp"),
    ],
)
def test_a_directory_that_other_users_can_write_to_is_refused(mode: int, advice: str, tmp_path: Path) -> None:
    tmp_path.chmod(mode)
    message = f"other users can write to {tmp_path}: {advice.format(tmp_path)}"
    with pytest.raises(PermissionError, match=re.escape(message)):
        create_directory(tmp_path)


@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_directory_that_only_its_owner_can_write_to_is_accepted(mode: int, tmp_path: Path) -> None:
    tmp_path.chmod(mode)
    check_directory(tmp_path)


def test_a_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_files, "current_user", lambda: os.geteuid() + 1)
    with pytest.raises(PermissionError, match=f"belongs to another user, uid {os.geteuid()}: use a new directory"):
        check_directory(tmp_path)


def test_a_link_to_a_directory_is_judged_by_the_directory(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    (tmp_path / "link").symlink_to("shared")
    with pytest.raises(PermissionError, match="other users can write"):
        check_directory(tmp_path / "link")


def test_files_are_found_by_their_whole_names(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "a.txt~", "xa.txt", "a.txt\n"):
        (tmp_path / name).touch()
    assert files_named(r"[a-z]\.txt", tmp_path) == [tmp_path / "a.txt", tmp_path / "b.txt"]
