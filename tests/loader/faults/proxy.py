"""A TCP proxy in front of PostgreSQL that loses answers: the server has committed, and the client never hears of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

COMPLETED = b"INSERT 0 "


class AnswerSwallower:
    """Listens on 127.0.0.1:`port`. Every second answer to an INSERT ends the connection instead of arriving."""

    def __init__(self, host: str, port: int) -> None:
        self.swallows = True
        self.swallowed = 0
        self._server = (host, port)
        self._answers = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> AnswerSwallower:
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

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_answer and COMPLETED in data and self._swallow():
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()

    def _swallow(self) -> bool:
        with self._lock:
            self._answers += 1
            is_swallowed = self.swallows and self._answers % 2 == 0
            self.swallowed += is_swallowed
            return is_swallowed
