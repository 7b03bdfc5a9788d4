"""The licence of a package as an SPDX expression: from its metadata, or read by a person."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

REVIEWED = Path(__file__).with_name("reviewed.toml")
# Classifiers that name one licence. That of BSD does not say which of its licences it is.
CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
TO_DO = f"read its licence, and add it to {REVIEWED.name}"


class LicenceUnknown(Exception):
    """Neither the metadata nor reviewed.toml says the licence. The message says what to do."""


def read_reviewed(path: Path = REVIEWED) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def licence_of(name: str, reviewed: Mapping[str, Any]) -> str:
    """The licence of the package. Raises LicenceUnknown if nobody read it, or if its metadata changed since."""
    entry = reviewed["package"].get(name, {})
    says = _metadata_says(name)
    if says is None and "licence" in entry and "says" not in entry:
        return str(entry["licence"])
    if says is None:
        raise LicenceUnknown(f"{name} is not installed here: {TO_DO}")
    expression = _expression(says)
    if expression and not entry:
        return expression
    if not entry or entry.get("says") not in says:
        raise LicenceUnknown(f"{name} says {' and '.join(says) or 'nothing'}: {TO_DO}")
    return str(entry["licence"])


def _metadata_says(name: str) -> list[str] | None:
    """What the metadata says, the most exact first. None if the package is not installed."""
    try:
        fields = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    classifiers = [value for value in fields.get_all("Classifier") or [] if value.startswith("License ::")]
    texts = [fields.get_all(field, [""])[0].splitlines()[:1] for field in ("License-Expression", "License")]
    return [*texts[0], *texts[1], *classifiers]


def _expression(says: list[str]) -> str | None:
    if says:
        try:
            return canonicalize_license_expression(says[0])
        except InvalidLicenseExpression:
            pass
    licences = {CLASSIFIERS.get(text) for text in says if text.startswith("License ::")}
    return licences.pop() if len(licences) == 1 else None
