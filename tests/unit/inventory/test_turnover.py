"""How fast stock turns, in whole numbers."""

import pytest

from services.inventory.domain.cost import Layer
from services.inventory.domain.turnover import NONE, cover_days, turns_hundredths


@pytest.mark.parametrize(
    ("cost", "before", "now", "days", "turns"),
    [
        (1000, 1000, 1000, 365, 100),
        (1000, 1500, 500, 73, 500),
        (500, 0, 1000, 365, 100),
        (0, 1000, 1000, 90, 0),
        (-50, 1000, 1050, 90, 0),
        (1000, 0, 0, 90, NONE),
    ],
)
def test_turns_are_the_cost_of_a_year_by_the_mean_value(cost: int, before: int, now: int, days: int, turns: int) -> None:
    assert turns_hundredths(cost, before, now, days) == turns


@pytest.mark.parametrize(
    ("there", "sold", "days", "cover"), [(30, 90, 90, 30), (0, 5, 90, 0), (10, 0, 90, NONE), (10, -2, 90, NONE), (7, 2, 1, 3)]
)
def test_what_is_there_lasts_as_long_as_it_is_sold(there: int, sold: int, days: int, cover: int) -> None:
    assert cover_days(there, sold, days) == cover


def test_a_pool_is_as_old_as_what_is_in_it_on_average() -> None:
    pool = Layer("pool", 3, 300, effective_at=1000)
    pool.add(1, 200, 5000)
    assert (pool.quantity, pool.value_minor, pool.effective_at) == (4, 500, 2000)
