"""Shares and allocations always sum to the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.kernel.money import allocate, proportion, share

TOTALS = st.integers(-(10**12), 10**12)


@given(TOTALS, st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_shares_sum_to_the_total_however_the_units_go(total: int, parts: list[int]) -> None:
    units, before, given_out = sum(parts), 0, 0
    for part in parts:
        given_out += share(total, before, part, units)
        before += part
    assert given_out == total


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_an_allocation_sums_and_is_off_by_less_than_one(total: int, weights: list[int]) -> None:
    parts = allocate(total, weights)
    assert sum(parts) == total
    whole = sum(weights)
    if whole:
        assert all(abs(part * whole - total * weight) < whole for part, weight in zip(parts, weights, strict=True))


def test_known_values() -> None:
    assert allocate(1000, [1, 1, 1]) == [334, 333, 333]
    assert allocate(5, [0, 0]) == [3, 2]
    assert [proportion(1, 1, 2), proportion(-1, 1, 2), proportion(5, 1, 2)] == [1, 0, 3]
    for weights in ([], [1, -1]):
        with pytest.raises(ValueError, match="allocate needs weights"):
            allocate(1, weights)
