"""Runs commands in a shell on a terminal of its own, and types the passwords for which programs ask there."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.docs.sections import Block

# What psql asks: `Enter new password for user "chat_app": `, `Enter it again: `, `Password for user chat_app: `.
QUESTION = re.compile(rb"(password[^\n]*|again): ?\Z", re.IGNORECASE)
POLL_S = 0.1
# Makes its standard input the terminal of a new session, then becomes the program of its arguments.
ON_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class CommandsFailed(AssertionError):
    """A block failed or did not end. The message has the block's place and text, and all output."""


@dataclass(frozen=True)
class Terminal:
    """Where commands run: a working directory, folders for programs and files of the tests, and the typed password."""

    directory: Path
    scratch: Path
    password: str
    timeout_s: float

    def run(self, blocks: Sequence[Block], environment: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """Run the blocks in one `sh -eu`, and return the output and the environment at the end.

        A variable lasts until the end of the blocks, and an exported one is in the environment at the end.
        """
        script, log, left = (self.scratch / name for name in ("script.sh", "output", "environment"))
        script.write_text(self._script(blocks, left), encoding="utf-8")
        with log.open("wb") as output:
            end = self._execute(["sh", "-eu", str(script)], environment, output.fileno())
        printed = log.read_text(encoding="utf-8", errors="replace")
        if end != "exit code 0":
            raise CommandsFailed(f"{_last_reached(blocks, printed)}\n{end}, output:\n{printed}")
        variables = left.read_text(encoding="utf-8").split("\0")
        return printed, dict(variable.split("=", 1) for variable in variables if variable)

    def _script(self, blocks: Sequence[Block], left: Path) -> str:
        lines = [f"cd {shlex.quote(str(self.directory))}"]
        for number, block in enumerate(blocks):
            file = self.scratch / f"block-{number}.sh"
            file.write_text(block.text, encoding="utf-8")
            lines += [f"echo {shlex.quote(_mark(block))}", f". {shlex.quote(str(file))}"]
        return "\n".join([*lines, f"env -0 > {shlex.quote(str(left))}", ""])

    def _execute(self, command: Sequence[str], environment: Mapping[str, str], output: int) -> str:
        """How the command ended. If the time is over, it is killed, with all that it started in its group."""
        master, slave = os.openpty()
        _switch_echo_off(slave)
        try:
            started = [sys.executable, "-c", ON_A_TERMINAL, *command]
            with subprocess.Popen(started, stdin=slave, stdout=output, stderr=output, env=environment) as process:
                os.close(slave)
                asked = self._type_passwords(master, process)
                if process.poll() is not None:
                    return f"exit code {process.returncode}"
                os.killpg(process.pid, signal.SIGKILL)
                return f"no end after {self.timeout_s:.0f} s, last question {asked.decode(errors='replace')!r}"
        finally:
            os.close(master)

    def _type_passwords(self, master: int, process: subprocess.Popen[bytes]) -> bytes:
        """Until the process or the time ends. Returns what was printed on the terminal since the last password."""
        asked = b""
        deadline = time.monotonic() + self.timeout_s
        while process.poll() is None and time.monotonic() < deadline:
            if not select.select([master], [], [], POLL_S)[0]:
                continue
            try:
                asked += os.read(master, 4096)
            except OSError:  # the last program on the terminal has ended
                time.sleep(POLL_S)
            if QUESTION.search(asked):
                os.write(master, f"{self.password}\n".encode())
                asked = b""
        if select.select([master], [], [], 0)[0]:
            with contextlib.suppress(OSError):  # the same
                asked += os.read(master, 4096)
        return asked


def _last_reached(blocks: Sequence[Block], printed: str) -> str:
    reached = [block for block in blocks if f"{_mark(block)}\n" in printed]
    return f"{reached[-1]} failed:\n{reached[-1].text}" if reached else "no block was reached"


def _mark(block: Block) -> str:
    return f"==> {block}"


def _switch_echo_off(terminal: int) -> None:
    attributes = termios.tcgetattr(terminal)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
