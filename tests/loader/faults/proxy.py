"""A TCP proxy in front of PostgreSQL that drops replies: the server has committed, but the client does not know it."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

COMPLETED = b"INSERT 0 "


class ReplyDroppingProxy:
    """Listens on 127.0.0.1:`port`. Instead of passing on every second reply to an INSERT, it ends the connection."""

    def __init__(self, host: str, port: int) -> None:
        self.is_dropping = True
        self.dropped = 0
        self._server = (host, port)
        self._replies = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> ReplyDroppingProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_reply: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_reply and COMPLETED in data and self._drops_this_one():
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()

    def _drops_this_one(self) -> bool:
        with self._lock:
            self._replies += 1
            is_dropped = self.is_dropping and self._replies % 2 == 0
            self.dropped += is_dropped
            return is_dropped
