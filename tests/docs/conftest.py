"""The site on which the commands of the pages are run, one for all sections."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import make_certificate
from tests.conftest import FAST_AND_LOOSE
from tests.debian_postgres import DebianPostgres
from tests.docs.site import HOST, Site
from tests.recipes.recipe import copied_project

pytest.register_assert_rewrite("tests.docs.stages", "tests.docs.chat_code")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    scratch = tmp_path_factory.mktemp("site")
    certificate = make_certificate(scratch / "certificates", HOST)
    with tempfile.TemporaryDirectory(prefix="ctpg-") as directory:
        server = DebianPostgres(Path(directory), settings=FAST_AND_LOOSE, certificate=certificate)
        server.start()
        try:
            yield Site(server, certificate, copied_project(scratch), scratch)
        finally:
            server.stop("immediate")
