"""The errors that the package raises: one family, each message says what happened and what to do."""

from __future__ import annotations


class TelemetryError(Exception):
    """The root of the family."""


class InvalidRecord(TelemetryError):
    """A record cannot be encoded. The message names types, never contents, so that it can be logged."""


class DatabaseUnavailable(TelemetryError):
    """The server cannot be reached, or cannot take a batch just now: try again later; nothing of the batch is lost.

    The message is fit for a log. The cause holds the driver's own words, which can show parts of a connection string.
    """


class DatabaseNotReady(DatabaseUnavailable):
    """The server is there, but somebody has to act first: migrate it, grant a role, mend the connection string."""
