"""What there is to do about the prices of the logged models: sentences for people, and lines for `prices set`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

from chat_telemetry._cli.logged_models import UNCONFIRMED_DAYS, LoggedModel, State
from chat_telemetry._cli.price_file import can_be_set, can_be_shown, write_prices
from chat_telemetry._cli.tables import number

NO_NAME = ("unknown", "")  # the reports call the model of a call unknown if it was logged without one
NO_PRICES_YET = (None, None, None, None)

Line = tuple[object, ...]


def advice(models: Sequence[LoggedModel]) -> Iterator[str]:
    """A paragraph for each kind of price that needs something."""
    yield from _unpriced(models)
    pending = [model for model in models if model.state is State.SET]
    if pending:
        yield f"Own prices of {number(pending, 'model')} are set: the next dbt run applies them."
    yield from _old_lists(models)
    yield from _old_own_prices(models)


def lines_to_add(models: Sequence[LoggedModel]) -> list[Line]:
    """A line without prices per unpriced name, from the first day on which it was logged without a price."""
    unpriced = [model for model in _named(models) if can_be_set(model.name)]
    latest_first = sorted(unpriced, key=attrgetter("unpriced_since"), reverse=True)
    first_days = {model.name: model.unpriced_since for model in latest_first}
    return [(name, first_days[name], *NO_PRICES_YET) for name in dict.fromkeys(model.name for model in unpriced)]


def _named(models: Sequence[LoggedModel]) -> list[LoggedModel]:
    """The unpriced models whose calls have a name."""
    return [model for model in models if model.state is State.UNPRICED and model.name not in NO_NAME]


def _unpriced(models: Sequence[LoggedModel]) -> Iterator[str]:
    nameless = sum(model.unpriced_call_count for model in models if model.name in NO_NAME)
    if nameless:
        calls = number(nameless, "call")
        yield f"{calls} without the name of a model: log sql_model and response_model in the chat application."
    lines = lines_to_add(models)
    shown = [line for line in lines if can_be_shown(str(line[0]))]
    if shown:
        yield (
            f"{number(shown, 'name')} without a price. Add the prices to these lines (`--missing` prints only them) and"
            f" run `chat-telemetry prices set FILE.csv`:\n{write_prices(shown).rstrip()}"
        )
    if len(shown) < len(lines):
        names = number(len(lines) - len(shown), "name")
        yield f"{names} without a price not shown here, because of control characters: see `--missing`."
    too_long = {model.name for model in _named(models) if not can_be_set(model.name)}
    if too_long:
        yield f"{number([*too_long], 'name')} without a price too long to have an own price: log a shorter name."


def _old_lists(models: Sequence[LoggedModel]) -> Iterator[str]:
    old = [model for model in models if model.state is State.OLD and model.is_listed]
    for source in sorted({str(model.source) for model in old}):
        priced = number([model for model in old if model.source == source], "model")
        yield (
            f"The prices of {priced} are from {source}, more than {UNCONFIRMED_DAYS} days ago: install a newer"
            " chat-telemetry and run `dbt seed` and `dbt run`, or set own prices."
        )


def _old_own_prices(models: Sequence[LoggedModel]) -> Iterator[str]:
    lines = {
        (m.price_model, m.valid_from): (
            *(m.price_model, m.valid_from),
            *(m.input_usd_per_mtok, m.cached_input_usd_per_mtok, m.output_usd_per_mtok, m.source),
        )
        for m in models
        if m.state is State.OLD and not m.is_listed and can_be_shown(str(m.price_model))
    }
    if lines:
        yield (
            f"{number(list(lines), 'own price')} not confirmed for {UNCONFIRMED_DAYS} days. If they still hold, set"
            f" these lines again:\n{write_prices(lines.values()).rstrip()}"
        )
