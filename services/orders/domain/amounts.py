"""What units of an order are worth. Every amount is fixed at intake; units take their share of it when they ship.

Shipped units take the first shares of a line and cancelled ones the last, so that the two never overlap.
"""

from collections.abc import Iterable, Mapping, Sequence
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
    if not quantity:
        return Shares(0, 0, 0)
    return Shares(
        share(line.amount_minor, before, quantity, line.units),
        share(line.discount_minor, before, quantity, line.units),
        share(line.tax_minor, before, quantity, line.units),
    )


def priced(line: Mapping[str, Any]) -> Priced:
    """Returns the amounts of a line's row, and the units that they are for: not those that were cancelled before a change."""
    gone = line["cancelled"] if is_settled(line) else line["settled"]
    return Priced(line["ordered"] - gone, line["amount_minor"], line["discount_minor"], line["tax_minor"])


def is_settled(line: Mapping[str, Any]) -> bool:
    """Says whether nothing of a line was left to ship at the order's last change, so that later ones do not concern it."""
    return bool(line["ordered"] == line["settled"])


def shipped_worth(line: Mapping[str, Any]) -> Shares:
    """Returns what the units of a line are worth that have shipped."""
    return units_worth(priced(line), 0, line["shipped"])


def open_worth(line: Mapping[str, Any]) -> Shares:
    """Returns what the units of a line are worth that have neither shipped nor been cancelled."""
    return _open(priced(line), line["shipped"], 0 if is_settled(line) else line["cancelled"] - line["settled"])


def shipping_open(order: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> Shares:
    """Returns what the shipping of units is worth that have neither shipped nor been cancelled."""
    shipping, shipped, cancelled = _shipping(order, lines)
    return _open(shipping, shipped, cancelled)


def shipping_shipped(order: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> Shares:
    """Returns what the shipping of units is worth that have shipped."""
    shipping, shipped, _ = _shipping(order, lines)
    booked = units_worth(shipping, 0, shipped)
    return Shares(booked.product_minor + order["settled_shipping_minor"], 0, booked.tax_minor + order["settled_shipping_tax_minor"])


def shipping_of(order: Mapping[str, Any], lines: Iterable[Mapping[str, Any]], quantity: int) -> Shares:
    """Returns what the shipping of the next `quantity` units is worth."""
    shipping, shipped, _ = _shipping(order, lines)
    return units_worth(shipping, shipped, quantity)


def worth_left(order: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> int:
    """Returns what all units of an order, and their share of its shipping, are worth that have neither shipped nor been cancelled."""
    return sum(open_worth(line).total_minor for line in lines) + shipping_open(order, lines).total_minor


def worth_shipped(order: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> int:
    """Returns what all units of an order, and their share of its shipping, are worth that have shipped."""
    return sum(shipped_worth(line).total_minor for line in lines) + shipping_shipped(order, lines).total_minor


def _shipping(order: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> tuple[Priced, int, int]:
    """Returns the shipping since the order's last change as a line, and how many of its units have shipped and are cancelled."""
    rows = [line for line in lines if not is_settled(line)]
    shipping = Priced(
        sum(line["ordered"] - line["settled"] for line in rows), order["shipping_minor"] - order["settled_shipping_minor"], 0,
        order["shipping_tax_minor"] - order["settled_shipping_tax_minor"],
    )  # fmt: skip
    return shipping, sum(line["shipped"] for line in rows), sum(line["cancelled"] - line["settled"] for line in rows)


def _open(line: Priced, shipped: int, cancelled: int) -> Shares:
    return units_worth(line, shipped, line.units - shipped - cancelled)


def shipping_tax(tax_minor: int, before_minor: int, after_minor: int) -> int:
    """Returns what a channel charges as tax on shipping that costs something else now."""
    return proportion(tax_minor, after_minor, before_minor) if before_minor else tax_minor
