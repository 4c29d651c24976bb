"""Cartonisation: in which boxes units fit, by their measures and weights.

Units are put one after the other, the largest first, into the free corner that is lowest, then backmost, then leftmost, turned as
they fit (the extreme points of Crainic, Perboli and Tadei, 2008). The smallest carton that takes all wins; where none does, the
carton that takes most is filled, and so on with the rest.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import NamedTuple

# Of more units than this, room is estimated instead of laid out: so much of a carton can be filled.
MOST_LAID_OUT = 300
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
    left = sorted(units, key=lambda one: (-one.volume, -max(one.size_mm), -one.weight_g, one.line_id))
    by_size = sorted(cartons, key=lambda one: (one.volume, one.name))
    alone = [one for one in left if not any(_fit([one], carton) for carton in by_size)]
    left = [one for one in left if one not in alone]
    parcels = []
    while left:
        whole = next((carton for carton in by_size if len(_fit(left, carton)) == len(left)), None)
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
    return parcels + [Packed(None, (one,)) for one in alone]


def _fit(units: Sequence[Unit], carton: Carton) -> list[Unit]:
    """Returns those of the units that go into a carton together, in their order; those of unknown measures take no room."""
    weight, room = carton.most_weight_g, carton.volume
    if len(units) > MOST_LAID_OUT:
        room = room * FILLABLE_PERCENT // 100
    inside: list[Unit] = []
    layout = _Layout(carton.size_mm)
    for one in units:
        if one.weight_g > weight or one.volume > room:
            continue
        if one.volume and not (layout.could_hold(one.size_mm) if len(units) > MOST_LAID_OUT else layout.put(one.size_mm)):
            continue
        weight, room = weight - one.weight_g, room - one.volume
        inside.append(one)
    return inside


class _Layout:
    """What lies where in a carton."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._boxes: list[tuple[Size, Size]] = []
        self._corners: list[Size] = [(0, 0, 0)]

    def could_hold(self, size: Size) -> bool:
        """Says whether a box alone goes in."""
        return all(own <= room for own, room in zip(sorted(size), sorted(self._size), strict=True))

    def put(self, size: Size) -> bool:
        """Puts a box into the first corner that takes it, turned as it fits; says whether there was one."""
        for corner in sorted(self._corners, key=lambda one: (one[2], one[1], one[0])):
            for turned in _turns(size):
                if self._is_free(corner, turned):
                    self._boxes.append((corner, turned))
                    self._corners.remove(corner)
                    self._corners += self._new_corners(corner, turned)
                    return True
        return False

    def _is_free(self, at: Size, size: Size) -> bool:
        if any(at[axis] + size[axis] > self._size[axis] for axis in range(3)):
            return False
        return all(
            any(at[axis] + size[axis] <= other[axis] or other[axis] + own[axis] <= at[axis] for axis in range(3))
            for other, own in self._boxes
        )

    def _new_corners(self, at: Size, size: Size) -> list[Size]:
        """Returns the corners behind, beside and above a box, each slid towards the carton's own corner as far as it goes."""
        found = set()
        for axis in range(3):
            corner = list(at)
            corner[axis] += size[axis]
            for other in range(3):
                if other == axis:
                    continue
                slid = list(corner)
                slid[other] = max(
                    (
                        box[other] + own[other]
                        for box, own in self._boxes
                        if box[other] + own[other] <= corner[other] and _covers(box, own, corner, other)
                    ),
                    default=0,
                )
                found.add((slid[0], slid[1], slid[2]))
            found.add((corner[0], corner[1], corner[2]))
        return [one for one in found if all(one[axis] < self._size[axis] for axis in range(3)) and one not in self._corners]


def _covers(box: Size, own: Size, corner: Sequence[int], along: int) -> bool:
    return all(box[axis] <= corner[axis] < box[axis] + own[axis] for axis in range(3) if axis != along)


def _turns(size: Size) -> list[Size]:
    """Returns a box in all ways in which it can lie, the flattest first."""
    return sorted({(one[0], one[1], one[2]) for one in permutations(size)}, key=lambda one: (one[2], one[1], one[0]))


def _volume(size: Size) -> int:
    return size[0] * size[1] * size[2]
