"""What a provider reports instead of raising: the status of a model response, or an error in its stream."""

from __future__ import annotations

from collections.abc import Mapping

from chat_telemetry._observe.fields import at, names_of, text_at

CANCELLED = "response cancelled"
"""How the failure of a response begins that the provider or the application cancelled."""

_STATUSES = {"failed", "incomplete", "cancelled"}
_OBJECTS = {"response", "realtime.response"}
# The names of a dict that is an error and nothing else. The state of an agent may have an `error` of its own.
_NAMES_OF_ERRORS = {
    *("error", "type", "status", "code", "message", "param", "request_id", "event_id", "sequence_number"),
    *("id", "object", "model", "created", "done"),
}


def status_of(part: object, *, is_response: bool) -> str | None:
    """The status of a model response: completed, failed, incomplete or cancelled. None if this is something else."""
    status = text_at(part, "status")
    if status not in {"completed", *_STATUSES} or not (is_response or _is_response(part)):
        return None
    return status


def failure_of(part: object, status: str | None) -> str | None:
    """The failure that this part reports: the status, and the reason if there is one."""
    reasons = [text_at(part, "incomplete_details.reason") or text_at(part, "status_details.reason")]
    if status in _STATUSES:
        reasons += _texts(at(part, "error")) or _texts(at(part, "status_details.error"))
        return ": ".join([f"response {status}", *filter(None, reasons)])
    if not _is_error(part):
        return None
    texts = _texts(at(part, "error")) or _texts(part)
    return ": ".join(texts) or None


def _is_response(part: object) -> bool:
    if text_at(part, "model") is not None or text_at(part, "object") in _OBJECTS:
        return True
    has_details = at(part, "incomplete_details") is not None or at(part, "status_details") is not None
    return has_details or _is_only_an_error(part)


def _is_error(part: object) -> bool:
    if at(part, "type") == "error" or at(part, "choices") is not None:
        return True
    return _is_only_an_error(part)


def _is_only_an_error(part: object) -> bool:
    return isinstance(part, Mapping) and _NAMES_OF_ERRORS.issuperset(names_of(part))


def _texts(error: object) -> list[str]:
    """The code and the message of an error. Nothing for an object of another kind."""
    if isinstance(error, str):
        return [error]
    texts = (at(error, "code"), at(error, "message"))
    return [str(text) for text in texts if isinstance(text, str | int)]
