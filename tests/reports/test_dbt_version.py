"""The project runs on dbt 1.11 and 1.12, as the tests of this folder show (`make test-dbt-1.11`), and not on dbt 2."""

from __future__ import annotations

from unittest import mock

import pytest

from tests.conftest import SERVERS
from tests.dbt_project import DbtProject


@pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")
def test_dbt_2_stops_with_one_message(project: DbtProject) -> None:
    # dbt 2 downloads its PostgreSQL driver, so a test cannot run it: here dbt 1 pretends to be version 2.
    with mock.patch("dbt.context.base.dbt_version", "2.0.0"):
        outcome = project.invoke("parse", "--no-partial-parse")
    assert not outcome.success
    assert "chat-telemetry runs on dbt 1.11 and 1.12, and this is dbt 2.0.0: install" in str(outcome.exception)
