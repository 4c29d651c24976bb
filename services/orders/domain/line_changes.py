"""What a change makes of the lines of an order, of those that have shipped in part of their rest. Quantities are in the channel's units."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from chassis.kernel.errors import FailedPrecondition, InvalidArgument
from chassis.kernel.ids import new_id
from chassis.kernel.money import proportion
from services.orders.domain.amounts import open_worth


class LineChange(NamedTuple):
    """A line as it will be; none of it where it leaves, and `before` is 0 where it is new."""

    line_id: str
    channel_sku: str
    external_line_id: str
    before: int
    quantity: int
    amount_minor: int = 0
    discount_minor: int = 0
    tax_minor: int = 0

    def __str__(self) -> str:
        if not self.quantity:
            return f"{self.before} × {self.channel_sku} left"
        return f"{self.quantity} × {self.channel_sku}{f', was {self.before}' if self.before else ' added'}"


def line_changes(lines: Sequence[Any], wishes: Sequence[Any], *, tax_charged: bool) -> list[LineChange]:
    """Returns what differs; a wish is a LineChange of the contract.

    Raises InvalidArgument, which names the field, and FailedPrecondition where nothing would be left.
    """
    known = {line.line_id: line for line in lines if open_units(line)}
    still = set(known)
    changes: list[LineChange] = []
    for index, wish in enumerate(wishes):
        where = f"lines[{index}]"
        if wish.HasField("tax_minor") and not tax_charged:
            raise _wrong(f"{where}.tax_minor", "the tax of this order is computed; leave it unset")
        if not wish.line_id:
            changes.append(_added(wish, where))
            continue
        line = known.pop(wish.line_id, None)
        if line is None:
            raise _wrong(f"{where}.line_id", "the order has no such line, nothing of it is left to ship, or it was named before")
        changes += _changed(line, wish, where)
    gone = {change.line_id for change in changes if not change.quantity}
    if not any(change.quantity for change in changes) and still <= gone:
        raise FailedPrecondition("NOTHING_LEFT", "nothing of the order would be left; cancel it instead", field="lines")
    return changes


def _added(wish: Any, where: str) -> LineChange:
    for name, given in (("channel_sku", wish.channel_sku), ("quantity", wish.quantity), ("amount_minor", wish.HasField("amount_minor"))):
        if not given:
            raise _wrong(f"{where}.{name}", "a line that is added needs its SKU, a quantity and what it costs")
    line_id = new_id()
    return LineChange(line_id, wish.channel_sku, wish.external_line_id or line_id, 0, wish.quantity, wish.amount_minor, 0, wish.tax_minor)


def _changed(line: Any, wish: Any, where: str) -> Iterator[LineChange]:
    before = open_units(line)
    if (line.shipped + line.cancelled) % line.units:
        raise _wrong(f"{where}.line_id", "a unit of it has shipped in part; wait until all of that has")
    replaced = wish.channel_sku not in ("", line.channel_sku)
    if replaced and not wish.quantity:
        raise _wrong(f"{where}.quantity", "say how many of it go in place of the line")
    priced = wish.HasField("amount_minor") or wish.HasField("tax_minor")
    if not replaced and wish.quantity == before and not priced:
        return
    external = wish.external_line_id or line.external_line_id
    if replaced or not wish.quantity:
        yield LineChange(line.line_id, line.channel_sku, line.external_line_id, before, 0)
    if wish.quantity:
        worth = open_worth(line._mapping)
        amount, discount, tax = (
            proportion(each, wish.quantity, before) for each in (worth.product_minor, worth.discount_minor, worth.tax_minor)
        )
        if wish.HasField("amount_minor"):
            amount, discount = wish.amount_minor, 0
        if wish.HasField("tax_minor"):
            tax = wish.tax_minor
        line_id, sku = (new_id(), wish.channel_sku) if replaced else (line.line_id, line.channel_sku)
        yield LineChange(line_id, sku, external, 0 if replaced else before, wish.quantity, amount, discount, tax)


def open_units(line: Any) -> int:
    """Returns how many of a line have neither shipped nor been cancelled."""
    return int(line.ordered - line.shipped - line.cancelled) // int(line.units)


def _wrong(field: str, text: str) -> InvalidArgument:
    return InvalidArgument("INVALID_FIELD", f"{field}: {text}", field=field)
