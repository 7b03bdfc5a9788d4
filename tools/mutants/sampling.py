"""A sample of mutants that a seed repeats."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable

from tools.mutants.mutant import Mutant


def sample(mutants: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """`count` mutants at even distances over all files: one of each line before a second one of any line."""
    dice = random.Random(seed)  # noqa: S311 - picks mutants
    by_line: dict[tuple[str, int], list[Mutant]] = defaultdict(list)
    for mutant in sorted(mutants):
        by_line[mutant.path, mutant.line].append(mutant)
    for of_a_line in by_line.values():
        dice.shuffle(of_a_line)
    chosen: list[Mutant] = []
    while by_line and len(chosen) < count:
        chosen += _evenly([of_a_line.pop() for of_a_line in by_line.values()], count - len(chosen), dice)
        by_line = {place: rest for place, rest in by_line.items() if rest}
    return sorted(chosen)


def _evenly(mutants: list[Mutant], count: int, dice: random.Random) -> list[Mutant]:
    if count >= len(mutants):
        return mutants
    distance = len(mutants) / count
    first = dice.random() * distance
    return [mutants[min(int(first + number * distance), len(mutants) - 1)] for number in range(count)]
