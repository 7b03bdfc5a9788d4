"""The exceptions of the package. Each message says what happened and what to do."""

from __future__ import annotations


class TelemetryError(Exception):
    """The base class of all exceptions that the package raises."""


class InvalidRecord(TelemetryError):
    """A record cannot be encoded. The message names types and no contents, so that it can be logged."""


class DatabaseUnavailable(TelemetryError):
    """The server cannot be reached, or cannot accept a batch now. Try again later: nothing of the batch is lost.

    The message is safe to log. The cause is the driver's exception, which can quote parts of a connection string.
    """


class DatabaseNotReady(DatabaseUnavailable):
    """An operator has to act first: apply migrations, grant privileges to a role, or fix the connection string."""
