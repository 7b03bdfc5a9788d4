"""uWSGI forks without Python's hooks. `tests/integrations/test_uwsgi.py` runs it; here its module is a stand-in."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from chat_telemetry import _forks
from tests.loader.conftest import Log


@pytest.fixture
def uwsgi(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("uwsgi")
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    return module


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    called: list[str] = []
    monkeypatch.setattr(_forks, "_functions", [lambda: called.append("ours")])
    return called


def test_the_hook_of_uwsgi_is_set_once_and_keeps_an_earlier_one(
    uwsgi: ModuleType, called: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uwsgi.post_fork_hook = lambda: called.append("theirs")  # type: ignore[attr-defined]
    _forks.watch_uwsgi()
    _forks.watch_uwsgi()
    uwsgi.post_fork_hook()
    assert called == ["theirs"], "uWSGI calls it in a process that was not forked, too"
    monkeypatch.setattr("os.getpid", lambda: -1)
    uwsgi.post_fork_hook()
    assert called == ["theirs", "theirs", "ours"]


def test_the_first_record_sets_the_hook(log: Log, uwsgi: ModuleType) -> None:
    with log.client() as client:
        client.persist(log.record())
        assert callable(uwsgi.post_fork_hook)
