"""How figures spread: exact ranks, however often a figure stands there."""

from collections import Counter

import pytest

from chassis.kernel.spread import at_most


@pytest.mark.parametrize(
    ("figures", "p50", "p95"),
    [([], 0, 0), ([7], 7, 7), ([3, 1], 1, 3), ([5, 5, 5, 9], 5, 9), (range(1, 101), 50, 95), ([*[1] * 95, *[8] * 5], 1, 1)],
)
def test_so_many_in_a_hundred_do_not_exceed_it(figures: list[int], p50: int, p95: int) -> None:
    counts = Counter(figures)
    assert (at_most(counts, 50), at_most(counts, 95)) == (p50, p95)
