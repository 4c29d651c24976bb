"""Which supply each line waits for: the most urgent line gets the earliest supply, in parts where it must."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """A line that waits for an item at a location; for a kit's component, so many of which make one, where `kit_item_id` is set."""

    kind: int
    owner_id: str
    line_id: str
    quantity: int
    priority: int
    wanted_at: int
    created_at: int
    each: int = 1
    kit_item_id: str = ""

    @property
    def urgency(self) -> tuple[int, int, int, str, str]:
        """Sorts: higher priority, then wanted sooner, then first come."""
        return (-self.priority, self.wanted_at, self.created_at, self.owner_id, self.line_id)


@dataclass(frozen=True)
class Source:
    """Supply that is dated, and how much of it is not here yet."""

    inbound_id: str
    due_at: int
    quantity: int


@dataclass(frozen=True)
class Peg:
    """A part of a need and the supply it waits for; no supply where none is in sight."""

    need: Need
    quantity: int
    source: Source | None


def peg(needs: Sequence[Need], sources: Sequence[Source]) -> list[Peg]:
    """Returns the parts of all needs; they sum to the needs, and no source gives more than it has."""
    pegs = []
    ordered = sorted(sources, key=lambda one: (one.due_at, one.inbound_id))
    free = [source.quantity for source in ordered]
    for need in sorted(needs, key=lambda one: one.urgency):
        left = need.quantity
        for index, source in enumerate(ordered):
            part = min(left, free[index])
            if part > 0:
                pegs.append(Peg(need, part, source))
                free[index], left = free[index] - part, left - part
        if left:
            pegs.append(Peg(need, left, None))
    return pegs


def promised(dates: Iterable[int | None]) -> int | None:
    """Returns when all parts of a line are expected, each of which has a date or none; None where one has none."""
    known = list(dates)
    return None if None in known else max((one for one in known if one is not None), default=None)
