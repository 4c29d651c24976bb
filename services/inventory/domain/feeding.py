"""What a feed's line changes: a picture against the books at its moment, so that what moved since is not undone."""

from dataclasses import dataclass

from services.inventory.domain.stock import State

# What a sender calls good is what can be promised, and what is promised and has not left.
GOOD = (State.AVAILABLE, State.SOFT_RESERVED, State.RESERVED, State.ALLOCATED)
GROUPS: dict[int, tuple[State, ...]] = {
    State.AVAILABLE: GOOD,
    State.QUARANTINE: (State.QUARANTINE,),
    State.DAMAGED: (State.DAMAGED,),
}
# As what goods that are expected may come.
COME_AS = (State.AVAILABLE, State.QUARANTINE)
GROUP_OF: dict[int, int] = {state: group for group, states in GROUPS.items() for state in states}


@dataclass(frozen=True)
class Books:
    """What the books have of an item, lot and group: in all now, free to take, released to the warehouse, and moved since the picture.

    `coming` is what documents still expect there.
    """

    now: int
    free: int
    allocated: int = 0
    moved_since: int = 0
    coming: int = 0
    # Whether the picture says what there is of all lots together.
    all_lots: bool = False

    @property
    def then(self) -> int:
        """Returns what they had at the picture's moment."""
        return self.now - self.moved_since


@dataclass(frozen=True)
class Verdict:
    """By how much the books change, and what is reported; nothing is where both agree."""

    change: int
    kind: str
    booked: int = 0


def judge_picture(reported: int, books: Books) -> Verdict:
    """Returns what a picture's line does.

    What is missing may have left with what is released and is not told yet, and what is more may be what is expected: that much
    is reported and waits for the next picture. What is promised is not taken from orders. Where all lots are said together
    and differ, nobody says in which.
    """
    verdict = _judge_lot(reported, books)
    return Verdict(0, "LOT_REQUIRED", verdict.booked) if books.all_lots and verdict.change else verdict


def _judge_lot(reported: int, books: Books) -> Verdict:
    difference = reported - books.then
    if not difference:
        return Verdict(0, "", books.then)
    if difference > 0:
        found = max(0, difference - books.coming)
        return Verdict(found, "DIFFERENT" if found == difference else "ON_ITS_WAY_IN", books.then)
    missing = max(0, -difference - books.allocated)
    if not missing:
        return Verdict(0, "ON_ITS_WAY_OUT", books.then)
    taken = min(missing, books.free)
    kind = "DIFFERENT" if taken == -difference else "PROMISED" if taken < missing else "ON_ITS_WAY_OUT"
    return Verdict(-taken, kind, books.then)


def judge_change(quantity: int, books: Books) -> Verdict:
    """Returns what a change's line does; it happened, but what is promised is not taken from orders."""
    if quantity >= 0:
        return Verdict(quantity, "", books.now)
    taken = min(-quantity, books.free)
    return Verdict(-taken, "" if taken == -quantity else "PROMISED", books.now)
