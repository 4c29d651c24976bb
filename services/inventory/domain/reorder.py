"""How much to order: what must be there, what is, and in which lots a supplier sells."""

import math
from dataclasses import dataclass
from enum import IntEnum

MILLION = 1_000_000
THOUSAND = 1000
YEAR_DAYS = 365


class ReorderPolicy(IntEnum):
    """When more of an item is proposed; numbered as in the contract."""

    MANUAL = 1
    REORDER_POINT = 2
    ORDER_UP_TO = 3


@dataclass(frozen=True)
class Position:
    """What counts against what must be there: free stock, what comes or is being ordered, what is sold and not there."""

    available: int
    on_order: int
    waiting: int

    @property
    def total(self) -> int:
        """Returns all of it together; less than nothing where more is sold than comes."""
        return self.available + self.on_order - self.waiting


@dataclass(frozen=True)
class Terms:
    """How an item is ordered: when, at least how much, in multiples of what, and the lot that costs least."""

    policy: ReorderPolicy
    minimum: int
    multiple: int
    economic_lot: int = 0


def order_quantity(position: Position, reorder_point: int, terms: Terms) -> int:
    """Returns how much to order now; 0 where enough is there or people order the item themselves."""
    short = reorder_point - position.total
    if short <= 0 or terms.policy == ReorderPolicy.MANUAL:
        return 0
    wanted = max(short, terms.minimum, terms.economic_lot if terms.policy == ReorderPolicy.REORDER_POINT else 0)
    return -(-wanted // terms.multiple) * terms.multiple


def economic_lot(yearly_demand: int, order_cost_minor: int, holding_permille: int, unit_cost_millionths: int) -> int:
    """Returns the lot at which ordering and holding cost least together (Harris 1913); 0 where one of the costs is unknown."""
    if not (order_cost_minor and holding_permille and unit_cost_millionths):
        return 0
    return math.isqrt(2 * yearly_demand * order_cost_minor * MILLION * THOUSAND // (holding_permille * unit_cost_millionths))


def reason(position: Position, reorder_point: int, safety_stock: int, cover_days: int, service_level_permille: int) -> str:
    """Returns why something is ordered, for people."""
    return (
        f"{position.total} are there or coming ({position.available} free, {position.on_order} on order, {position.waiting} sold and "
        f"not there); {reorder_point} are needed for the next {cover_days} days: {reorder_point - safety_stock} forecast and "
        f"{safety_stock} to stay able to deliver in {service_level_permille / 10:g} % of such times"
    )
