"""Forecasts: which method for which demand, how good they are, and what they say must be there."""

import csv
import random
from pathlib import Path

import pytest

from services.inventory.domain import forecast as module
from services.inventory.domain.forecast import Forecast, Name, Pattern, Series, forecast, pattern_of
from services.inventory.domain.reorder import Position, ReorderPolicy, Terms, economic_lot, order_quantity, reason
from tests.samples import FOLDER, need_samples

MONTHS = 3


def of(demand: list[int], cover: float = 1, level: float = 0.95, season: int = 52) -> Forecast:
    return forecast(Series(demand, cover, level, season))


@pytest.mark.parametrize(
    ("demand", "pattern"),
    [
        ([10, 12, 11, 9, 10, 11], Pattern.SMOOTH),
        ([1, 40, 2, 60, 1, 3], Pattern.ERRATIC),
        ([0, 0, 5, 0, 0, 5, 0, 4], Pattern.INTERMITTENT),
        ([0, 0, 50, 0, 0, 2, 0, 1], Pattern.LUMPY),
        ([0, 0, 0], Pattern.INTERMITTENT),
    ],
)
def test_demand_has_a_pattern(demand: list[int], pattern: Pattern) -> None:
    assert pattern_of(demand) is pattern


def test_steady_demand_is_forecast_as_it_is_and_needs_little_above_it() -> None:
    found = of([10] * 30, cover=2)
    assert found.over_cover_thousandths == 20_000
    assert found.error_thousandths == 0
    assert 20 <= found.cover_quantity <= 28, "what is sold in equal periods is still sold at random within them"
    assert found.mase_thousandths == module.UNKNOWN, "the naive forecast is never wrong here: nothing to compare with"


def test_what_is_no_longer_asked_for_dies_out() -> None:
    assert of([5] * 20 + [0] * 20).over_cover_thousandths < 1000


def test_a_season_is_found() -> None:
    year = [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 40, 60]
    found = of([*year, *year, *year, *year, *year[:10]], cover=2, season=12)
    assert found.method is Name.ETS
    assert found.over_cover_thousandths > 80_000, "November and December come"
    assert found.mase_thousandths < found.naive_mase_thousandths / 2


def test_a_better_service_needs_more() -> None:
    rng = random.Random(4)
    demand = [rng.choice([0, 0, 0, 4, 9]) for _ in range(60)]
    quantities = [of(demand, cover=3, level=level).cover_quantity for level in (0.8, 0.95, 0.99)]
    assert quantities == sorted(quantities)
    assert quantities[0] < quantities[-1]


@pytest.mark.parametrize("demand", [[], [0], [3], [0, 0, 2], [7, 0, 1, 0]])
def test_little_history_is_enough_for_an_answer(demand: list[int]) -> None:
    found = of(demand, cover=2.5)
    assert found.method is Name.AVERAGE
    assert found.cover_quantity >= 0
    assert (found.over_cover_thousandths > 0) == any(demand)


def test_without_the_library_the_average_forecasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_library", lambda: None)
    assert of([4, 0, 3, 0, 5, 0, 4, 0, 3, 0, 5, 0], cover=2).method is Name.AVERAGE


def test_the_share_of_intervals_that_were_covered_is_what_was_asked_for() -> None:
    rng = random.Random(11)
    covered = 0
    for _ in range(300):
        demand = [rng.choice([0, 0, 1, 2, 3]) for _ in range(60)]
        covered += sum(demand[-2:]) <= of(demand[:-2], cover=2, level=0.9).cover_quantity
    assert 0.86 <= covered / 300 <= 0.98


def test_car_parts_are_forecast_better_than_by_the_naive_forecast() -> None:
    """2,674 spare parts by month: the last three are kept back, and the method is chosen on what was before."""
    file = FOLDER / "datasets/carparts_monthly.csv"
    need_samples(file.exists())
    histories = parts(file)
    found = [of(history[:-MONTHS], cover=MONTHS, season=12) for history in histories]
    wanted = [one.over_cover_thousandths / module.THOUSAND for one in found]
    actual = [sum(history[-MONTHS:]) for history in histories]
    naive = [MONTHS * history[-MONTHS - 1] for history in histories]
    assert errors(actual, wanted) < 0.85 * errors(actual, naive)
    assert squares(actual, wanted) < 0.5 * squares(actual, naive)
    scales = [module._scale(history[:-MONTHS], MONTHS) for history in histories]
    known = [index for index, scale in enumerate(scales) if scale]
    mase = sum(abs(actual[i] - wanted[i]) / scales[i] for i in known) / len(known)
    naive_mase = sum(abs(actual[i] - naive[i]) / scales[i] for i in known) / len(known)
    assert mase < 0.9 * naive_mase
    covered = sum(there <= one.cover_quantity for there, one in zip(actual, found, strict=True)) / len(found)
    assert 0.90 <= covered <= 0.98, "asked for 95 %"


def parts(path: Path) -> list[list[int]]:
    with path.open() as file:
        return [[int(float(cell)) for cell in row[1:] if cell] for row in list(csv.reader(file))[1:]]


def errors(actual: list[int], wanted: list[float] | list[int]) -> float:
    return sum(abs(a - b) for a, b in zip(actual, wanted, strict=True))


def squares(actual: list[int], wanted: list[float] | list[int]) -> float:
    return sum((a - b) ** 2 for a, b in zip(actual, wanted, strict=True))


@pytest.mark.parametrize(
    ("position", "terms", "quantity"),
    [
        (Position(50, 0, 0), Terms(ReorderPolicy.ORDER_UP_TO, 0, 1), 0),
        (Position(20, 10, 5), Terms(ReorderPolicy.ORDER_UP_TO, 0, 1), 25),
        (Position(20, 10, 5), Terms(ReorderPolicy.ORDER_UP_TO, 0, 12), 36),
        (Position(49, 0, 0), Terms(ReorderPolicy.ORDER_UP_TO, 100, 12), 108),
        (Position(0, 0, 30), Terms(ReorderPolicy.MANUAL, 0, 1), 0),
        (Position(49, 0, 0), Terms(ReorderPolicy.REORDER_POINT, 0, 1, 200), 200),
        (Position(49, 0, 0), Terms(ReorderPolicy.ORDER_UP_TO, 0, 1, 200), 1),
        (Position(0, 0, 0), Terms(ReorderPolicy.REORDER_POINT, 0, 1, 10), 50),
    ],
)
def test_what_is_short_is_ordered_as_the_supplier_sells_it(position: Position, terms: Terms, quantity: int) -> None:
    assert order_quantity(position, 50, terms) == quantity


def test_an_economic_lot_weighs_ordering_against_holding() -> None:
    # √(2 · 1,200 a year · 50.00 an order ÷ (20 % · 10.00)) = 244.9
    assert economic_lot(1200, 5000, 200, 1000 * 1_000_000) == 244
    assert economic_lot(1200, 0, 200, 1_000_000) == 0


def test_a_proposal_says_why() -> None:
    text = reason(Position(20, 10, 5), 50, 12, 21, 975)
    assert text.startswith("25 are there or coming (20 free, 10 on order, 5 sold and not there); 50 are needed for the next 21 days")
    assert "38 forecast and 12 to stay able to deliver in 97.5 %" in text
