"""User ids for applications whose users have no UUID, and for chats without a user."""

from __future__ import annotations

from uuid import UUID, uuid5

from chat_telemetry._conversions import ODD, as_uuid

ANONYMOUS_USER = UUID(int=0)
"""The user of chats without one: 00000000-0000-0000-0000-000000000000. All of them count as one user."""

# Fixed, because a user must get the same id in every version.
_NAMESPACE = UUID("f2ad32dd-4b5c-5b7e-9d0f-6d1c7b0f8c11")


def user_key(key: object) -> UUID:
    """The `user_id` of a user whose id is not a UUID: an integer, or a text such as `auth0|65f1…` or an e-mail address.

    The same key always gives the same id, a version 5 UUID, and so do 42 and "42". Nobody can compute the key from the
    id, but who knows the key can compute the id. A UUID, also as text, stays as it is, and None gives ANONYMOUS_USER.
    Raises TypeError for an object without a text of its own, whose key would change with each process.
    """
    if key is None:
        return ANONYMOUS_USER
    if not isinstance(key, bytes) and (known := as_uuid(key)) is not ODD:
        return UUID(str(known))
    if isinstance(key, bytes):
        return uuid5(_NAMESPACE, key.decode(errors="backslashreplace"))
    if type(key).__str__ is object.__str__ and type(key).__repr__ is object.__repr__:
        raise TypeError(f"user_key needs an id, for example an integer or a text, not {type(key).__name__}")
    return uuid5(_NAMESPACE, str(key).encode(errors="backslashreplace").decode())
