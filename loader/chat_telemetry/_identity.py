"""User ids for applications whose users have no UUID, and for chats without a user."""

from __future__ import annotations

from uuid import UUID, uuid5

ANONYMOUS_USER = UUID(int=0)
"""The user of chats without one: 00000000-0000-0000-0000-000000000000. All of them count as one user."""

# Fixed, because a user must get the same id in every version.
_NAMESPACE = UUID("f2ad32dd-4b5c-5b7e-9d0f-6d1c7b0f8c11")


def user_key(key: object) -> UUID:
    """The `user_id` of a user whose id is not a UUID: an integer, or a text such as `auth0|65f1…` or an e-mail address.

    The same key always gives the same id, a version 5 UUID, and so do 42 and "42". Nobody can compute the key from the
    id, but who knows the key can compute the id. A UUID stays as it is, and None gives ANONYMOUS_USER.
    """
    if key is None:
        return ANONYMOUS_USER
    if isinstance(key, UUID):
        return key
    return uuid5(_NAMESPACE, key.decode(errors="replace") if isinstance(key, bytes) else str(key))
