"""The progress of a load: a line every ten seconds if stderr is no terminal, otherwise a bar."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from chat_telemetry._cli import progress
from chat_telemetry._cli.progress import LoadProgress


@pytest.mark.parametrize(("size", "share"), [(200, "50%, "), (None, "")])
def test_a_line_says_how_far_the_load_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, size: int | None, share: str
) -> None:
    seconds = iter([0.0, 4.0, 10.0, 12.0, 20.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    with LoadProgress("in[0].jsonl", size) as shown:
        for lines in (1000, 2000, 3000, 4000):
            shown.advance(100, lines)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        f"in[0].jsonl: {share}2,000 lines, 200 lines/s",
        f"in[0].jsonl: {share}4,000 lines, 200 lines/s",
    ]


def test_on_a_terminal_the_bar_replaces_the_lines_and_ends_with_the_load(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with LoadProgress("in.jsonl", 200) as shown:
        shown.advance(100, 1000)
    said = capsys.readouterr().err
    assert "50%" in said
    assert "1,000 lines, " not in said
    assert said.endswith("\x1b[2K")
