"""The output: a line per trial, the survivors, a table."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tools.mutants.mutant import Mutant
from tools.mutants.trials import Trial, Verdict

# Of the mutants that are tried, the share that has to be killed, or judged equivalent.
WANTED = {"Python": 0.95, "SQL": 0.90}
HEADINGS = ("part", "tried", "killed", "of them by time-out", "survived", "judged equivalent")


def language_of(path: str) -> str:
    return "Python" if path.endswith(".py") else "SQL"


def progress_line(trial: Trial, number: int, count: int) -> str:
    mutant = trial.mutant
    what = f"{mutant.path}:{mutant.line} {mutant.edit.operator}"
    return f"[{number:3}/{count}] {trial.verdict:10} {trial.seconds:5.0f} s  {what}  {trial.remark}".rstrip()


def mutant_lines(mutant: Mutant) -> str:
    return f"{mutant.path}:{mutant.line} {mutant.edit.operator}\n  {mutant.before}\n  {mutant.after}"


def result_lines(trials: Sequence[Trial]) -> Iterator[str]:
    """The survivors, the table, and what is wrong with it."""
    trials = sorted(trials, key=lambda trial: trial.mutant)
    for trial in trials:
        if trial.verdict == Verdict.SURVIVED:
            yield from ("", *survivor_lines(trial))
    yield from ("", *table_lines(trials), "", *falls_short(trials))


def survivor_lines(trial: Trial) -> Iterator[str]:
    """One survivor, in the form of the list of equivalent mutants."""
    mutant = trial.mutant
    yield f"# line {mutant.line}, {mutant.edit.operator}"
    for name, text in (("path", mutant.path), ("before", mutant.before), ("after", mutant.after)):
        yield f"{name} = {json.dumps(text, ensure_ascii=False)}"


def table_lines(trials: Sequence[Trial]) -> Iterator[str]:
    """A row per folder, and one per language."""
    counts: dict[str, Counter[Verdict]] = defaultdict(Counter)
    for trial in trials:
        counts[trial.mutant.path.rpartition("/")[0]][trial.verdict] += 1
    for trial in trials:
        counts[f"**{language_of(trial.mutant.path)}**"][trial.verdict] += 1
    yield f"| {' | '.join(HEADINGS)} |"
    yield f"| --- |{' ---: |' * (len(HEADINGS) - 1)}"
    for part, verdicts in counts.items():
        killed = verdicts[Verdict.KILLED] + verdicts[Verdict.TIMED_OUT]
        numbers = (verdicts.total(), killed, *(verdicts[v] for v in list(Verdict)[1:]))
        yield f"| {part} | {' | '.join(map(str, numbers))} |"


def share(trials: Iterable[Trial]) -> float:
    """How much of the trials no test has to be written for."""
    trials = list(trials)
    survived = sum(trial.verdict == Verdict.SURVIVED for trial in trials)
    return 1 - survived / len(trials) if trials else 1.0


def falls_short(trials: Sequence[Trial]) -> list[str]:
    """What is wrong with each language of which too many mutants survived."""
    found = []
    for language, wanted in WANTED.items():
        reached = share(trial for trial in trials if language_of(trial.mutant.path) == language)
        if reached < wanted:
            found.append(f"{language}: {reached:.1%} killed or judged equivalent, {wanted:.0%} are wanted")
    return found
