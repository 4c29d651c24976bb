"""Buffers by risk: seldom enough, and no larger than that needs."""

import random

import pytest

from services.inventory.domain.risk import risk_buffer


@pytest.mark.parametrize(
    ("units_per_day", "latency_s", "chance_ppm", "buffer"),
    [
        (0, 60, 1000, 0),
        (100, 0, 1000, 0),
        (100, 60, 0, 0),
        # One unit is sold in the latency on average: P(X > 4) = 0.0037, P(X > 5) = 0.0006.
        (86_400, 1, 3_700, 4),
        (86_400, 1, 3_600, 5),
        (86_400, 1, 1_000, 5),
    ],
)
def test_the_least_buffer_that_keeps_the_chance(units_per_day: float, latency_s: float, chance_ppm: int, buffer: int) -> None:
    assert risk_buffer(units_per_day, latency_s, chance_ppm) == buffer


def test_more_sales_more_latency_and_less_risk_each_need_more() -> None:
    buffers = [
        risk_buffer(5_000, 30, 10_000),
        risk_buffer(10_000, 30, 10_000),
        risk_buffer(10_000, 60, 10_000),
        risk_buffer(10_000, 60, 100),
    ]
    assert buffers == sorted(set(buffers))
    assert risk_buffer(86_400, 499, 10_000) == pytest.approx(risk_buffer(86_400, 501, 10_000), abs=6)


def test_oversells_are_as_seldom_as_was_accepted() -> None:
    dice, mean, chance = random.Random(3), 7.0, 20_000
    buffer = risk_buffer(mean * 86_400, 1, chance)

    def sold() -> int:
        count, passed = 0, dice.expovariate(mean)
        while passed <= 1:
            count, passed = count + 1, passed + dice.expovariate(mean)
        return count

    over = sum(sold() > buffer for _ in range(20_000))
    assert over / 20_000 <= chance / 1_000_000 * 1.2
