"""The command line `chat-telemetry`: nothing here is imported by chat code."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit; without the extra `cli`, say how to get it."""
    try:
        from chat_telemetry._cli.app import run  # noqa: PLC0415  # the extra may not be installed
    except ImportError as error:
        if "chat_telemetry" in (error.name or ""):
            raise
        sys.exit(f"error: the command line needs more packages ({error}): pip install 'chat-telemetry[cli]'")
    sys.exit(run())
