from __future__ import annotations

from uuid import UUID

import pytest
import uuid_utils

from chat_telemetry import ANONYMOUS_USER, user_key
from tests.loader.conftest import USER


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("auth0|65f1", UUID("19e9395b-7ab4-5fbe-8cf7-18fa25a95a96")),
        (42, UUID("51cf4f9b-1214-5ffa-b384-0345eeb204ab")),
        ("42", UUID("51cf4f9b-1214-5ffa-b384-0345eeb204ab")),
        (b"42", UUID("51cf4f9b-1214-5ffa-b384-0345eeb204ab")),
        (USER, USER),
        (str(USER), USER),
        (uuid_utils.UUID(str(USER)), USER),
        (None, ANONYMOUS_USER),
    ],
)
def test_a_key_always_gives_the_same_user_id(key: object, expected: UUID) -> None:
    assert user_key(key) == expected


def test_different_keys_give_different_users() -> None:
    keys = [1, 2, "a", "A", "a ", "", "ä", b"\xff", 1.5, True, "\ud800", "\udc00"]
    assert len({user_key(key) for key in keys}) == len(keys)
    assert user_key("a").version == 5


def test_an_object_without_a_text_of_its_own_is_no_key() -> None:
    class User:
        pass

    with pytest.raises(TypeError, match="user_key needs an id, for example an integer or a text, not User"):
        user_key(User())
