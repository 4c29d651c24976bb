"""SetDropShipPrice, ListDropShipPrices: what suppliers are paid for what they ship for us, and the books of that.

Stock at a supplier's location is the supplier's and has no value here. When it leaves for a customer it is bought and sold at once:
cost of goods, owed to the supplier.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select

from argosy.inventory.v1 import inventory_events_pb2, purchasing_service_pb2, stock_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.money import proportion
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import HoldKind, Work
from services.inventory.store.stock_book import StockBook
from services.inventory.store.tables import DROP_SHIP_PRICES, ISSUES, ITEMS, LOCATIONS, SUPPLIERS

Key = tuple[str, str]
KEY = ("location_id", "item_id")
UNPRICED = HoldKind("DROP_SHIP_UNPRICED", "stock", 86_400, "operations")


class Cost(NamedTuple):
    """What a supplier is owed for a line."""

    supplier_id: str
    amount_minor: int


class Prices:
    """What suppliers are paid for items at their locations."""

    def __init__(self, rows: Mapping[Key, Any]) -> None:
        self._rows = rows

    @classmethod
    async def of(cls, tx: Tx, keys: Iterable[Key]) -> "Prices":
        """Reads those of locations and items."""
        rows = await tx.find(DROP_SHIP_PRICES, KEY, sorted(set(keys)))
        return cls({(row.location_id, row.item_id): row for row in rows})

    def cost(self, location_id: str, item_id: str, quantity: int) -> Cost | None:
        """Returns what so many cost; None where nobody said."""
        row = self._rows.get((location_id, item_id))
        return Cost(row.supplier_id, proportion(row.amount_minor, quantity, row.quantity)) if row is not None else None


async def prices_for(work: Work, book: StockBook, messages: Sequence[Any]) -> Prices:
    """Returns the prices of what left locations whose stock is not ours."""
    foreign = [one for one in messages if one.location_id in book.locations and not book.owned(one.location_id)]
    return await Prices.of(work.tx, {(one.location_id, line.item_id) for one in foreign for line in one.lines})


def buy(work: Work, location: Any, issued: inventory_events_pb2.StockIssued, prices: Prices) -> dict[str, int]:
    """Tells what is owed for what left a location whose stock is not ours; returns what each line cost.

    A supplier without a price is a hold: the goods have left, and what they cost is still to be said.
    """
    costs: dict[str, int] = {}
    owed: defaultdict[str, list[Any]] = defaultdict(list)
    unpriced = []
    for line in issued.lines:
        cost = prices.cost(issued.location_id, line.item_id, line.quantity)
        if cost is None:
            unpriced.append(line.item_id)
            continue
        costs[line.line_id] = costs.get(line.line_id, 0) + cost.amount_minor
        owed[cost.supplier_id].append((line, cost.amount_minor))
    for supplier_id, lines in sorted(owed.items()):
        _tell(work, issued, supplier_id, lines)
    if unpriced and location.kind == stock_pb2.LOCATION_KIND_SUPPLIER:
        text = (
            f"{issued.location_id} shipped {', '.join(sorted(set(unpriced)))} for order {issued.order_id}, and nobody said what it is paid"
        )
        work.hold(UNPRICED, "issue", issued.document_id, text)
    return costs


def _tell(work: Work, issued: Any, supplier_id: str, lines: Sequence[tuple[Any, int]]) -> None:
    event = inventory_events_pb2.DropShipped(
        document_id=f"{issued.document_id}/{supplier_id}", shipment_id=issued.shipment_id, order_id=issued.order_id,
        channel_id=issued.channel_id, location_id=issued.location_id, supplier_id=supplier_id, entity=issued.entity,
        currency_code=issued.currency_code, cost_minor=sum(amount for _, amount in lines),
    )  # fmt: skip
    for line, amount in lines:
        event.lines.add(item_id=line.item_id, quantity=line.quantity, value_minor=amount, line_id=line.line_id)
    work.emit(event)


async def on_hold_released(work: Work, hold: Any) -> None:
    """Somebody said what a supplier is paid: what left is owed now; what is still not priced is held again."""
    if hold.reason != UNPRICED.reason:
        return
    rows = await work.tx.find(ISSUES, ("document_id",), [(hold.subject_id,)], order=("line_id",), lock=True)
    open_ = [row for row in rows if not row.value_minor]
    if not open_:
        return
    prices = await Prices.of(work.tx, {(row.location_id, row.item_id) for row in open_})
    (location,) = await work.tx.find(LOCATIONS, KEY[:1], [(open_[0].location_id,)])
    shipment_id = hold.subject_id.removeprefix("issue-")
    issued = inventory_events_pb2.StockIssued(
        document_id=hold.subject_id, shipment_id=shipment_id, order_id=open_[0].order_id, channel_id=open_[0].channel_id,
        location_id=location.location_id, entity=location.entity, currency_code=location.currency_code,
    )  # fmt: skip
    for row in open_:
        issued.lines.add(item_id=row.item_id, quantity=row.quantity, line_id=row.line_id)
    costs = buy(work, location, issued, prices)
    changes = [{"document_id": hold.subject_id, "line_id": line_id, "value_minor": cost} for line_id, cost in costs.items()]
    await work.tx.change(ISSUES, ("document_id", "line_id"), changes)


async def set_price(work: Work, request: purchasing_service_pb2.SetDropShipPriceRequest) -> purchasing_service_pb2.DropShipPrice:
    """Holds for what leaves from now on. Refusals: NO_SUCH_LOCATION, NO_SUCH_ITEM, NO_SUCH_SUPPLIER, OWNED, MIXED_CURRENCIES."""
    location = await _one(work.tx, LOCATIONS, "location_id", request.location_id, "NO_SUCH_LOCATION")
    await _one(work.tx, ITEMS, "item_id", request.item_id, "NO_SUCH_ITEM")
    supplier = await _one(work.tx, SUPPLIERS, "supplier_id", request.supplier_id, "NO_SUCH_SUPPLIER")
    if location.owned:
        text = f"stock at {location.location_id} is ours and has its cost; a supplier is paid for stock of its own"
        raise FailedPrecondition("OWNED", text, field="location_id")
    if supplier.currency_code != location.currency_code:
        paid, books = supplier.currency_code, location.currency_code
        text = f"{supplier.supplier_id} is paid in {paid}, the books of {location.location_id} are in {books}"
        raise FailedPrecondition("MIXED_CURRENCIES", text, field="supplier_id")
    row = {
        "location_id": location.location_id, "item_id": request.item_id, "supplier_id": supplier.supplier_id,
        "amount_minor": request.amount_minor, "quantity": request.quantity or 1, "updated_at": work.now,
    }  # fmt: skip
    await work.tx.merge(DROP_SHIP_PRICES, KEY, [row])
    return _price(row, location.currency_code)


async def _one(tx: Tx, table: Any, name: str, value: str, reason: str) -> Any:
    rows = await tx.find(table, (name,), [(value,)])
    if not rows:
        raise NotFound(reason, f"there is no {name.removesuffix('_id')} {value}", field=name)
    return rows[0]


async def list_prices(asked: Asked) -> purchasing_service_pb2.ListDropShipPricesResponse:
    """Lists by location and item."""
    query = select(DROP_SHIP_PRICES, LOCATIONS.c.currency_code).join(LOCATIONS, LOCATIONS.c.location_id == DROP_SHIP_PRICES.c.location_id)
    if asked.request.location_id:
        query = query.where(DROP_SHIP_PRICES.c.location_id == asked.request.location_id)
    rows, token = await page(asked.tx, query, [DROP_SHIP_PRICES.c.location_id, DROP_SHIP_PRICES.c.item_id], asked.request)
    found = [_price(row._mapping, row.currency_code) for row in rows]
    return purchasing_service_pb2.ListDropShipPricesResponse(prices=found, next_page_token=token)


def _price(row: Mapping[str, Any], currency_code: str) -> purchasing_service_pb2.DropShipPrice:
    return purchasing_service_pb2.DropShipPrice(
        location_id=row["location_id"], item_id=row["item_id"], supplier_id=row["supplier_id"], amount_minor=row["amount_minor"],
        quantity=row["quantity"], currency_code=currency_code, updated_at=to_timestamp(row["updated_at"]),
    )  # fmt: skip
