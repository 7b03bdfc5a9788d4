"""Posts a message about alerts to a webhook. Slack, Mattermost and Discord's Slack endpoint show its `text`."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from threading import Thread
from typing import Annotated, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import typer

from chat_telemetry._cli.alerts.evaluation import Breach
from chat_telemetry._cli.errors import CommandError, one_line
from chat_telemetry._database_url import unquoted

TIMEOUT_S = 10.0


class NotPosted(CommandError):
    """The webhook did not accept the message. The text does not have the URL, which is a secret."""


def _checked(url: str | None) -> str | None:
    """Rejects what is no URL. The message does not quote it."""
    url = unquoted(url or "")
    if not url:
        return None
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not url.isascii() or not url.isprintable() or " " in url or "@" in parts.netloc:
        raise typer.BadParameter("expected an ASCII URL that begins with https:// or http://, without a user")
    return url


Webhook = Annotated[
    str | None,
    typer.Option(
        "--webhook",
        envvar="CHAT_TELEMETRY_WEBHOOK_URL",
        metavar="URL",
        callback=_checked,
        help="Post a message about alerts to this URL.",
    ),
]


def message(database: str, began: Sequence[Breach], ended: Sequence[Breach] = ()) -> dict[str, Any]:
    """The message: `text` for people, the rest for programs."""
    lines = [f"chat-telemetry, database {database}"]
    lines += [str(breach) for breach in began]
    lines += [f"{breach.name}: ended" for breach in ended]
    return {
        "text": "\n".join(lines),
        "database": database,
        "began": [breach.as_json() for breach in began],
        "ended": [breach.as_json() for breach in ended],
    }


def post(url: str, body: dict[str, Any]) -> None:
    """Post once. Raises NotPosted if it takes longer than TIMEOUT_S or the answer is no success."""
    # The timeout of a socket begins again with each byte of an answer.
    problems = ["no answer in time"]

    def run() -> None:
        problems[:] = _problems(url, body)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    if problems:
        raise NotPosted(f"the webhook did not accept the message: {problems[0]}")


def _problems(url: str, body: dict[str, Any]) -> list[str]:
    data = json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json", "User-Agent": "chat-telemetry"})  # noqa: S310
    try:
        with build_opener(_NoRedirects).open(request, timeout=TIMEOUT_S):
            return []
    except HTTPError as error:
        error.close()
        return [f"HTTP status {error.code}"]
    except URLError as error:
        return [one_line(str(error.reason))]
    except (OSError, ValueError, http.client.HTTPException) as error:
        return [type(error).__name__]  # its text can have a part of the URL


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would repeat the request without its body."""

    def redirect_request(self, *_: Any) -> None:
        return None
