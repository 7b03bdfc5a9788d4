"""`python -m tools.grafana.schema`: read the dashboard and the alert rules with the types of Grafana's Foundation SDK.

The SDK has no type for a query of PostgreSQL, so `targets` are not checked here, and it reads a value without looking
at its type. So each value is compared with its type, and each key has to be in what the SDK writes.
"""

from __future__ import annotations

import enum
import json
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.alerting import Rule
from grafana_foundation_sdk.models.dashboard import Dashboard

from tools.grafana.__main__ import FILE, ROOT

ALERTS = ROOT / "bi/grafana/provisioning/alerting/chat_telemetry.yaml"


def main() -> int:
    register_default_plugins()
    rules = [rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
    read = [(Dashboard, json.loads((ROOT / FILE).read_text(encoding="utf-8"))), *((Rule, rule) for rule in rules)]
    found = [problem for kind, data in read for problem in problems(kind, data)]
    sys.stderr.writelines(f"{problem}\n" for problem in found)
    return int(bool(found))


def problems(kind: Any, data: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the JSON of a dashboard or a rule."""
    parsed = kind.from_json(data)
    yield from mistyped(parsed, kind, data.get("uid", ""))
    yield from lost(data, json.loads(json.dumps(parsed, cls=JSONEncoder)), data.get("uid", ""))


def mistyped(value: Any, hint: Any, path: str) -> Iterator[str]:
    """The values inside `value` that are not of their types."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hasattr(value, "to_json"):
        for name, inner in typing.get_type_hints(type(value)).items():
            yield from mistyped(getattr(value, name), inner, f"{path}.{name}")
    elif origin in (typing.Union, types.UnionType):
        yield from min((list(mistyped(value, one, path)) for one in arguments), key=len)
    elif origin in (list, dict) and isinstance(value, origin):
        for key, one in enumerate(value) if isinstance(value, list) else value.items():
            yield from mistyped(one, arguments[-1], f"{path}.{key}")
    elif not is_a(value, hint, origin, arguments):
        yield f"{path}: {value!r} is not {hint}"


def is_a(value: Any, hint: Any, origin: Any, arguments: tuple[Any, ...]) -> bool:
    if origin is typing.Literal:
        return value in arguments
    if hint in (object, Any):
        return True
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return value in list(hint)
    numeric = (int, float) if hint is float else hint
    return not origin and isinstance(value, numeric) and (hint is bool or not isinstance(value, bool))


def lost(before: Any, after: Any, path: str) -> Iterator[str]:
    """The keys that the SDK does not know, and the values that it changed."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before:
            if key not in after and before[key] is not None:
                yield f"{path}.{key}: unknown"
            yield from lost(before[key], after.get(key, before[key]), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}.{number}")
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


if __name__ == "__main__":
    sys.exit(main())
