"""Order files in CSV, read by a mapping that is data: rows with the same number are one order.

What is wrong with a row is reported by its line and column, and the row left out; the rest of the file goes on.
"""

import codecs
import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from babel import Locale
from msgspec import Struct, field

from chassis.kernel.clock import SECOND
from gateway.channels.amounts import decimal, rounded_minor
from gateway.channels.commands import CompareLines, FindOrder, GiveBack, OrderSteps, PlaceOrder, Step, Unreadable

MOST_REPORTED = 1000
SHIPPING, DISCOUNT, REPORT = "shipping", "discount", "report"


class Mapping(Struct, frozen=True):
    """How a file is read: a FileMapping of the contract as plain values. `columns` are headers by what they hold."""

    columns: dict[str, str]
    currency_code: str
    encoding: str = "utf-8"
    delimiter: str = ","
    date_format: str = ""
    decimal_mark: str = "."
    cancellation_prefix: str = ""
    charges: dict[str, str] = field(default_factory=dict)
    countries: dict[str, str] = field(default_factory=dict)
    default_country_code: str = ""
    default_address: dict[str, Any] = field(default_factory=dict)
    paid_by: str = ""


class Reported(Struct, frozen=True):
    """A row that was left out."""

    row: int
    order_number: str
    field: str
    reason: str


class Line(Struct):
    """A row that is fit to be ordered or given back. `quantity` is positive."""

    row: int
    sku: str
    quantity: int
    amount_minor: int
    tax_minor: int
    description: str = ""


class FileOrder(Struct):
    """The rows of a number."""

    number: str
    customer: str
    country_code: str
    placed_at: datetime | None
    lines: list[Line] = field(default_factory=list)
    shipping_minor: int = 0
    discount_minor: int = 0

    def placed_us(self, otherwise: int) -> int:
        """When it was placed, in microseconds."""
        return int(self.placed_at.timestamp()) * SECOND if self.placed_at is not None else otherwise

    @property
    def quantities(self) -> dict[str, int]:
        """Quantities by external line id, which is the line's place."""
        return {str(index): line.quantity for index, line in enumerate(self.lines, 1)}


class FileRead(Struct):
    """What was found in a file."""

    rows: int = 0
    duplicates: int = 0
    orders: list[FileOrder] = field(default_factory=list)
    give_backs: list[FileOrder] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)
    left_out: int = 0

    def report(self, row: int, number: str, column: str, reason: str) -> None:
        """Leaves a row out."""
        self.left_out += 1
        if len(self.reported) < MOST_REPORTED:
            self.reported.append(Reported(row, number, column, reason))


class Sold(Struct):
    """Units that a customer bought and has not given back."""

    external_order_id: str
    external_line_id: str
    customer: str
    sku: str
    left: int
    placed_at: int


class _Wrong(Exception):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


def read_file(content: bytes, mapping: Mapping) -> FileRead:
    """Reads a file; raises Unreadable where its encoding or its header is not as the mapping says."""
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode(mapping.encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise Unreadable(f"the file is not {mapping.encoding}: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mapping.delimiter)
    try:
        header = next(reader, [])
        places = _places(header, mapping)
        found = FileRead()
        seen: set[tuple[str, ...]] = set()
        orders: dict[str, FileOrder] = {}
        for cells in reader:
            _take_row(found, orders, seen, places, cells, reader.line_num, mapping)
    except csv.Error as error:
        raise Unreadable(f"line {reader.line_num}: {error}") from error
    for order in orders.values():
        if not order.lines:
            continue
        (found.give_backs if _takes_back(order.number, mapping) else found.orders).append(order)
    return found


def _places(header: Sequence[str], mapping: Mapping) -> dict[str, int]:
    names = [name.strip() for name in header]
    missing = [column for column in mapping.columns.values() if column not in names]
    if missing:
        raise Unreadable(f"the header has no column {', '.join(missing)}; it has {', '.join(names)[:300]}")
    return {what: names.index(column) for what, column in mapping.columns.items()}


def _take_row(
    found: FileRead, orders: dict[str, FileOrder], seen: set[tuple[str, ...]], places: dict[str, int],
    cells: Sequence[str], row: int, mapping: Mapping,
) -> None:  # fmt: skip
    if not any(cell.strip() for cell in cells):
        return
    found.rows += 1
    whole = tuple(cells)
    if whole in seen:
        found.duplicates += 1
        return
    seen.add(whole)
    values = {what: cells[place].strip() if place < len(cells) else "" for what, place in places.items()}
    try:
        _add(orders, values, row, mapping)
    except _Wrong as wrong:
        found.report(row, values["order_number"][:100], mapping.columns.get(wrong.column, wrong.column), wrong.reason)


def _add(orders: dict[str, FileOrder], values: dict[str, str], row: int, mapping: Mapping) -> None:
    number, code = values["order_number"], values["sku"]
    for name, limit in (("order_number", 100), ("sku", 100)):
        if not 0 < len(values[name]) <= limit:
            raise _Wrong(name, f"must have 1 to {limit} characters")
    back = _takes_back(number, mapping)
    quantity, price = _quantity(values["quantity"]), _price(values["unit_price"], mapping)
    charge = mapping.charges.get(code.upper())
    order = orders.get(number) or FileOrder(number, _customer(values), _country(values, mapping), _moment(values, mapping))
    if charge is not None:
        _charge(order, charge, rounded_minor(price * quantity, mapping.currency_code), back=back)
    else:
        if (quantity < 0) != back or not quantity:
            raise _Wrong("quantity", f"{quantity} in {'what comes back' if back else 'an order'}")
        if price < 0 or not price:
            raise _Wrong("unit_price", f"{price} is not a price")
        amount = rounded_minor(price * abs(quantity), mapping.currency_code)
        order.lines.append(Line(row, code, abs(quantity), amount, _tax(values, mapping), values.get("description", "")[:300]))
    orders[number] = order


def _charge(order: FileOrder, kind: str, amount_minor: int, *, back: bool) -> None:
    if back or kind == REPORT:
        raise _Wrong("sku", "is no article" if kind == REPORT else "a charge does not come back by itself; refund it by hand")
    if kind == SHIPPING:
        if amount_minor < 0:
            raise _Wrong("unit_price", "shipping is negative")
        order.shipping_minor += amount_minor
    else:
        order.discount_minor += abs(amount_minor)


def _takes_back(number: str, mapping: Mapping) -> bool:
    return bool(mapping.cancellation_prefix) and number.startswith(mapping.cancellation_prefix)


def _quantity(text: str) -> int:
    try:
        number = decimal(text, "quantity")
    except Unreadable as error:
        raise _Wrong("quantity", f"{text!r} is no number") from error
    if number != number.to_integral_value() or abs(number) > 1_000_000_000:
        raise _Wrong("quantity", f"{text!r} is no whole number that can be ordered")
    return int(number)


def _price(text: str, mapping: Mapping, column: str = "unit_price") -> Decimal:
    thousands = "." if mapping.decimal_mark == "," else ","
    try:
        return decimal(text.replace(thousands, "").replace(mapping.decimal_mark, "."), column)
    except Unreadable as error:
        raise _Wrong(column, f"{text!r} is no amount") from error


def _tax(values: dict[str, str], mapping: Mapping) -> int:
    if "line_tax" not in values:
        return 0
    tax = _price(values["line_tax"] or "0", mapping, "line_tax")
    return rounded_minor(abs(tax), mapping.currency_code)


def _customer(values: dict[str, str]) -> str:
    # Spreadsheets write a number that may be missing as 17850.0.
    return values.get("customer", "").removesuffix(".0")[:100]


def _moment(values: dict[str, str], mapping: Mapping) -> datetime | None:
    text = values.get("placed_at", "")
    if not text:
        return None
    try:
        moment = datetime.strptime(text, mapping.date_format) if mapping.date_format else datetime.fromisoformat(text)
    except ValueError as error:
        raise _Wrong("placed_at", f"{text!r} is no moment as the mapping writes them") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@cache
def _territories() -> dict[str, str]:
    return {name.casefold(): code for code, name in Locale("en").territories.items() if len(code) == 2 and code.isalpha()}


def _country(values: dict[str, str], mapping: Mapping) -> str:
    text = values.get("country", "")
    if not text:
        if mapping.default_country_code:
            return mapping.default_country_code
        raise _Wrong("country", "is empty, and the mapping has no other")
    code = mapping.countries.get(text) or _territories().get(text.casefold())
    if code is None and len(text) == 2 and text.upper() in _territories().values():
        code = text.upper()
    if code is None:
        raise _Wrong("country", f"{text!r} is no country; name it in the mapping's countries")
    return code


def placing(order: FileOrder, mapping: Mapping, channel_id: str, entity: str) -> PlaceOrder:
    """Returns the command that places an order."""
    total = sum(line.amount_minor + line.tax_minor for line in order.lines) + order.shipping_minor - order.discount_minor
    body: dict[str, Any] = {
        "channel_id": channel_id, "external_order_id": order.number, "currency_code": mapping.currency_code, "entity": entity,
        "ship_to": {**mapping.default_address, "country_code": order.country_code},
        "lines": [
            {
                "channel_sku": line.sku, "quantity": line.quantity, "amount_minor": line.amount_minor, "tax_minor": line.tax_minor,
                "external_line_id": external,
            }
            for external, line in zip(order.quantities, order.lines, strict=True)
        ],
        "shipping_minor": order.shipping_minor, "discount_minor": order.discount_minor, "tax_charged": "line_tax" in mapping.columns,
    }  # fmt: skip
    if mapping.paid_by and total > 0:
        body["tenders"] = [{"method": mapping.paid_by, "state": "TENDER_STATE_CAPTURED", "amount_minor": total}]
    if order.placed_at is not None:
        body["placed_at"] = order.placed_at.isoformat()
    return PlaceOrder(json.dumps(body))


def steps(orders: Iterable[FileOrder], back: dict[str, list[GiveBack]], mapping: Mapping, channel_id: str, entity: str) -> list[OrderSteps]:
    """Returns what a file says of each order: it is placed, and what comes back of it; `back` are those by order."""
    found = []
    for order in orders:
        digest = hashlib.sha256(json.dumps(order.quantities, sort_keys=True).encode()).hexdigest()[:16]
        own = [
            Step(placing(order, mapping, channel_id, entity)), Step(CompareLines(order.quantities), f"lines/{digest}"),
            *(Step(one) for one in back.pop(order.number, [])),
        ]  # fmt: skip
        found.append(OrderSteps(order.number, own))
    return found + [OrderSteps(number, [Step(FindOrder()), *(Step(one) for one in rest)]) for number, rest in back.items()]


def match(read: FileRead, sold: list[Sold], location_id: str, now: int) -> tuple[dict[str, list[GiveBack]], list[Sold]]:
    """Finds what comes back among what the customers bought, the newest first.

    Returns give-backs by order and the lines that they took from; a row that finds nothing is reported.
    """
    by_key: dict[tuple[str, str], list[Sold]] = {}
    for line in sorted(sold, key=lambda line: line.placed_at, reverse=True):
        by_key.setdefault((line.customer, line.sku), []).append(line)
    back: dict[str, list[GiveBack]] = {}
    touched: dict[tuple[str, str], Sold] = {}
    for wish in read.give_backs:
        taken: dict[str, dict[str, int]] = {}
        for row in wish.lines:
            rest = row.quantity
            for line in by_key.get((wish.customer, row.sku), []) if wish.customer else []:
                part = min(rest, line.left) if line.placed_at <= wish.placed_us(now) else 0
                if part:
                    line.left -= part
                    rest -= part
                    lines = taken.setdefault(line.external_order_id, {})
                    lines[line.external_line_id] = lines.get(line.external_line_id, 0) + part
                    touched[line.external_order_id, line.external_line_id] = line
            if rest:
                read.report(row.row, wish.number, "", f"{rest} of {row.sku} come back that this customer did not buy here")
        for number, lines in taken.items():
            back.setdefault(number, []).append(GiveBack(f"back/{wish.number}", f"taken back by {wish.number}", lines, -1, location_id))
    return back, list(touched.values())
