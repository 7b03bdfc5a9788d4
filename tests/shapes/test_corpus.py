"""The shapes of public SQL texts. `make test-shapes` prints how many are right, and the classes of the wrong ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from random import Random

import psycopg
import pytest

from tests.conftest import Server
from tests.shapes import corpus
from tests.shapes.comparison import Comparison
from tests.shapes.conftest import Shapes
from tests.shapes.oracle import shape, shape_words
from tests.shapes.tokens import tokens
from tests.shapes.variants import ENDS, FORMS, marked_literals, other_literals, variant

pytestmark = [pytest.mark.shapes, pytest.mark.timeout(1800)]
AT_ONCE = 2_000
MARK, NUMBER = "\ue000\ue001\ue000", "90817263"  # no text of the corpus has them
UNCLOSED = [
    *("'{}", "E'it\\'s {}\\", "x'{}", "N'a'\n'{}", '"{}', 'u&"{}'),
    *("/* {}", "/* /* {} */ {}", "-- {} '", "$$ {} $1 ' $q$", "$q1$ {} $q$ {} $Q1$"),
]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return corpus.texts()


@pytest.fixture(scope="session")
def known_shapes(postgres: Server, sql_shapes: Shapes, texts: list[str]) -> dict[str, str | None]:
    """The shape of each text, by the SQL function."""
    with psycopg.connect(postgres.conninfo("postgres")) as connection:
        print(f"\nPostgreSQL {connection.info.server_version // 10_000}")  # noqa: T201 - shown by `make test-shapes`
    return dict(shapes_of(sql_shapes, texts))


def shapes_of(sql_shapes: Shapes, texts: Iterable[str]) -> Iterable[tuple[str, str | None]]:
    waiting = list(texts)
    for start in range(0, len(waiting), AT_ONCE):
        batch = waiting[start : start + AT_ONCE]
        yield from zip(batch, sql_shapes(batch), strict=True)


def assert_same_shapes(
    title: str, sql_shapes: Shapes, known_shapes: dict[str, str | None], pairs: Iterable[tuple[str, str | None]]
) -> None:
    """Each pair is a text and its variant, or None if it has none."""
    expected = [(known_shapes[text], changed) for text, changed in pairs if changed is not None]
    found = shapes_of(sql_shapes, (changed for _, changed in expected))
    comparison = Comparison(title)
    for (of_text, _), (changed, of_variant) in zip(expected, found, strict=True):
        comparison.add(changed, of_variant, of_text)
    comparison.report()


def test_the_sql_function_returns_the_shape_of_the_oracle(known_shapes: dict[str, str | None]) -> None:
    comparison = Comparison("A: as the oracle says")
    for text, found in known_shapes.items():
        comparison.add(text, found, shape(text))
    comparison.report()


def test_other_literals_do_not_change_the_shape(sql_shapes: Shapes, known_shapes: dict[str, str | None]) -> None:
    change = other_literals(Random(1))
    pairs = ((text, variant(text, change)) for text in known_shapes)
    assert_same_shapes("B: other literals", sql_shapes, known_shapes, pairs)


@pytest.mark.parametrize("form", FORMS)
def test_the_form_does_not_change_the_shape(sql_shapes: Shapes, known_shapes: dict[str, str | None], form: str) -> None:
    pairs = [(text, changed) for text in known_shapes if (changed := variant(text, FORMS[form]))]
    # Every second or third of them, so that all forms together take a minute.
    assert_same_shapes(f"C: {form}", sql_shapes, known_shapes, pairs[:: math.ceil(len(pairs) / 6_000)])


@pytest.mark.parametrize("end", ENDS)
def test_the_ends_do_not_change_the_shape(sql_shapes: Shapes, known_shapes: dict[str, str | None], end: str) -> None:
    pairs = ((text, ENDS[end](text)) for text in known_shapes)
    assert_same_shapes(f"C: {end}", sql_shapes, known_shapes, pairs)


def test_texts_whose_tokens_differ_after_folding_never_share_a_shape(known_shapes: dict[str, str | None]) -> None:
    comparison = Comparison("D: one shape for the same tokens only")
    first: dict[str | None, str] = {}
    for text, found in known_shapes.items():
        of_text, of_first = (
            repr([word.text for word in shape_words(t)]) for t in (text, first.setdefault(found, text))
        )
        comparison.add(text, of_text, of_first)
    comparison.report()


Make = Callable[[Iterable[str]], list[str]]


def marked(texts: Iterable[str]) -> list[str]:
    change = marked_literals(MARK, NUMBER)
    return [changed for text in texts if (changed := variant(text, change))]


def cut(texts: Iterable[str]) -> list[str]:
    random = Random(2)
    return [text[: random.randrange(1, len(text))] for text in texts for _ in range(3)]


def unclosed(texts: Iterable[str]) -> list[str]:
    """The text with an end that is not closed, if it is closed itself."""
    closed = [text for text in texts if [token.text for token in tokens(f"{text} x")][-1:] == ["x"]]
    return [f"{text} {UNCLOSED[number % len(UNCLOSED)].format(MARK, MARK)}" for number, text in enumerate(closed)]


@pytest.mark.parametrize("make", [marked, cut, unclosed])
def test_no_literal_survives(sql_shapes: Shapes, texts: list[str], make: Make) -> None:
    changed = marked(texts)
    comparison = Comparison(f"E: no literal survives, {make.__name__}")
    for text, found in shapes_of(sql_shapes, changed if make is marked else make(changed)):
        survivors = [part for part in (*MARK, NUMBER[:4]) if part in (found or "")]
        comparison.add(text, f"{found} {survivors}" if survivors else None, None)
    comparison.report()
