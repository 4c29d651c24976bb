"""Which bin goods are taken from, and which they are put into."""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from itertools import chain
from typing import NamedTuple

DOCK, OUT, LOST = "DOCK", "OUT", "LOST"
NAMED = (DOCK, OUT, LOST)


class Kind(IntEnum):
    """What a bin is for; numbered as in the contract."""

    PICK = 1
    RESERVE = 2
    DOCK = 3
    OUT = 4
    LOST = 5


class Bin(NamedTuple):
    """A place on the way through a location."""

    bin: str
    zone: str
    kind: Kind
    position: int
    most_units: int = 0
    blocked: bool = False


class Content(NamedTuple):
    """What lies in a bin."""

    bin: str
    lot: str
    quantity: int


class Part(NamedTuple):
    """Units of a lot in a bin; no bin where nobody knows where they are."""

    bin: str
    lot: str
    quantity: int


# Where picks look: what is open, what is behind, what has just come in.
PICKED_FROM = (Kind.PICK, Kind.RESERVE, Kind.DOCK)
# Where goods that leave by a shipment are taken from: what was picked first.
SHIPPED_FROM = (Kind.OUT, Kind.PICK, Kind.RESERVE, Kind.DOCK, Kind.LOST)
# Where goods that are no more are taken from: what was missed already first.
MISSED_FROM = (Kind.LOST, Kind.DOCK, Kind.OUT, Kind.RESERVE, Kind.PICK)


def take(quantity: int, lot: str, contents: Iterable[Content], bins: Mapping[str, Bin], kinds: Sequence[Kind]) -> list[Part]:
    """Returns where units of a lot are taken from: the lot before others, kinds in their order, few bins before many.

    What is missing comes last, without a bin.
    """
    allowed = [one for one in contents if one.quantity and one.bin in bins and bins[one.bin].kind in kinds]

    def rank(one: Content) -> tuple[bool, bool, int, bool, int, str]:
        place = bins[one.bin]
        return (one.lot != lot, one.lot != "", kinds.index(place.kind), one.quantity < quantity, place.position, one.bin)

    parts = []
    for one in sorted(allowed, key=rank):
        part = min(one.quantity, quantity)
        if part:
            parts.append(Part(one.bin, one.lot, part))
            quantity -= part
    return [*parts, Part("", lot, quantity)] if quantity else parts


class Goods(NamedTuple):
    """Units that wait to be put away."""

    item_id: str
    lot: str
    quantity: int


class Advice(NamedTuple):
    """Where goods shall go, and why; no bin where none has room."""

    goods: Goods
    bin: str
    why: str


def put_away(
    waiting: Iterable[Goods], bins: Iterable[Bin], units: Mapping[str, int], likes: Mapping[tuple[str, str], Iterable[str]]
) -> list[Advice]:
    """Returns where goods go: to their like where there is room, else to the first empty bin, those picked from first.

    `units` is how much lies in each bin, `likes` in which an item's lot does; no lot waits twice. Goods of different lots do not
    share a bin.
    """
    order = sorted((one for one in bins if one.kind in (Kind.PICK, Kind.RESERVE) and not one.blocked), key=_way)
    known = {one.bin: one for one in order}
    empty = ((one, "the first empty bin") for one in order if not units.get(one.bin))
    found = []
    for goods in waiting:
        left = goods.quantity
        like = sorted((known[name] for name in likes.get((goods.item_id, goods.lot), ()) if name in known), key=_way)
        ways = chain(((one, "more of it lies there") for one in like), empty)
        while left and (way := next(ways, None)) is not None:
            one, why = way
            room = left if not one.most_units else min(left, one.most_units - units.get(one.bin, 0))
            if room > 0:
                found.append(Advice(goods._replace(quantity=room), one.bin, why))
                left -= room
        if left:
            found.append(Advice(goods._replace(quantity=left), "", "no bin has room: set one up, or move something"))
    return found


def _way(one: Bin) -> tuple[Kind, int, str]:
    return one.kind, one.position, one.bin
