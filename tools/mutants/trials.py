"""The sample, tried: each mutant in a copy of the project, several at once."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from queue import SimpleQueue

from tools.mutants.mutant import Mutant
from tools.mutants.workplace import PytestRun, Workplace


class Verdict(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"
    EQUIVALENT = "equivalent"


@dataclass(frozen=True)
class Trial:
    """A mutant and what became of it."""

    mutant: Mutant
    verdict: Verdict
    seconds: float = 0.0
    remark: str = ""
    """The test that failed, or why the mutant is equivalent."""


class FailsWithoutMutant(Exception):
    """A test fails without a mutant too, so it tells nothing."""


class Trials:
    """Tries mutants in workplaces, one thread for each."""

    def __init__(self, workplaces: Sequence[Workplace]) -> None:
        self._workplaces = workplaces
        self._free: SimpleQueue[Workplace] = SimpleQueue()
        for workplace in workplaces:
            self._free.put(workplace)
        self._passing: set[str] = set()

    def run(self, mutants: Sequence[tuple[Mutant, Sequence[str]]]) -> Generator[Trial, None, None]:
        """Try each mutant with the tests that fit it; yields the trials as they end. Raises FailsWithoutMutant."""
        with ThreadPoolExecutor(len(self._workplaces)) as pool:
            running = [pool.submit(self._try, mutant, tests) for mutant, tests in mutants]
            try:
                for done in as_completed(running):
                    yield done.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                for workplace in self._workplaces:
                    workplace.close()

    def _try(self, mutant: Mutant, tests: Sequence[str]) -> Trial:
        workplace = self._free.get()
        try:
            with workplace.mutated(mutant):
                run = workplace.run(tests)
            if run.code != 0:
                self._confirm(workplace, run, tests)
        finally:
            self._free.put(workplace)
        return Trial(mutant, _verdict(run), run.seconds, run.first_failure)

    def _confirm(self, workplace: Workplace, run: PytestRun, tests: Sequence[str]) -> None:
        """See once that the test which failed passes without the mutant."""
        # With its other parameters, if it has any. Without a name, pytest did not get as far as a test.
        test = run.first_failure.partition("[")[0] or tests[0]
        if test not in self._passing:
            original = workplace.run([test])
            if original.code != 0:  # by chance, perhaps
                original = workplace.run([test])
            if original.code != 0:
                raise FailsWithoutMutant(f"{test} fails without a mutant too:\n{original.output}")
            self._passing.add(test)


def _verdict(run: PytestRun) -> Verdict:
    if run.code == 0:
        return Verdict.SURVIVED
    return Verdict.TIMED_OUT if run.is_time_out else Verdict.KILLED
