"""A copy of the project, in which tests run while a file is mutated."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from tools.mutants.mutant import Mutant, applied

ROOT = Path(__file__).parents[2]
TIMED_OUT = -1
# A mutant that hangs does so in one test as a rule. Most tests take a second or two.
TEST_LIMIT_S = 120
# Otherwise it hangs while pytest imports it. The longest test takes less, on a machine that is busy with others.
SILENCE_LIMIT_S = 600


@dataclass(frozen=True)
class PytestRun:
    """The outcome of a run of pytest."""

    code: int
    """pytest's exit code, or TIMED_OUT."""
    seconds: float
    output: str

    @property
    def first_failure(self) -> str:
        """The test that failed first, or the file that cannot be imported; empty if pytest names none."""
        words = [line.split() for line in self.output.splitlines()]
        return next((line[1] for line in words if len(line) > 1 and line[0] in {"FAILED", "ERROR"}), "")

    @property
    def is_time_out(self) -> bool:
        return self.code == TIMED_OUT or "Failed: Timeout" in self.output


class Workplace:
    """One copy, used by one thread at a time. After each run, all that it left is removed, servers included."""

    def __init__(self, directory: Path, root: Path, paths: Sequence[str], seed: int) -> None:
        self.tree = directory / "tree"
        self._scratch = directory / "tmp"
        self._seed = seed
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        for path in paths:
            copy = self.tree / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / path, copy)

    def run(self, tests: Sequence[str]) -> PytestRun:
        """pytest on these files in this order, on PostgreSQL 18, up to the first test that fails."""
        self._scratch.mkdir()
        output = self._scratch / "output"
        started = time.monotonic()
        process = self._process = self._start(tests, output)
        try:
            code = self._wait(process, output)
        finally:
            self._end()
        run = PytestRun(code, time.monotonic() - started, output.read_text(errors="replace"))
        self._clear()
        return run

    @contextlib.contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """The copy with the mutant in it."""
        file = self.tree / mutant.path
        original = file.read_text(encoding="utf-8")
        file.write_text(applied(original, mutant.edit), encoding="utf-8")
        try:
            yield
        finally:
            file.write_text(original, encoding="utf-8")

    def close(self) -> None:
        """End the run that is under way; another one ends as soon as it begins."""
        self._is_closed = True
        self._end()

    def _start(self, tests: Sequence[str], output: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "pytest", "-x", "-rfE", "--tb=short", "-p", "tools.mutants.in_order"]
        command += ["-k", "not postgres16", f"--timeout={TEST_LIMIT_S}", f"--hypothesis-seed={self._seed}", *tests]
        with output.open("wb") as file:
            return subprocess.Popen(
                command,
                cwd=self.tree,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait(self, process: subprocess.Popen[bytes], output: Path) -> int:
        """pytest's exit code, or TIMED_OUT if it has printed nothing for long."""
        size, printed_at = 0, time.monotonic()
        while not self._is_closed and time.monotonic() - printed_at < SILENCE_LIMIT_S:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(0.5)
            if output.stat().st_size > size:
                size, printed_at = output.stat().st_size, time.monotonic()
        return TIMED_OUT

    def _end(self) -> None:
        """End the run, if there is one, with all that it started in its process group."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _environment(self) -> Mapping[str, str]:
        environment = {
            **os.environ,
            # The last one is for the plugin, should the copy have none.
            "PYTHONPATH": os.pathsep.join(map(str, [self.tree / "loader", self.tree, ROOT])),
            # Two mutants of a file can have the same size and second: bytecode of the first would pass for the other's.
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self._scratch),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self._scratch / "hypothesis"),
            "CHAT_TELEMETRY_TEST_SEED": str(self._seed),
        }
        environment.pop("CHAT_TELEMETRY_TEST_DATABASE_URL", None)
        return environment

    def _clear(self) -> None:
        # pg_ctl starts a server in a session of its own, so it outlives the process group.
        for pid_file in self._scratch.rglob("data/postmaster.pid"):
            data = pid_file.parent
            version = int((data / "PG_VERSION").read_text())
            EmbeddedPostgres(data.parent, version=version).stop("immediate")
        shutil.rmtree(self._scratch, ignore_errors=True)
