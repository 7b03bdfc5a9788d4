"""Change one thing in the code at a time, in a copy, and see whether a test fails.

    make test-mutants
    make test-mutants MUTANTS="--only loader/chat_telemetry/_delivery --python 40 --seed 20261125"

For each survivor, add a test that fails on it. If the change does not matter, add the mutant with the reason to
tools/mutants/equivalent.toml. Exits with 1 if too many survive, with 2 if a test also fails without a mutant.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

from tools.mutants.equivalents import read_equivalents, reason_of
from tools.mutants.fitting_tests import fitting_tests
from tools.mutants.mutant import Mutant
from tools.mutants.sampling import sample
from tools.mutants.sources import PYTHON, SQL, all_mutants, matching, project_files
from tools.mutants.summary import falls_short, mutant_lines, progress_line, result_lines
from tools.mutants.trials import FailsWithoutMutant, Trial, Trials, Verdict
from tools.mutants.workplace import ROOT, Workplace


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make test-mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", type=int, default=150, metavar="N", help="mutants of the loader (150)")
    parser.add_argument(
        "--sql", type=int, default=40, metavar="N", help="of migrations, models, macros, dbt tests (40)"
    )
    parser.add_argument("--only", nargs="+", metavar="PATH", help="files or folders to take them from (default: all)")
    parser.add_argument("--seed", type=int, help="repeats a sample of the same files (default: another one each time)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="mutants at once (one per core)")
    parser.add_argument("--list", action="store_true", help="print the sample and try nothing")
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(10**6)
    return options


def choose(options: argparse.Namespace, paths: Sequence[str]) -> list[Mutant]:
    """The sample of both languages."""
    only = [path.rstrip("/") for path in options.only or []]
    wanted = [path for path in paths if not only or any(f"{path}/".startswith(f"{start}/") for start in only)]
    return [
        mutant
        for patterns, count in ((PYTHON, options.python), (SQL, options.sql))
        for mutant in sample(all_mutants(matching(wanted, patterns)), count, options.seed)
    ]


def try_sample(
    mutants: Sequence[Mutant], paths: Sequence[str], options: argparse.Namespace
) -> Generator[Trial, None, None]:
    """Try the mutants that are not on the list of equivalents. Raises FailsWithoutMutant."""
    equivalents = read_equivalents()
    to_try: list[tuple[Mutant, list[str]]] = []
    for mutant in mutants:
        if reason := reason_of(mutant, equivalents):
            yield Trial(mutant, Verdict.EQUIVALENT, remark=reason)
        else:
            to_try.append((mutant, fitting_tests(mutant.path, paths)))
    with tempfile.TemporaryDirectory(prefix="mutants-") as room:
        rooms = [Path(room) / str(number) for number in range(options.workers)]
        workplaces = [Workplace(place, ROOT, paths, options.seed) for place in rooms]
        with closing(Trials(workplaces).run(to_try)) as trials:
            yield from trials


def main() -> int:
    options = read_options()
    paths = project_files()
    mutants = choose(options, paths)
    if not mutants:
        sys.exit("there is nothing to mutate at these paths")
    print(f"==> {len(mutants)} mutants: repeat them with --seed {options.seed}", flush=True)
    if options.list:
        print(*map(mutant_lines, mutants), sep="\n")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C, so that no server and no copy is left
    trials: list[Trial] = []
    try:
        with closing(try_sample(mutants, paths, options)) as running:
            for trial in running:
                trials.append(trial)
                print(progress_line(trial, len(trials), len(mutants)), flush=True)
    except FailsWithoutMutant as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        print(*result_lines(trials), sep="\n")
    return 1 if falls_short(trials) else 0


if __name__ == "__main__":
    sys.exit(main())
