"""Cartonisation: in which boxes units fit, by their measures and weights.

Units are put one after the other, the largest first, into the free corner that is lowest, then backmost, then leftmost, turned as
they fit (the extreme points of Crainic, Perboli and Tadei, 2008). The smallest carton that takes all wins; where none does, the
carton that takes most is filled, and so on with the rest.
"""

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

# Of more units than this, room is estimated instead of laid out: so much of a carton can be filled.
MOST_LAID_OUT = 150
FILLABLE_PERCENT = 80
Size = tuple[int, int, int]


class Unit(NamedTuple):
    """One unit of a line; a measure of 0 is not known."""

    line_id: str
    size_mm: Size
    weight_g: int

    @property
    def volume(self) -> int:
        """Cubic millimetres; 0 where a measure is not known."""
        return _volume(self.size_mm)


class Carton(NamedTuple):
    """A box, by its inner measures."""

    name: str
    size_mm: Size
    most_weight_g: int
    tare_g: int

    @property
    def volume(self) -> int:
        """Cubic millimetres."""
        return _volume(self.size_mm)


class Packed(NamedTuple):
    """A parcel: units by line. No carton where what is in it fits in none."""

    carton: Carton | None
    units: tuple[Unit, ...]

    @property
    def lines(self) -> dict[str, int]:
        """Units by line."""
        return dict(sorted(Counter(one.line_id for one in self.units).items()))

    @property
    def weight_g(self) -> int:
        """With the carton."""
        return sum(one.weight_g for one in self.units) + (self.carton.tare_g if self.carton else 0)

    @property
    def filled_percent(self) -> int:
        """How much of the carton's room is filled; 0 without one."""
        return sum(one.volume for one in self.units) * 100 // self.carton.volume if self.carton else 0


def cartonise(units: Iterable[Unit], cartons: Sequence[Carton]) -> list[Packed]:
    """Returns how units are packed; those that fit in no carton go alone."""
    ordered = sorted(units, key=lambda one: (-one.volume, -max(one.size_mm), -one.weight_g, one.line_id))
    by_size = sorted(cartons, key=lambda one: (one.volume, one.name))
    fitting = {one: any(_fits_alone(one, carton) for carton in by_size) for one in set(ordered)}
    left = [one for one in ordered if fitting[one]]
    parcels = []
    while left:
        whole = next((carton for carton in by_size if _could_take(left, carton) and len(_fit(left, carton)) == len(left)), None)
        if whole is not None:
            parcels.append(Packed(whole, tuple(left)))
            break
        carton, inside = max(
            ((carton, _fit(left, carton)) for carton in by_size), key=lambda one: (sum(u.volume for u in one[1]), len(one[1]))
        )
        parcels.append(Packed(carton, tuple(inside)))
        gone = Counter(inside)
        rest = []
        for one in left:
            if gone[one]:
                gone[one] -= 1
            else:
                rest.append(one)
        left = rest
    return parcels + [Packed(None, (one,)) for one in ordered if not fitting[one]]


def _fits_alone(one: Unit, carton: Carton) -> bool:
    return one.weight_g <= carton.most_weight_g and _is_within(one.size_mm, carton.size_mm)


def _is_within(size: Size, room: Size) -> bool:
    """Says whether a box goes into another, turned as it fits."""
    return all(own <= free for own, free in zip(sorted(size), sorted(room), strict=True))


def _could_take(units: Sequence[Unit], carton: Carton) -> bool:
    return sum(one.volume for one in units) <= carton.volume and sum(one.weight_g for one in units) <= carton.most_weight_g


def _fit(units: Sequence[Unit], carton: Carton) -> list[Unit]:
    """Returns those of the units that go into a carton together, in their order; those of unknown measures take no room."""
    weight, room, laid_out = carton.most_weight_g, carton.volume, len(units) <= MOST_LAID_OUT
    if not laid_out:
        room = room * FILLABLE_PERCENT // 100
    inside: list[Unit] = []
    layout, too_large = _Layout(carton.size_mm), list[Size]()
    for one in units:
        if one.weight_g > weight or one.volume > room:
            continue
        if one.volume and not laid_out and not _is_within(one.size_mm, carton.size_mm):
            continue
        if one.volume and laid_out:
            # What a smaller box found no corner for is not tried with a larger one.
            if any(_is_within(size, one.size_mm) for size in too_large):
                continue
            if not layout.put(one.size_mm):
                too_large.append(one.size_mm)
                continue
        weight, room = weight - one.weight_g, room - one.volume
        inside.append(one)
    return inside


class _Layout:
    """What lies where in a carton. Corners are kept lowest first, then backmost, then leftmost."""

    def __init__(self, size: Size) -> None:
        self._size = np.array(size)
        self.boxes: list[tuple[Size, Size]] = []
        self._starts = np.empty((0, 3), dtype=np.int64)
        self._ends = np.empty((0, 3), dtype=np.int64)
        # As (z, y, x), so that they sort themselves.
        self._corners: list[Size] = [(0, 0, 0)]

    def put(self, size: Size) -> bool:
        """Puts a box into the first corner that takes it, turned as it fits; says whether there was one."""
        corners = np.array(self._corners)[:, ::-1]
        found = [(first, number) for number, turned in enumerate(_turns(size)) if (first := self._first_free(corners, turned)) is not None]
        if not found:
            return False
        first, number = min(found)
        turned = _turns(size)[number]
        z, y, x = self._corners.pop(first)
        self._add((x, y, z), turned)
        return True

    def _first_free(self, corners: Any, size: Size) -> int | None:
        """Returns the first corner at which a box is inside and touches no other."""
        ends = corners + np.array(size)
        free = (ends <= self._size).all(axis=1)
        if self.boxes and free.any():
            crossing = (corners[:, None, :] < self._ends[None]) & (ends[:, None, :] > self._starts[None])
            free &= ~crossing.all(axis=2).any(axis=1)
        return int(free.argmax()) if free.any() else None

    def _add(self, at: Size, size: Size) -> None:
        self.boxes.append((at, size))
        self._starts = np.vstack((self._starts, at))
        self._ends = np.vstack((self._ends, np.add(at, size)))
        # A corner inside a box is none any more.
        self._corners = [one for one in self._corners if not all(at[a] <= one[2 - a] < at[a] + size[a] for a in range(3))]
        for corner in self._new_corners(at, size):
            if corner not in self._corners:
                insort(self._corners, corner)

    def _new_corners(self, at: Size, size: Size) -> set[Size]:
        """Returns the corners behind, beside and above a box, each slid towards the carton's own corner as far as it goes."""
        found = set()
        for axis in range(3):
            corner = np.array(at)
            corner[axis] += size[axis]
            if corner[axis] >= self._size[axis]:
                continue
            covers = (self._starts <= corner) & (corner < self._ends)
            for other in range(3):
                slid = corner.copy()
                if other != axis:
                    beside = covers[:, [one for one in range(3) if one != other]].all(axis=1) & (self._ends[:, other] <= corner[other])
                    slid[other] = self._ends[beside, other].max(initial=0)
                x, y, z = slid.tolist()
                found.add((z, y, x))
        return found


@lru_cache(1000)
def _turns(size: Size) -> list[Size]:
    """Returns a box in all ways in which it can lie, the flattest first."""
    return sorted({(one[0], one[1], one[2]) for one in permutations(size)}, key=lambda one: (one[2], one[1], one[0]))


def _volume(size: Size) -> int:
    return size[0] * size[1] * size[2]
