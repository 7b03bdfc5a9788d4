"""The command line `chat-telemetry`. Chat code imports nothing of this package."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit. Without the extra `cli`, print how to install it."""
    try:
        from chat_telemetry._cli.app import run  # noqa: PLC0415  # the extra may not be installed
    except ImportError as error:
        if "chat_telemetry" in (error.name or ""):
            raise
        sys.exit(f"error: the command line needs more packages ({error}): pip install 'chat-telemetry[cli]'")
    sys.exit(run())
