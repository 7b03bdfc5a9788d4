"""The UUIDs of the bundle. The same name gives the same UUID, so that an import replaces what an earlier one made."""

from __future__ import annotations

import uuid

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/chat-telemetry/chat-telemetry/bi/superset")


def uuid_of(kind: str, name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{kind}/{name}"))
