"""The counters of a client."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stats:
    """Counts of records of one client in this process, since its first record.

    accepted + recovered = stored + duplicates + rejected + discarded_at_exit + left_in_journal + pending. Records that
    are counted as dropped, redacted or invalid were not accepted.
    """

    accepted: int = 0
    """Queued for delivery."""
    stored: int = 0
    """Inserted into the log."""
    duplicates: int = 0
    """In the log already, for example because a first attempt was stored and its connection broke before the reply."""
    rejected: int = 0
    """Permanently rejected by the database, for example because the user does not exist."""
    discarded_at_exit: int = 0
    """Accepted, but not known to be delivered and in no journal when the timeout of a close or of the exit was over."""
    left_in_journal: int = 0
    """Not delivered when the timeout of a close or of the exit was over. Another process sends them."""
    pending: int = 0
    """In the queue, in the journal, or in the batch that is being sent."""
    recovered: int = 0
    """Found in the journals of dead processes, and stored, duplicates or rejected since."""
    dropped: int = 0
    """Not accepted: the queue was full, the client closed or disabled, or no database configured."""
    redacted: int = 0
    """Not accepted: the `redact` hook returned None or raised."""
    invalid: int = 0
    """Not accepted: not a record, or a record that cannot be encoded."""
    truncated: int = 0
    """Accepted with a text cut to its limit."""
    repaired: int = 0
    """Accepted with an odd value replaced: a negative duration or count by null, an impossible time by the present."""
    journal_failures: int = 0
    """Failed writes of lines and dead letters to the disk. The lines went to memory instead."""
