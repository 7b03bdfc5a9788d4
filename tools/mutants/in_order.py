"""A pytest plugin: test files run in the order in which they are named.

pytest runs all tests that need a server before all that need none, so that it starts each server once. The tests that
fit a mutant best, and are the quickest, could come last.
"""

from __future__ import annotations

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    places = {argument.partition("::")[0]: place for place, argument in enumerate(config.args)}
    items.sort(key=lambda item: places[item.nodeid.partition("::")[0]])
