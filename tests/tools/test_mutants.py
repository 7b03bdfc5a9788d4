"""`make test-mutants`: which mutants are taken, which tests are run, and what a mutant comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants.__main__ import choose, read_options
from tools.mutants.equivalents import read_equivalents, reason_of
from tools.mutants.fitting_tests import FITTING, fitting_tests
from tools.mutants.mutant import Edit, Mutant, mutants_of
from tools.mutants.python_edits import python_edits
from tools.mutants.sampling import sample
from tools.mutants.sources import PYTHON, SQL, all_mutants, matching, project_files
from tools.mutants.summary import falls_short, survivor_lines, table_lines
from tools.mutants.trials import FailsWithoutMutant, Trial, Trials, Verdict
from tools.mutants.workplace import ROOT, Workplace

PATHS = project_files()
STEPS = """
UNUSED = 100

def reaches_zero(start):
    while start > 0:
        start = start - 1
    return start == 0
"""
TESTS_OF_STEPS = """
from steps import reaches_zero

def test_it_counts_down():
    assert reaches_zero(3)
"""
SERVERS = """
import pytest

@pytest.fixture(scope="session", params=["postgres16", "postgres18"])
def server(request):
    return request.param
"""


def mutant(path: str, line: int, after: str = "") -> Mutant:
    (made, *_) = mutants_of(path, "\n" * (line - 1) + "x = 1", python_edits("\n" * (line - 1) + "x = 1"))
    return made._replace(after=after)


def test_a_seed_repeats_its_sample() -> None:
    def chosen(seed: int) -> list[Mutant]:
        return choose(read_options(["--python", "20", "--sql", "9", "--seed", str(seed)]), PATHS)

    assert chosen(7) == chosen(7) != chosen(8)
    assert [each.path.endswith(".py") for each in chosen(7)] == [True] * 20 + [False] * 9


def test_a_sample_is_spread_over_all_lines_before_it_takes_two_of_one() -> None:
    mutants = [mutant("a.py", line, after) for line in range(1, 101) for after in "abcdefgh"]
    assert [(each.line - 1) // 10 for each in sample(mutants, 10, seed=1)] == list(range(10))
    assert {each.line for each in sample(mutants, 150, seed=1)} == set(range(1, 101))
    assert sample(mutants, 10_000, seed=1) == sorted(mutants)


def test_only_takes_mutants_of_a_folder_or_a_file() -> None:
    store = "loader/chat_telemetry/_delivery/store.py"
    assert {each.path for each in choose(read_options(["--only", store, "migrations/", "--seed", "1"]), PATHS)} <= {
        store,
        *matching(PATHS, ("migrations/*.sql",)),
    }


@pytest.mark.parametrize("path", matching(PATHS, PYTHON) + matching(PATHS, SQL))
def test_every_file_has_tests_that_fit(path: str) -> None:
    tests = fitting_tests(path, PATHS)
    assert len(tests) == len(set(tests)) > 0
    assert set(tests) <= set(PATHS)


def test_the_tests_of_a_module_come_before_those_of_its_area() -> None:
    tests = fitting_tests("loader/chat_telemetry/_delivery/store.py", PATHS)
    assert tests[0] == "tests/loader/delivery/test_store.py"
    assert {"tests/loader/delivery/test_thread.py", "tests/loader/test_client.py"} < set(tests)


def test_each_pattern_is_of_a_file_and_each_place_has_tests() -> None:
    for pattern, places in FITTING.items():
        assert matching(PATHS, (pattern,)), pattern
        for place in places:
            assert matching(PATHS, (place, f"{place}/*test_*.py")), place


@pytest.fixture
def tiny(tmp_path: Path) -> Workplace:
    """A copy of a project of one function and its tests."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "steps.py").write_text(STEPS)
    (project / "test_steps.py").write_text(TESTS_OF_STEPS)
    return Workplace(tmp_path / "copy", project, ["steps.py", "test_steps.py"], seed=1)


def mutants_of_steps(operator: str) -> list[tuple[Mutant, list[str]]]:
    found = mutants_of("steps.py", STEPS, python_edits(STEPS))
    return [(each, ["test_steps.py"]) for each in found if each.edit.operator == operator]


def test_a_mutant_is_killed_by_the_test_that_sees_it_and_survives_where_none_does(tiny: Workplace) -> None:
    trials = sorted(Trials([tiny]).run(mutants_of_steps("other number")[:2]), key=lambda trial: trial.mutant)
    assert [(trial.mutant.after, trial.verdict, trial.remark) for trial in trials] == [
        ("UNUSED = 200", Verdict.SURVIVED, ""),
        ("while start > 1:", Verdict.KILLED, "test_steps.py::test_it_counts_down"),
    ]
    assert (tiny.tree / "steps.py").read_text() == STEPS


def test_a_mutant_that_hangs_is_ended(tiny: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.mutants.workplace.TEST_LIMIT_S", 1)
    ((hanging, tests),) = mutants_of_steps("+/-")
    with tiny.mutated(hanging):
        run = tiny.run(tests)
        assert run.is_time_out
        assert run.first_failure == "test_steps.py::test_it_counts_down"
    monkeypatch.setattr("tools.mutants.workplace.SILENCE_LIMIT_S", 1)
    with tiny.mutated(hanging._replace(edit=Edit(0, 0, "while True: pass", "hangs as it is imported"))):
        run = tiny.run(tests)
        assert run.is_time_out
        assert run.first_failure == ""


def test_tests_run_in_the_order_of_their_files_whatever_server_they_need(tiny: Workplace) -> None:
    (tiny.tree / "conftest.py").write_text(SERVERS)
    with_a_server = "def test_with_a_server(server): assert server == 'postgres18'\n"
    (tiny.tree / "test_first.py").write_text(with_a_server + "def test_without(): assert False")
    (tiny.tree / "test_last.py").write_text(with_a_server + "def test_it_too(server): assert False")
    assert tiny.run(["test_first.py", "test_last.py"]).first_failure == "test_first.py::test_without"


def test_a_test_that_fails_without_a_mutant_too_kills_none(tiny: Workplace) -> None:
    (tiny.tree / "test_steps.py").write_text(TESTS_OF_STEPS.replace("assert", "assert not"))
    with pytest.raises(FailsWithoutMutant, match="test_it_counts_down fails without a mutant"):
        list(Trials([tiny]).run(mutants_of_steps("other number")[:1]))


def test_each_equivalent_mutant_is_one_of_the_tree_and_has_a_reason() -> None:
    entries = read_equivalents()
    mutants = list(all_mutants(sorted({entry.path for entry in entries if (ROOT / entry.path).exists()})))
    for entry in entries:
        assert any(entry.is_of(each) for each in mutants), f"no such mutant any more: {entry}"
        assert len(entry.reason) > 10


def test_an_equivalent_mutant_is_known_by_its_text_wherever_it_stands(tmp_path: Path) -> None:
    entries = tmp_path / "equivalent.toml"
    survivor = Trial(mutant("a.py", 3, 'x = "2"'), Verdict.SURVIVED)
    entries.write_text("\n".join(["[[equivalent]]", *survivor_lines(survivor), "reason = 'Nobody reads x.'"]))
    assert reason_of(mutant("a.py", 9, 'x = "2"'), read_equivalents(entries)) == "Nobody reads x."
    assert reason_of(mutant("b.py", 9, 'x = "2"'), read_equivalents(entries)) is None
    assert reason_of(mutant("a.py", 9, 'x = "3"'), read_equivalents(entries)) is None


def test_survivors_count_against_a_language_and_equivalent_mutants_do_not() -> None:
    verdicts = [Verdict.KILLED] * 17 + [Verdict.TIMED_OUT, Verdict.EQUIVALENT, Verdict.SURVIVED]
    trials = [Trial(mutant("a/b.py", line), verdict) for line, verdict in enumerate(verdicts, start=1)]
    assert falls_short(trials) == []
    assert list(table_lines(trials))[-1] == "| **Python** | 20 | 18 | 1 | 1 | 1 |"
    assert falls_short(trials[1:]) == ["Python: 94.7% killed or judged equivalent, 95% are wanted"]
