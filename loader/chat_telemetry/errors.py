"""The errors that the package raises: one family, each message says what happened and what to do."""

from __future__ import annotations


class TelemetryError(Exception):
    """The root of the family."""
