"""Connections to the database on which nothing waits without a limit: connecting, a statement, cancelling, closing."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator
from contextvars import ContextVar
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg import waiting
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from chat_telemetry import _database_url
from chat_telemetry._errors import DatabaseNotReady, DatabaseUnavailable

# A connection string overrides these. A dead server is detected in about 30 s. Startup `options` are missing because
# poolers reject them.
CONNECTION_DEFAULTS: dict[str, Any] = {
    "application_name": "chat-telemetry",
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# Environment variables that name hosts and the kind of session, as the parameters do.
_HOSTS = {"host": "PGHOST", "hostaddr": "PGHOSTADDR"}
_SESSION = {"target_session_attrs": "PGTARGETSESSIONATTRS"}

# A failed connection has no SQLSTATE, and libpq's text can quote a mistyped password: only these parts are logged.
CONNECTION_ERRORS = (
    "Connection refused",
    "No such file or directory",
    "Permission denied",
    "timeout expired",
    "Connection timed out",
    "No route to host",
    "Network is unreachable",
    "Connection reset by peer",
    "failed to resolve host",
    "could not translate host name",
    "Too many open files",
    "Cannot assign requested address",
    "password authentication failed",
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "no such database",
    "no such user",
    "Tenant or user not found",
    "not permitted to log in",
    "not currently accepting connections",
    "permission denied for database",
    "too many clients",
    "too many connections",
    "remaining connection slots are reserved",
    "Max client connections reached",
    "no more connections allowed",
    "unsupported startup parameter",
    "server login has been failing",
    "query_wait_timeout",
    "the database system is starting up",
    "the database system is shutting down",
    "the database system is not yet accepting connections",
    "the database system is in recovery mode",
    "session is read-only",
    "session is not read-only",
    "certificate verify failed",
    "certificate has expired",
    "root certificate file",
    "server does not support SSL",
    "SSL",
    "server closed the connection unexpectedly",
)

CANCEL_TIMEOUT_S = 2.0
# While nothing arrives, a wait looks at the clock this often.
_LOOK_EVERY_S = 0.1

_NEVER = float("inf")
_Wanted = TypeVar("_Wanted")
_Result = TypeVar("_Result")

# A forked child shares the sockets of its parent's connections: closing one would end the session of the parent, and
# forgetting one open would be a ResourceWarning.
_connections_of_parents: list[psycopg.Connection] = []
_connect_until: ContextVar[float] = ContextVar("_connect_until", default=_NEVER)

# libpq before version 17 can cancel a statement only by a call that may block the whole process. There the next
# connection cancels it. Without a cancelled statement each attempt at a locked table would leave a session that waits.
_CANCEL_ABANDONED = b"""
    select pg_catalog.pg_cancel_backend(pid) from pg_catalog.pg_stat_activity
    where pid operator(pg_catalog.=) %s::pg_catalog.int4
        and usename operator(pg_catalog.=) current_user
        and state operator(pg_catalog.=) 'active'
        and application_name operator(pg_catalog.=) pg_catalog.current_setting('application_name')
        and query operator(pg_catalog.~~) '%%insert into public.chat_telemetry_log %%'
"""


class TimedOut(Exception):
    """The database did not answer in time. No psycopg.Error, so that psycopg does not try the next host."""


class LimitedConnection(psycopg.Connection):
    """A connection that waits at most until `until`, by `time.monotonic()`."""

    until = _NEVER
    while_waiting: Callable[[], object] = staticmethod(lambda: None)
    """Called about ten times a second while the connection waits."""

    def wait(self, gen: Generator[Any, Any, _Result], *_: Any, **__: Any) -> _Result:
        """Raises TimedOut. Unlike psycopg's method, a Ctrl-C does not send a cancel request, which could block."""
        limited = _limited(gen, self.until, self.while_waiting)
        # psycopg sees that gevent patched `select`, but not that eventlet did: its own wait would block every greenlet.
        patcher = sys.modules.get("eventlet.patcher")
        is_patched = patcher is not None and patcher.is_monkey_patched("select")
        wait = waiting.wait_selector if is_patched else waiting.wait
        return wait(limited, self.pgconn.socket, interval=_LOOK_EVERY_S)

    @classmethod
    def _connect_gen(cls, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        """If a later psycopg does not call this method, `connect_timeout` is the only limit."""
        return _limited(super()._connect_gen(*args, **kwargs), _connect_until.get(), lambda: None)


class Connector:
    """Opens connections with the loader's defaults, and gives up those that do not answer."""

    def __init__(self, conninfo: str, connect_timeout: float) -> None:
        self._conninfo = conninfo
        self._connect_timeout = max(2, round(connect_timeout))  # libpq takes whole seconds, at least two
        self._abandoned_pid: int | None = None

    def connect(self, until: float) -> LimitedConnection:
        """Raises DatabaseUnavailable, or its subclass DatabaseNotReady."""
        conninfo = self._complete_conninfo()
        token = _connect_until.set(until)
        try:
            # A pooler runs each transaction in another session, where a prepared statement does not exist.
            connection = LimitedConnection.connect(conninfo, autocommit=True, prepare_threshold=None)
        except (psycopg.Error, TimedOut) as error:
            raise _unreachable(error) from error
        finally:
            _connect_until.reset(token)
        self._cancel_abandoned(connection)
        return connection

    def abandon(self, connection: LimitedConnection, *, cancels: bool) -> None:
        """Close a connection whose statement may still run, and cancel the statement if that can be limited."""
        if cancels:
            if _can_cancel_in_time():
                with contextlib.suppress(Exception):
                    connection.cancel_safe(timeout=CANCEL_TIMEOUT_S)
            else:
                self._abandoned_pid = connection.pgconn.backend_pid
        connection.close()

    def _cancel_abandoned(self, connection: LimitedConnection) -> None:
        pid, self._abandoned_pid = self._abandoned_pid, None
        if pid is not None:
            connection.until = monotonic() + CANCEL_TIMEOUT_S
            with contextlib.suppress(psycopg.Error, TimedOut):  # then the next statement fails, too
                connection.execute(_CANCEL_ABANDONED, [pid])

    def _complete_conninfo(self) -> str:
        try:
            given = conninfo_to_dict(self._conninfo)
        except psycopg.ProgrammingError:
            known = {option.keyword.decode() for option in Conninfo.get_defaults()}
            cause = _database_url.fault(self._conninfo, known)
            raise DatabaseNotReady(f"the connection string is invalid: {cause}") from None
        defaults = {**CONNECTION_DEFAULTS, "connect_timeout": self._connect_timeout}
        if any("," in value for value in _given_or_from_environment(given, _HOSTS)):
            defaults["target_session_attrs"] = "read-write"  # otherwise a standby that comes first rejects every batch
        if any(_given_or_from_environment(given, _SESSION)):
            defaults.pop("target_session_attrs", None)
        return make_conninfo(**{**defaults, **given, "client_encoding": "utf8"})


def leave_to_parent(connection: psycopg.Connection) -> None:
    """In a forked child: neither close nor forget a connection of the parent."""
    _connections_of_parents.append(connection)


def _can_cancel_in_time() -> bool:
    return psycopg.capabilities.has_cancel_safe()


def _limited(
    gen: Generator[_Wanted, Any, _Result], until: float, while_waiting: Callable[[], object]
) -> Generator[_Wanted, Any, _Result]:
    """The same generator of psycopg's, until the time is over. What has arrived by then is still read."""
    try:
        wanted = next(gen)
        while True:
            wanted = gen.send((yield wanted))
            if monotonic() >= until:
                raise TimedOut
            while_waiting()
    except StopIteration as end:
        result: _Result = end.value
        return result


def _given_or_from_environment(given: dict[str, Any], variables: dict[str, str]) -> list[str]:
    return [str(given.get(name) or os.environ.get(variable, "")) for name, variable in variables.items()]


def _unreachable(error: Exception) -> DatabaseUnavailable:
    reason = next((text for text in CONNECTION_ERRORS if text in str(error)), type(error).__name__)
    if isinstance(error, TimedOut):
        reason = "timeout expired"
    return DatabaseUnavailable(f"cannot connect to the database ({reason}): try the same connection string in psql")
