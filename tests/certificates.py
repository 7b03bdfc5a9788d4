"""Certificates for a server that clients verify, made by the command `openssl` 3, which Debian has."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

NEW_KEY = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]


@dataclass(frozen=True)
class Certificate:
    """The PEM files of a server's certificate, of its key, and of the authority that signed it."""

    certificate: Path
    key: Path
    authority: Path


def make_certificate(directory: Path, host: str) -> Certificate:
    """A certificate for `host`, signed by a new authority; both are valid for two days."""
    directory.mkdir(parents=True, exist_ok=True)
    made = Certificate(directory / "server.crt", directory / "server.key", directory / "authority.crt")
    authority_key = directory / "authority.key"
    subject = ["-subj", "/CN=Tests", "-keyout", str(authority_key), "-out", str(made.authority)]
    subprocess.run([*NEW_KEY, *subject], check=True, capture_output=True)
    subject = ["-subj", f"/CN={host}", "-keyout", str(made.key), "-out", str(made.certificate)]
    signed_by = ["-CA", str(made.authority), "-CAkey", str(authority_key)]
    extensions = ["-addext", f"subjectAltName=DNS:{host}", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*NEW_KEY, *signed_by, *subject, *extensions], check=True, capture_output=True)
    return made
