"""How fulfilment orders become pick lists: which bin each unit is taken from, which list it is on, in which order it is walked."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from services.fulfillment.domain.bins import PICKED_FROM, Bin, Content, take


class WaveKind(IntEnum):
    """How a wave is made into lists; numbered as in the contract."""

    BATCH = 1
    ZONE = 2
    SINGLE = 3


class Status(IntEnum):
    """How far a wave is, numbered as in the contract; a list is STARTED between."""

    OPEN = 1
    DONE = 2
    CANCELLED = 3


class ListStatus(IntEnum):
    """How far a pick list is; numbered as in the contract."""

    OPEN = 1
    STARTED = 2
    DONE = 3
    CANCELLED = 4


class Wanted(NamedTuple):
    """Units of a lot that a fulfilment order's line wants; `per_unit` of them make one of the line."""

    fulfillment_order_id: str
    line_id: str
    item_id: str
    lot: str
    quantity: int
    per_unit: int


class Step(NamedTuple):
    """Units to take from a bin."""

    wanted: Wanted
    bin: str
    zone: str
    lot: str
    quantity: int
    tote: int


class Need(NamedTuple):
    """What a line still wants in stock units of an item, and the lots that are kept for it."""

    fulfillment_order_id: str
    line_id: str
    item_id: str
    quantity: int
    per_unit: int
    lots: Sequence[tuple[str, int]]


def by_lots(need: Need) -> list[Wanted]:
    """Returns a need by the lots that are kept for it; what no lot is kept for has none."""
    left, found = need.quantity, []
    for lot, kept in need.lots:
        part = min(left, kept)
        if part:
            found.append(Wanted(need.fulfillment_order_id, need.line_id, need.item_id, lot, part, need.per_unit))
            left -= part
    if left:
        found.append(Wanted(need.fulfillment_order_id, need.line_id, need.item_id, "", left, need.per_unit))
    return found


@dataclass
class Shelves:
    """What can still be picked: what lies in bins, less what other picks will take."""

    bins: Mapping[str, Bin]
    contents: Mapping[str, Sequence[Content]]
    promised: Counter[tuple[str, str, str]]

    def parts(self, item_id: str, lot: str, quantity: int) -> list[tuple[str, str, int]]:
        """Takes units and returns them by (bin, lot, quantity); what lies nowhere has no bin."""
        free = [
            one._replace(quantity=one.quantity - self.promised[one.bin, item_id, one.lot])
            for one in self.contents.get(item_id, ())
            if one.bin in self.bins and not self.bins[one.bin].blocked
        ]
        found = []
        for part in take(quantity, lot, [one for one in free if one.quantity > 0], self.bins, PICKED_FROM):
            self.promised[part.bin, item_id, part.lot] += part.quantity if part.bin else 0
            found.append((part.bin, part.lot, part.quantity))
        return found


def lists_of(kind: WaveKind, orders: Sequence[str], wanted: Iterable[Wanted], shelves: Shelves, orders_per_list: int) -> list[list[Step]]:
    """Returns the pick lists of a wave, each in the order in which it is walked.

    In a batch and by single orders a tote is one of the list's orders, by zones one of the wave's.
    """
    size = {WaveKind.BATCH: orders_per_list, WaveKind.ZONE: max(1, len(orders)), WaveKind.SINGLE: 1}[kind]
    group = {order_id: (number // size, number % size + 1) for number, order_id in enumerate(orders)}
    lists: dict[tuple[int, str], list[Step]] = {}
    for one in wanted:
        number, tote = group[one.fulfillment_order_id]
        for name, lot, quantity in shelves.parts(one.item_id, one.lot, one.quantity):
            zone = shelves.bins[name].zone if name else ""
            key = (number, zone if kind is WaveKind.ZONE else "")
            lists.setdefault(key, []).append(Step(one, name, zone, lot, quantity, tote))
    return [sorted(lists[key], key=lambda step: _way(step, shelves.bins)) for key in sorted(lists)]


def _way(step: Step, bins: Mapping[str, Bin]) -> tuple[bool, int, str, str, int]:
    position = bins[step.bin].position if step.bin else 0
    return not step.bin, position, step.bin, step.wanted.item_id, step.tote


class Tally(NamedTuple):
    """What is picked of a component of a line: units wanted, picked and not returned, short."""

    per_unit: int
    picked: int
    shorted: int


def whole(tallies: Iterable[Tally]) -> tuple[int, int]:
    """Returns how many of a line are picked and short: of a kit as many as all its components are picked for, one is short for."""
    all_of_them = list(tallies)
    picked = min(one.picked // one.per_unit for one in all_of_them)
    return picked, max(-(-one.shorted // one.per_unit) for one in all_of_them)


class Surplus(NamedTuple):
    """What is not wanted any more of a component: units to bring back, and units not to be picked."""

    bring_back: int
    leave: int


def surplus(per_unit: int, out: int, remaining: int, left: int, shipped: int) -> Surplus:
    """Returns what is too much where `left` of a line can still ship and `shipped` have; `out` were picked, `remaining` are to be."""
    there = max(0, out - shipped * per_unit)
    bring_back = max(0, there - left * per_unit)
    return Surplus(bring_back, max(0, remaining - (left * per_unit - (there - bring_back))))
