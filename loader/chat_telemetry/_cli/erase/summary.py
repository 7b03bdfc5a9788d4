"""What an erasure did and what is left, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from chat_telemetry._cli.erase.journals import CleanedDirectory
from chat_telemetry._cli.erase.log import ErasedUser
from chat_telemetry._cli.erase.remains import Remains
from chat_telemetry._cli.tables import number

NOTHING_LEFT = "nothing is left in the log, the change feed, the rollups, the reports and the planner's statistics"
# The places that the command cannot reach.
ELSEWHERE = (
    "journals and dead letters of other chat processes (CHAT_TELEMETRY_JOURNAL_DIR): run this command there as the user"
    " of the process, with --files-only and --journal-dir",
    "files that `chat-telemetry load` wrote: *.rejected.jsonl and *.rejected.reasons.txt, and the files that it loaded",
    "the server's log, backups, and copies that you made of the log or of reports",
)


@dataclass
class Erasure:
    """The outcome of the command, as far as it has come."""

    users: list[ErasedUser]
    directories: list[CleanedDirectory]
    in_database: bool
    """Whether the database is erased, too, not only files."""
    models: int | None = None
    """How many models dbt ran; None if it did not run."""
    left: list[Remains] = field(default_factory=list)

    @property
    def user_ids(self) -> list[UUID]:
        """The ids of the users."""
        return [user.user_id for user in self.users]

    def so_far(self) -> str:
        """What is done, for the error of a command that failed in between."""
        rows = sum(user.log_rows for user in self.users)
        lines = sum(directory.dead_letters + directory.records for directory in self.directories)
        deleted = f"{number(rows, 'row')} of the log and {number(lines, 'line')} of files deleted"
        return deleted if self.models is None else f"{deleted}, dbt run"

    def as_text(self) -> Iterator[str]:
        """The lines of the summary."""
        for user in self.users if self.in_database else ():
            yield f"{user.user_id}: {_deleted(user)}"
            if user.remains_in_auth_users:
                yield (
                    f"{user.user_id}: auth.users belongs to your application: delete the user there, too, otherwise "
                    "new requests, and records that arrive late, are stored"
                )
        for directory in self.directories:
            letters, records = number(directory.dead_letters, "dead letter"), number(directory.records, "record")
            yield f"{directory.directory}: {letters} and {records} of journals deleted"
        if self.models is not None:
            yield f"dbt run: {number(self.models, 'model')}"
        for place, what_to_do in self.left:
            yield f"left: {place}: {what_to_do}"
        if not self.left:
            yield NOTHING_LEFT if self.in_database else "nothing is left in these directories"
        yield "look also at:"
        yield from (f"  {place}" for place in ELSEWHERE)

    def as_json(self) -> bytes:
        """One object."""
        summary: dict[str, Any] = {
            "users": [user for user in self.users if self.in_database],
            "journals": [
                {"directory": str(each.directory), "dead_letters": each.dead_letters, "records": each.records}
                for each in self.directories
            ],
            "dbt_models": self.models,
            "left": [each._asdict() for each in self.left],
            "look_also_at": ELSEWHERE,
        }
        return msgspec.json.format(msgspec.json.encode(summary), indent=2)


def _deleted(user: ErasedUser) -> str:
    deleted = [
        *([number(user.log_rows, "row") + " of the log"] if user.log_rows else []),
        *([number(user.conversations, "conversation")] if user.conversations else []),
        *(["the row of auth.users"] if user.auth_users else []),
    ]
    return f"{', '.join(deleted)} deleted" if deleted else "nothing was in the log"
