"""What a line that takes stock in must say of its item: unit, lot, serial numbers, expiry. Whatever document it stands on."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from chassis.kernel.clock import from_datetime
from chassis.kernel.errors import FailedPrecondition, InvalidArgument
from chassis.runtime.tx import gate
from chassis.runtime.work import Work
from services.inventory.app.checks import need_known
from services.inventory.domain.stock import State, Tracking
from services.inventory.store.stock_book import StockBook
from services.inventory.store.tables import BALANCES

THERE = (BALANCES.c.quantity > 0,)


@dataclass(frozen=True)
class Intake:
    """A line as it is booked: how much of which lots, in stock units, and where it goes."""

    item_id: str
    location_id: str
    lots: tuple[tuple[str, int], ...]
    state: State
    expires_at: int | None = None
    batch: str = ""

    @property
    def quantity(self) -> int:
        """Returns how much it is over all lots."""
        return sum(quantity for _, quantity in self.lots)

    def learn(self, book: StockBook) -> None:
        """Notes its lots where they are new."""
        for lot, _ in self.lots:
            if lot:
                book.learn_lot(self.item_id, lot, self.expires_at, self.batch)


def lots_named(lines: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Yields the (item, lot) that lines name, serial numbers included; lines have no item where it is not said."""
    for line in lines:
        for lot in (line.lot, *line.serials):
            yield line.item_id, lot


def in_stock_units(item: Any, quantity: int, unit: str, field: str) -> int:
    """Returns a quantity in stock units; raises InvalidArgument WRONG_UNIT or NOT_WHOLE."""
    if unit in ("", item.stock_unit):
        return quantity
    units = json.loads(item.units)
    if unit not in units:
        known = ", ".join([item.stock_unit, *sorted(units)])
        raise InvalidArgument("WRONG_UNIT", f"{field}.unit: {item.sku} has no unit {unit}; choose one of {known}", field=f"{field}.unit")
    numerator, denominator = units[unit]
    if quantity * numerator % denominator:
        text = f"{field}.quantity: {quantity} {unit} are no whole number of {item.stock_unit}"
        raise InvalidArgument("NOT_WHOLE", text, field=f"{field}.quantity")
    return int(quantity * numerator // denominator)


def end_of(day: str, field: str) -> int:
    """Returns the moment after a day, in UTC; raises InvalidArgument."""
    try:
        following = date.fromisoformat(day) + timedelta(days=1)
    except ValueError as error:
        raise InvalidArgument("INVALID_FIELD", f"{field}: {day} is no day of the calendar", field=field) from error
    return from_datetime(datetime(following.year, following.month, following.day, tzinfo=UTC))


def read_line(book: StockBook, location_id: str, line: Any, field: str, now: int) -> Intake:
    """Returns what a line brings. Refusals: NO_SUCH_LOCATION, NO_SUCH_ITEM, KIT, WRONG_UNIT, NOT_WHOLE, LOT_REQUIRED, LOT_UNWANTED,
    SERIALS_REQUIRED, EXPIRY_REQUIRED, EXPIRED_LOT, LOT_MISMATCH.
    """  # fmt: skip
    need_known(book, line.item_id, location_id, field)
    item = book.items[line.item_id]
    if item.kit:
        text = f"{field}.item_id: {item.sku} is a kit, which has no stock of its own; receive its components"
        raise FailedPrecondition("KIT", text, field=f"{field}.item_id")
    quantity = in_stock_units(item, line.quantity, line.unit, field)
    expires_at = _expiry(item, line, field, now)
    lots = _lots(item, line, quantity, field)
    for lot, _ in lots:
        known = book.lots.get((line.item_id, lot))
        if known is not None and expires_at is not None and known.expires_at != expires_at:
            raise FailedPrecondition(
                "LOT_MISMATCH", f"{field}.expires_on: lot {lot} is known with another day", field=f"{field}.expires_on"
            )
    state = State.QUARANTINE if line.quarantine else State.AVAILABLE
    return Intake(line.item_id, location_id, lots, state, expires_at, line.lot if item.tracking == Tracking.SERIAL else "")


def _expiry(item: Any, line: Any, field: str, now: int) -> int | None:
    if not item.expires:
        return None
    if not line.expires_on:
        raise InvalidArgument("EXPIRY_REQUIRED", f"{field}.expires_on: {item.sku} expires; say when", field=f"{field}.expires_on")
    moment = end_of(line.expires_on, f"{field}.expires_on")
    if moment <= now and not line.quarantine:
        text = f"{field}.expires_on: the lot has expired already; take it into quarantine"
        raise FailedPrecondition("EXPIRED_LOT", text, field=f"{field}.expires_on")
    return moment


def _lots(item: Any, line: Any, quantity: int, field: str) -> tuple[tuple[str, int], ...]:
    if item.tracking == Tracking.SERIAL:
        if len(line.serials) != quantity:
            text = f"{field}.serials: give {quantity} serial numbers, one for each piece"
            raise InvalidArgument("SERIALS_REQUIRED", text, field=f"{field}.serials")
        return tuple((serial, 1) for serial in line.serials)
    if line.serials:
        raise InvalidArgument("LOT_UNWANTED", f"{field}.serials: {item.sku} has no serial numbers", field=f"{field}.serials")
    if item.tracking == Tracking.LOT and not line.lot:
        raise InvalidArgument("LOT_REQUIRED", f"{field}.lot: {item.sku} is tracked by lot", field=f"{field}.lot")
    if item.tracking == Tracking.NONE and line.lot and item.expires:
        raise InvalidArgument("LOT_UNWANTED", f"{field}.lot: {item.sku} is not tracked by lot", field=f"{field}.lot")
    return ((line.lot, quantity),)


async def need_new_serials(work: Work, book: StockBook, lines: list[Intake]) -> None:
    """Raises FailedPrecondition SERIAL_EXISTS where a serial number is in stock already: there is only one of each."""
    serials = [(line.item_id, lot) for line in lines for lot, _ in line.lots if book.items[line.item_id].tracking == Tracking.SERIAL]
    for item_id in sorted({item_id for item_id, _ in serials}):
        await work.tx.close(gate("serial numbers", item_id))
    doubled = {one for one in serials if serials.count(one) > 1} if len(serials) != len(set(serials)) else set()
    rows = await work.tx.find(BALANCES, ("item_id", "lot"), serials, where=THERE)
    doubled |= {(row.item_id, row.lot) for row in rows} | {one for one in serials if book.holds(*one)}
    for item_id, serial in sorted(doubled):
        raise FailedPrecondition("SERIAL_EXISTS", f"{book.items[item_id].sku} {serial} is in stock already", field="lines")
