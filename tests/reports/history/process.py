"""dbt as a separate process, which a test can watch and kill."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.dbt_project import DbtProject

TIMEOUT_S = 240
DBT = Path(sys.executable).with_name("dbt")
SEAM = re.compile(r" (?:START|OK) ")


class DbtProcess:
    """`dbt ARGUMENTS`, running. Its output goes to a file."""

    def __init__(self, project: DbtProject, *arguments: str, **variables: Any) -> None:
        handle, name = tempfile.mkstemp(dir=project.scratch, suffix=".out")
        self._output = Path(name)
        with os.fdopen(handle, "wb") as output:
            self._process = subprocess.Popen(
                [str(DBT), "--no-use-colors", *project.command(*arguments, **variables)],
                env={**os.environ, **project.environment()},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self._output.read_text(encoding="utf-8")

    def seams(self) -> int:
        """How many starts and ends of models dbt has printed so far."""
        return len(SEAM.findall(self.said()))

    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(TIMEOUT_S)

    def succeeded(self) -> bool:
        """Wait for the end of the process; returns whether it succeeded."""
        return self._process.wait(TIMEOUT_S) == 0
