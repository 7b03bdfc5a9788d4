"""The users to erase: their ids from the arguments, and which lines of files are theirs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from chat_telemetry._cli.errors import UsageError
from chat_telemetry._conversions import ODD, as_uuid
from chat_telemetry._identity import ANONYMOUS_USER, user_key
from chat_telemetry._record import COLUMNS

USER_ID = COLUMNS.index("user_id")


def read_users(arguments: Sequence[str], are_keys: bool) -> list[UUID]:
    """The ids in the log, each once. Raises UsageError if an argument is none."""
    users = [_user(argument, are_keys) for argument in arguments]
    if ANONYMOUS_USER in users:
        raise UsageError(
            f"{ANONYMOUS_USER} is the user of all chats without a user, which the loader would reject afterwards: "
            "delete rows of public.chat_telemetry_log instead"
        )
    return list(dict.fromkeys(users))


class Lines:
    """Tells whose the lines of journals and dead letters are."""

    def __init__(self, users: Sequence[UUID]) -> None:
        self._users = {*users}
        texts = [text for user in users for text in (str(user), user.hex)]
        self._texts = re.compile("|".join(texts).encode(), re.IGNORECASE)

    def are_of_users(self, line: bytes) -> bool:
        """Whether this is a record of one of the users. Of a line that is no record: whether it has the id of one."""
        user = _user_of(line)
        return self.name_users(line) if user is None else user in self._users

    def name_users(self, text: bytes) -> bool:
        """Whether the text has the id of one of the users."""
        return self._texts.search(text) is not None


def _user(argument: str, is_key: bool) -> UUID:
    if not argument.strip():
        raise UsageError("an empty USER_ID is no user")
    user = user_key(argument) if is_key else as_uuid(argument)
    if user is ODD:
        raise UsageError(
            f"{argument!r} is not a UUID: add --key if your application makes the user_id of it with user_key"
        )
    return UUID(str(user))


def _user_of(line: bytes) -> UUID | None:
    """The user of a journal's line, of a dead letter, or of a record without its letter. None if it is none of them."""
    try:
        record: Any = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if isinstance(record, dict) and "record" in record:
        record = record["record"]
    user: Any = None
    if isinstance(record, dict):
        user = as_uuid(record.get("user_id"))
    elif isinstance(record, list) and len(record) > USER_ID:
        user = as_uuid(record[USER_ID])
    return user if isinstance(user, UUID) else None
