"""The REST API of Superset, with the session of its administrator."""

from __future__ import annotations

import http.cookiejar
import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from tools.superset.server import USER, Superset

TIMEOUT_S = 120


class Refused(Exception):
    """Superset did not do what was asked. The message is its own."""


class Client:
    def __init__(self, superset: Superset) -> None:
        self.address = superset.address
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))
        form = urllib.parse.urlencode({"username": USER, "password": superset.password})
        self._send("/login/", form.encode(), "application/x-www-form-urlencoded")

    @property
    def session(self) -> str:
        """The cookie `session`, for a browser."""
        [cookie] = (cookie for cookie in self._cookies if cookie.name == "session")
        return cookie.value or ""

    def get(self, path: str) -> Any:
        return json.loads(self._send(path))

    def list(self, kind: str) -> list[dict[str, Any]]:
        """All objects of this kind, at most 100."""
        return list(self.get(f"/api/v1/{kind}/?q=(page_size:100)")["result"])

    def post(self, path: str, body: Any) -> Any:
        return json.loads(self._send(path, json.dumps(body).encode(), "application/json"))

    def upload(self, path: str, field: str, content: bytes, **others: str) -> Any:
        """Sends a zip file and other fields as a form with several parts."""
        boundary = secrets.token_hex(16)
        parts = [
            (f'form-data; name="{field}"; filename="bundle.zip"\r\nContent-Type: application/zip', content),
            *((f'form-data; name="{name}"', value.encode()) for name, value in others.items()),
        ]
        body = b"".join(
            f"--{boundary}\r\nContent-Disposition: {head}\r\n\r\n".encode() + value + b"\r\n" for head, value in parts
        )
        end = f"--{boundary}--\r\n".encode()
        return json.loads(self._send(path, body + end, f"multipart/form-data; boundary={boundary}"))

    def _send(self, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        headers = {"Content-Type": kind, "Referer": self.address} if body is not None else {}
        request = urllib.request.Request(f"{self.address}{path}", body, headers)  # noqa: S310  # http on this machine
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise Refused(f"{path}: {error.code} {text[:1000]}") from error
