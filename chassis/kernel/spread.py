"""How figures spread."""

from collections.abc import Mapping


def at_most(counts: Mapping[int, int], percent: int) -> int:
    """Returns the least figure that so many in a hundred do not exceed, 0 where there is none; `counts` says how often each is there."""
    wanted, below = sum(counts.values()) * percent, 0
    for figure in sorted(counts):
        below += counts[figure]
        if below * 100 >= wanted:
            return figure
    return 0
