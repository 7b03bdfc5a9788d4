"""What a forked child does first. Windows has no fork, so there the actions are never needed."""

from __future__ import annotations

import os
from collections.abc import Callable


def after_fork_in_child(action: Callable[[], object]) -> None:
    """Run `action` in each forked child of this process, before the code that forked continues."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=action)
