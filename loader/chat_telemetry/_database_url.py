"""Reads the connection strings that applications have: with a driver in the scheme, in quotes, or inside an object.

The result is for libpq. Nothing here raises or returns a text that quotes the string, because it holds a password.
"""

from __future__ import annotations

import re
from collections.abc import Collection

EXPECTED = "expected postgresql://user:password@host:5432/database"

# What editors, shells and secret files leave around a value: blanks, line feeds, a byte order mark.
_AROUND = " \t\r\n\f\v\0\ufeff\u200b"
_QUOTES = ('"', "'")
# PostgreSQL by the names of Django, JDBC and SQLAlchemy, which also names a driver: postgresql+asyncpg://.
_POSTGRES = re.compile(r"(?:jdbc:)?(?:postgres(?:ql)?(?:\+\w+)?|psql|pgsql|postgis)://", re.IGNORECASE)
_SCHEME = re.compile(r"(?:jdbc:)?([a-z][a-z0-9+.-]{0,30}):/", re.IGNORECASE)
_PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,40}")
# Parameters that other libraries read. libpq rejects a URL with one of them, and none of them matters to telemetry,
# whose SQL names the schema.
_FOREIGN_PARAMETERS = {
    "Prisma": "schema pgbouncer connection_limit pool_timeout socket_timeout statement_cache_size sslaccept "
    "sslidentity single_use_connections max_connection_lifetime max_idle_connection_lifetime",
    "SQLAlchemy": "async_fallback prepared_statement_cache_size prepared_statement_name_func pool_size max_overflow "
    "pool_recycle pool_pre_ping",
    "asyncpg": "command_timeout max_cacheable_statement_size max_cached_statement_lifetime",
    "Django": "conn_max_age conn_health_checks disable_server_side_cursors",
    "Rails": "pool max_connections reaping_frequency checkout_timeout prepared_statements statement_limit",
    "node-postgres": "uselibpqcompat workaround supa max min idle_timeout",
    "pgx": "pool_max_conns pool_min_conns pool_max_conn_lifetime pool_max_conn_idle_time pool_health_check_period "
    "default_query_exec_mode statement_cache_capacity description_cache_capacity",
    "JDBC": "currentschema preparethreshold rewritebatchedinserts rewritebatchedstatements stringtype sockettimeout "
    "logintimeout tcpkeepalive applicationname",
}
_IGNORED = frozenset(" ".join(_FOREIGN_PARAMETERS.values()).split())
# asyncpg and node-postgres call it `ssl`; libpq knows only `ssl=true`.
_SSL = {
    **{mode: f"sslmode={mode}" for mode in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")},
    "no-verify": "sslmode=require",
    "true": "ssl=true",
    "1": "ssl=true",
    "false": "",
    "0": "",
}


def normalized(dsn: object) -> str:
    """The connection string for libpq. Raises TypeError if `dsn` is none and holds none."""
    text = unquoted(_text_of(dsn))
    scheme = _POSTGRES.match(text)
    if scheme is None:
        return text
    base, question_mark, query = text[scheme.end() :].partition("?")
    kept = query if "@" in query else "&".join(filter(None, map(_parameter, query.split("&"))))
    url = f"postgresql://{base}{question_mark and kept and '?'}{kept}"
    return url.replace(" ", "%20")  # SQLAlchemy leaves the blanks of a password as they are


def unquoted(text: str) -> str:
    """The text without the blanks and the pair of quotes around it, which docker's env files keep."""
    text = text.strip(_AROUND)
    if len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES:
        return text[1:-1].strip(_AROUND)
    return text


def fault(conninfo: str, known_parameters: Collection[str]) -> str:
    """Why libpq cannot read this string, and what to do. Names at most its scheme or one parameter."""
    scheme = _SCHEME.match(conninfo)
    if scheme is None:
        if "=" in conninfo:
            return "see `Connection Strings` in PostgreSQL's manual"
        return f"it has no scheme: {EXPECTED}"
    if not conninfo.startswith("postgresql://"):
        return f"it begins with `{scheme[1]}:`, and the log is in PostgreSQL: {EXPECTED}"
    _, _, query = conninfo.partition("?")
    # A question mark of a password begins a query, too. Then an @ follows.
    for parameter in query.split("&") if "@" not in query else ():
        name, equals, _ = parameter.partition("=")
        if equals and name not in known_parameters and _PARAMETER_NAME.fullmatch(name):
            return f"PostgreSQL's library does not know its parameter `{name}`: remove it"
    return (
        "see `Connection Strings` in PostgreSQL's manual, and percent-encode special characters of a password in a URL"
    )


def _parameter(parameter: str) -> str:
    name, _, value = parameter.partition("=")
    if name.lower() in _IGNORED:
        return ""
    if name.lower() == "ssl":
        return _SSL.get(value.lower(), parameter)
    return parameter


def _text_of(dsn: object) -> str:
    """A text, or the text in the objects that applications keep connection strings in, with the password."""
    if isinstance(dsn, str):
        return dsn
    if isinstance(dsn, bytes | bytearray):
        return dsn.decode(errors="replace")
    try:
        if callable(secret := getattr(dsn, "get_secret_value", None)):  # pydantic's SecretStr and SecretBytes
            return _text_of(secret())
        if callable(render := getattr(dsn, "render_as_string", None)):  # SQLAlchemy's URL, whose str() hides it
            return _text_of(render(hide_password=False))
        if callable(unicode_string := getattr(dsn, "unicode_string", None)):  # pydantic's PostgresDsn
            return _text_of(unicode_string())
        if callable(geturl := getattr(dsn, "geturl", None)):  # urllib's urlsplit
            return _text_of(geturl())
    except Exception as error:
        raise TypeError(f"dsn cannot be read from {type(dsn).__name__} ({type(error).__name__})") from None
    raise TypeError(
        "dsn must be a connection string, or hold one as SecretStr, PostgresDsn or SQLAlchemy's URL do, "
        f"not {type(dsn).__name__}"
    )
