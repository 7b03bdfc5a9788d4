"""Finds fields by name in model responses: in dicts, also in camelCase, and in objects of any package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

# What is known of a class is forgotten when there are more classes than this: an application can make them at run time.
MAX_CLASSES = 1000

_Plan = tuple[tuple[str, ...], bool]


class Fields:
    """A group of field names, and which of them the objects of each class can have.

    Asking an object of pydantic for a field that it does not have takes a microsecond, and chunks of a stream have few
    of the fields. So each class is asked once.
    """

    def __init__(self, *names: str) -> None:
        self._names_by_key = {key: name for name in names for key in (camel_case(name), name)}
        self._names = names
        self._plans: dict[type, _Plan | None] = {}

    def of(self, part: Any) -> list[tuple[str, Any]]:
        """The fields that `part` has and that are not None: names and values. Raises what a field of `part` raises."""
        kind = type(part)
        try:
            plan = self._plans[kind]
        except KeyError:
            plan = self._plan(kind)
        if plan is None:
            return self._in_dict(part)
        names, has_extras = plan
        found = [(name, value) for name in names if (value := getattr(part, name, None)) is not None]
        if has_extras and (extras := part.__pydantic_extra__):
            found += self._in_dict(extras)
        return found

    def _in_dict(self, part: Mapping[Any, Any]) -> list[tuple[str, Any]]:
        names = self._names_by_key
        if len(part) > len(names):
            return [(name, value) for key, name in names.items() if (value := part.get(key)) is not None]
        return [(names[key], value) for key, value in part.items() if key in names and value is not None]

    def _plan(self, kind: type) -> _Plan | None:
        """The names that objects of this class can have, and whether they can have others. None: they are mappings."""
        if len(self._plans) >= MAX_CLASSES:
            self._plans.clear()
        if issubclass(kind, Mapping):
            plan = None
        elif isinstance(fields := getattr(kind, "__pydantic_fields__", None), dict):
            names = tuple(name for name in self._names if name in fields or hasattr(kind, name))
            plan = names, getattr(kind, "model_config", {}).get("extra") == "allow"
        elif kind in _PLAIN:
            plan = (), False
        else:
            plan = self._names, False
        self._plans[kind] = plan
        return plan


_PLAIN = {str, bytes, int, float, bool, type(None), list, tuple, set}


def at(part: Any, path: str) -> Any:
    """The value at a path of names, for example `delta.text`. None if a part of the path is missing."""
    for name in path.split("."):
        if part is None:
            return None
        part = _get(part, name)
    return part


def text_at(part: Any, path: str) -> str | None:
    """The text at a path of names. None if it is missing, empty or no text."""
    value = at(part, path)
    return value if isinstance(value, str) and value else None


def items(value: Any) -> Iterable[Any]:
    """The items of a list or tuple; nothing for anything else."""
    return value if isinstance(value, list | tuple) else ()


def names_of(part: Any) -> Iterable[str]:
    """The names of all fields of a dict or an object."""
    if isinstance(part, Mapping):
        return [name for name in part if isinstance(name, str)]
    names = getattr(part, "__dict__", ())
    extras = getattr(part, "__pydantic_extra__", None)
    return [*names, *extras] if extras else names


def _get(part: Any, name: str) -> Any:
    found = _one_field(name).of(part)
    return found[0][1] if found else None


@cache
def _one_field(name: str) -> Fields:
    return Fields(name)


def camel_case(name: str) -> str:
    """`input_tokens` as `inputTokens`."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
