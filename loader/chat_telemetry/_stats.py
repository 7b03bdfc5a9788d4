"""The counters of a client."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stats:
    """Counters of one client in this process, from its first record on.

    accepted + recovered = stored + duplicates + rejected + lost + left + pending; those dropped, withheld and invalid
    were never accepted.
    """

    accepted: int = 0
    stored: int = 0
    duplicates: int = 0
    """In the table already, for example because the answer to a first try was lost with its connection."""
    rejected: int = 0
    """Refused by the database for good: a user that does not exist, a number too large for its column."""
    lost: int = 0
    """Given up by a close, or an exit, that ran out of time, and in no journal."""
    left: int = 0
    """Not delivered by a close, or an exit, that ran out of time, but in the journal, for another process to send."""
    pending: int = 0
    """In the queue, in the journal or under way."""
    recovered: int = 0
    """Found in the journals of processes that are gone, and answered for by the database."""
    dropped: int = 0
    """Turned away: the queue was full, the client closed or switched off, or no database configured."""
    withheld: int = 0
    """Turned away by the `redact` hook: it returned None, or raised."""
    invalid: int = 0
    """Turned away: no record, or one that cannot be encoded."""
    truncated: int = 0
    """Accepted with a text cut to its limit."""
    repaired: int = 0
    """Accepted with an odd value replaced: a negative duration or count by null, an impossible time by the present."""
    journal_failures: int = 0
    """Lines and dead letters that the disk did not take: the lines went to memory instead."""
