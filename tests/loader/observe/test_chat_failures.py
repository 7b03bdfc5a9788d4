from __future__ import annotations

from itertools import islice

from chat_telemetry._observe.chat_failures import origins


def test_exceptions_that_cause_each_other_are_each_visited_once() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    second.__context__ = second
    assert list(islice(origins(first), 10)) == [first, second]


def test_causes_contexts_and_the_members_of_groups_are_visited() -> None:
    cause, context, member = ValueError("cause"), ValueError("context"), ValueError("member")
    member.__cause__, member.__context__ = cause, context
    group = ExceptionGroup("group", [ExceptionGroup("inner", [member])])
    visited = list(islice(origins(group), 10))
    assert {str(error) for error in visited if type(error) is ValueError} == {"cause", "context", "member"}
