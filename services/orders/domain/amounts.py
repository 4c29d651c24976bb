"""What units of an order are worth. Every amount is fixed at intake; units take their share of it when they ship.

Shipped units take the first shares of a line and cancelled ones the last, so that the two never overlap.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chassis.kernel.money import allocate, proportion, share


@dataclass(frozen=True)
class Priced:
    """A line's amounts for all its units, without tax but for `tax_minor`."""

    units: int
    amount_minor: int
    discount_minor: int
    tax_minor: int

    @property
    def total_minor(self) -> int:
        """What the customer pays for the line."""
        return self.amount_minor - self.discount_minor + self.tax_minor


@dataclass(frozen=True)
class Shares:
    """What some units are worth."""

    product_minor: int
    discount_minor: int
    tax_minor: int

    @property
    def total_minor(self) -> int:
        """product − discount + tax."""
        return self.product_minor - self.discount_minor + self.tax_minor


def spread_discount(lines: list[Priced], discount_minor: int) -> list[Priced]:
    """Spreads an order's discount over its lines by what they cost after their own, by largest remainder."""
    parts = allocate(discount_minor, [line.amount_minor - line.discount_minor for line in lines])
    return [
        Priced(line.units, line.amount_minor, line.discount_minor + part, line.tax_minor) for line, part in zip(lines, parts, strict=True)
    ]


def units_worth(line: Priced, before: int, quantity: int) -> Shares:
    """Returns what `quantity` units are worth when `before` have had their share."""
    return Shares(
        share(line.amount_minor, before, quantity, line.units),
        share(line.discount_minor, before, quantity, line.units),
        share(line.tax_minor, before, quantity, line.units),
    )


def remaining_worth(line: Priced, shipped: int, cancelled: int) -> int:
    """Returns what the units are worth that have neither shipped nor been cancelled."""
    return sum(
        sign * (proportion(total, line.units - cancelled, line.units) - proportion(total, shipped, line.units))
        for sign, total in ((1, line.amount_minor), (-1, line.discount_minor), (1, line.tax_minor))
    )


def worth_left(order: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> int:
    """Returns what all units of an order, and their share of its shipping, are worth that have neither shipped nor been cancelled."""
    rows = [line for line in lines if line["ordered"]]
    ordered, shipped, cancelled = (sum(line[name] for line in rows) for name in ("ordered", "shipped", "cancelled"))
    shipping = Priced(ordered, order["shipping_minor"], 0, order["shipping_tax_minor"])
    own = sum(remaining_worth(priced(line), line["shipped"], line["cancelled"]) for line in rows)
    return own + remaining_worth(shipping, shipped, cancelled)


def priced(line: Mapping[str, Any]) -> Priced:
    """Returns the amounts of a line's row."""
    return Priced(line["ordered"], line["amount_minor"], line["discount_minor"], line["tax_minor"])


def shipping_tax(tax_minor: int, before_minor: int, after_minor: int) -> int:
    """Returns what a channel charges as tax on shipping that costs something else now."""
    return proportion(tax_minor, after_minor, before_minor) if before_minor else tax_minor
