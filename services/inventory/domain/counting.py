"""When a count is believed: near enough to the books, or counted alike by two people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """How far a count may differ from the books: a share, or so many pieces, whichever is more."""

    percent: int = 0
    quantity: int = 0

    def allows(self, expected: int, differed: int) -> bool:
        """Says whether a count that differs by so much, over all lots and either way, is near enough."""
        return differed <= max(self.quantity, expected * self.percent // 100)


@dataclass(frozen=True)
class Attempt:
    """One person's count: what they found beside the books, by lot, against what the books had at that moment."""

    counted_by: str
    expected: int
    differences: Mapping[str, int]

    @property
    def differed(self) -> int:
        """Returns by how much it differs, over all lots and either way."""
        return sum(abs(one) for one in self.differences.values())


def believed(attempts: Sequence[Attempt], tolerance: Tolerance) -> bool:
    """Says whether the last count is believed: near enough, or it differs from the books just as one of another person does.

    Differences are compared, not totals: stock may have moved between the two.
    """
    last = attempts[-1]
    if tolerance.allows(last.expected, last.differed):
        return True
    return any(one.differences == last.differences and one.counted_by != last.counted_by for one in attempts[:-1])
