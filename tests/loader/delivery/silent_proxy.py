"""A TCP proxy that forgets connections without closing them, like a pooler, a NAT gateway or a host that is frozen."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType


class SilentProxy:
    """Passes bytes between 127.0.0.1:`port` and a server, until `forget` is called."""

    def __init__(self, host: str, port: int) -> None:
        self.passes_new_connections = True
        self.connections = 0
        """How many were accepted so far."""
        self._server = (host, port)
        self._silent = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> SilentProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Close all connections, also those that were forgotten."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def forget(self) -> None:
        """Pass nothing on for the present connections, and read nothing from them. They stay open."""
        self._silent.set()
        self._silent = threading.Event()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self._sockets.append(client)
                if self.passes_new_connections:
                    server = socket.create_connection(self._server)
                    self._sockets.append(server)
                    for source, target in ((client, server), (server, client)):
                        threading.Thread(target=self._pass_on, args=(source, target, self._silent), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, silent: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while not silent.is_set():
                data = source.recv(65536)
                if silent.is_set():
                    return
                if not data:
                    break
                target.sendall(data)
            if not silent.is_set():
                target.shutdown(socket.SHUT_WR)
