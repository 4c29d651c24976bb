"""Purchase orders from draft to close. What was sent is expected; what comes is `receive_purchase.py`'s."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update

from argosy.inventory.v1 import purchasing_service_pb2
from chassis.kernel.clock import SECOND
from chassis.kernel.errors import AlreadyExists, FailedPrecondition, NotFound, need_unchanged
from chassis.kernel.ids import new_id
from chassis.runtime.approvals import ApprovalKind, Weight, need_approval
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.inventory.app.intake import end_of, in_stock_units
from services.inventory.app.purchase_view import lines_of, to_purchase_order
from services.inventory.app.supply import Expected, expect
from services.inventory.domain.purchasing import EXPECTED, Status, after, cost, expected_at
from services.inventory.domain.stock import State
from services.inventory.store.stock_book import Document, StockBook
from services.inventory.store.tables import ITEMS, LOCATIONS, PURCHASE_LINES, PURCHASE_ORDERS, SUPPLIERS

PurchaseOrder = purchasing_service_pb2.PurchaseOrder


async def create_purchase_order(work: Work, request: purchasing_service_pb2.CreatePurchaseOrderRequest) -> PurchaseOrder:
    """Refusals: NO_SUCH_SUPPLIER, NO_SUCH_LOCATION, CURRENCY_DIFFERS, NO_SUCH_ITEM, KIT, WRONG_UNIT, NOT_WHOLE, NUMBER_TAKEN."""
    supplier = await _one(work.tx, SUPPLIERS, "supplier_id", request.supplier_id, "NO_SUCH_SUPPLIER")
    location = await _one(work.tx, LOCATIONS, "location_id", request.location_id, "NO_SUCH_LOCATION")
    if location.owned and supplier.currency_code != location.currency_code:
        text = f"the supplier is paid in {supplier.currency_code}, stock at {location.location_id} is valued in {location.currency_code}"
        raise FailedPrecondition("CURRENCY_DIFFERS", text, field="supplier_id")
    order_id = new_id()
    lines = await _lines(work, order_id, supplier, request.lines)
    number = request.number or f"PO-{datetime.fromtimestamp(work.now // SECOND, UTC):%Y%m%d}-{order_id[-8:].upper()}"
    if await work.tx.read(select(PURCHASE_ORDERS.c.number).where(PURCHASE_ORDERS.c.number == number)):
        raise AlreadyExists("NUMBER_TAKEN", f"there is a purchase order {number} already", field="number")
    row = {
        "purchase_order_id": order_id, "number": number, "supplier_id": supplier.supplier_id, "location_id": location.location_id,
        "currency_code": supplier.currency_code, "status": int(Status.DRAFT), "total_minor": sum(line["value_minor"] for line in lines),
        "note": request.note, "approval_id": "", "version": 1, "created_at": work.now, "created_by": work.cause.actor, "ended_at": None,
    }  # fmt: skip
    await work.tx.insert(PURCHASE_ORDERS, [row])
    await work.tx.insert(PURCHASE_LINES, lines)
    return await shown(work.tx, order_id)


async def update_purchase_order(work: Work, request: purchasing_service_pb2.UpdatePurchaseOrderRequest) -> PurchaseOrder:
    """Refusals: NO_SUCH_PURCHASE_ORDER, ETAG_MISMATCH, WRONG_STATUS, and those of lines."""
    row = await locked(work, request.purchase_order_id)
    need_unchanged(request.etag, row.version)
    after("update", row.status)
    supplier = await _one(work.tx, SUPPLIERS, "supplier_id", row.supplier_id, "NO_SUCH_SUPPLIER")
    old = await lines_of(work.tx, [row.purchase_order_id])
    await work.tx.remove(PURCHASE_LINES, ("purchase_order_id", "line_id"), [(line.purchase_order_id, line.line_id) for line in old])
    lines = await _lines(work, row.purchase_order_id, supplier, request.lines)
    await work.tx.insert(PURCHASE_LINES, lines)
    return await advance(work, row, Status.DRAFT, total_minor=sum(line["value_minor"] for line in lines), approval_id="")


async def approve_purchase_order(work: Work, request: purchasing_service_pb2.ApprovePurchaseOrderRequest) -> PurchaseOrder:
    """Over the limit it waits for another person. Refusals: those of `carry_out`."""
    row = await locked(work, request.purchase_order_id)
    need_unchanged(request.etag, row.version)
    after("approve", row.status)
    # Small orders to one supplier weigh together.
    summary = f"order {row.number} from {row.supplier_id}"
    weight = Weight("supplier", row.supplier_id, summary, row.total_minor, row.currency_code)
    proposed = purchasing_service_pb2.ApprovePurchaseOrderRequest(
        request_id=request.request_id, purchase_order_id=row.purchase_order_id, etag=str(row.version + 1)
    )
    if approval_id := await need_approval(work, APPROVAL, proposed, weight):
        return await advance(work, row, Status.DRAFT, approval_id=approval_id)
    return await advance(work, row, Status.APPROVED)


async def carry_out(work: Work, request: purchasing_service_pb2.ApprovePurchaseOrderRequest) -> PurchaseOrder:
    """Refusals: NO_SUCH_PURCHASE_ORDER, ETAG_MISMATCH, WRONG_STATUS."""
    row = await locked(work, request.purchase_order_id)
    need_unchanged(request.etag, row.version)
    return await advance(work, row, after("approve", row.status))


APPROVAL = ApprovalKind(
    "inventory.purchase", "Purchase orders, by what they cost", "inventory.purchasing.approve",
    purchasing_service_pb2.ApprovePurchaseOrderRequest, carry_out, limit_minor=500_000,
)  # fmt: skip


async def send_purchase_order(work: Work, request: purchasing_service_pb2.SendPurchaseOrderRequest) -> PurchaseOrder:
    """Refusals: NO_SUCH_PURCHASE_ORDER, WRONG_STATUS."""
    row = await locked(work, request.purchase_order_id)
    status = after("send", row.status)
    supplier = await _one(work.tx, SUPPLIERS, "supplier_id", row.supplier_id, "NO_SUCH_SUPPLIER")
    lines = await lines_of(work.tx, [row.purchase_order_id])
    await _expect(work, row, {line.line_id: (0, line.confirmed) for line in lines}, lines, supplier.confidence_percent)
    return await advance(work, row, status)


async def acknowledge_purchase_order(work: Work, request: purchasing_service_pb2.AcknowledgePurchaseOrderRequest) -> PurchaseOrder:
    """Refusals: NO_SUCH_PURCHASE_ORDER, WRONG_STATUS, NO_SUCH_LINE."""
    row = await locked(work, request.purchase_order_id)
    status = after("acknowledge", row.status)
    lines = {line.line_id: line for line in await lines_of(work.tx, [row.purchase_order_id])}
    said = {line.line_id: line for line in request.lines}
    for index, line_id in enumerate(said):
        if line_id not in lines:
            raise NotFound("NO_SUCH_LINE", f"lines[{index}].line_id: the order has no line {line_id}", field=f"lines[{index}].line_id")
    changes, opened = [], {}
    for line_id, line in lines.items():
        confirmed, due_at = line.confirmed, line.due_at
        if line_id in said:
            confirmed = said[line_id].quantity
            due_at = end_of(said[line_id].expected_on, "lines.expected_on") - 1 if said[line_id].expected_on else due_at
        opened[line_id] = (max(0, line.confirmed - line.received), max(0, confirmed - line.received))
        changes.append({"purchase_order_id": row.purchase_order_id, "line_id": line_id, "confirmed": confirmed, "due_at": due_at})
    await work.tx.change(PURCHASE_LINES, ("purchase_order_id", "line_id"), changes)
    await _expect(work, row, opened, await lines_of(work.tx, [row.purchase_order_id]), 100)
    return await advance(work, row, status)


async def close_purchase_order(work: Work, request: purchasing_service_pb2.ClosePurchaseOrderRequest) -> PurchaseOrder:
    """Refusals: NO_SUCH_PURCHASE_ORDER, WRONG_STATUS."""
    return await _end(work, request.purchase_order_id, "close", request.reason)


async def cancel_purchase_order(work: Work, request: purchasing_service_pb2.CancelPurchaseOrderRequest) -> PurchaseOrder:
    """Refusals: NO_SUCH_PURCHASE_ORDER, WRONG_STATUS."""
    return await _end(work, request.purchase_order_id, "cancel", request.reason)


async def _end(work: Work, purchase_order_id: str, step: str, reason: str) -> PurchaseOrder:
    row = await locked(work, purchase_order_id)
    status = after(step, row.status)
    lines = await lines_of(work.tx, [row.purchase_order_id])
    if row.status in EXPECTED:
        await _expect(work, row, {line.line_id: (max(0, line.confirmed - line.received), 0) for line in lines}, lines, 100)
    return await advance(work, row, status, ended_at=work.now, note=reason or row.note)


async def _expect(work: Work, row: Any, opened: dict[str, tuple[int, int]], lines: Sequence[Any], confidence_percent: int) -> None:
    """Books what is expected more, or less, as INCOMING; `opened` is (before, now) by line."""
    document = Document("purchase_order", row.purchase_order_id, row.number)
    book = await StockBook.open(work, [(line.item_id, row.location_id) for line in lines])
    for line in lines:
        before, now = opened[line.line_id]
        change = (State.OUTSIDE, State.INCOMING) if now > before else (State.INCOMING, State.OUTSIDE)
        if now != before:
            book.move(line.item_id, row.location_id, "", change, abs(now - before), document)
    await book.write()
    await expect(
        work,
        [
            Expected(
                "purchase_order", row.purchase_order_id, line.line_id, line.item_id, row.location_id, opened[line.line_id][1],
                line.due_at, confidence_percent,
            )
            for line in lines
        ],
    )  # fmt: skip


async def _lines(
    work: Work, order_id: str, supplier: Any, given: Sequence[purchasing_service_pb2.PurchaseLineInput]
) -> list[dict[str, Any]]:
    items = {row.item_id: row for row in await work.tx.find(ITEMS, ("item_id",), sorted({(line.item_id,) for line in given}))}
    rows = []
    for index, line in enumerate(given):
        field = f"lines[{index}]"
        item = items.get(line.item_id)
        if item is None:
            raise NotFound("NO_SUCH_ITEM", f"{field}.item_id: there is no published item {line.item_id}", field=f"{field}.item_id")
        if item.kit:
            raise FailedPrecondition("KIT", f"{field}.item_id: {item.sku} is a kit; order its components", field=f"{field}.item_id")
        quantity = in_stock_units(item, line.quantity, line.unit, field)
        days = item.lead_time_days or supplier.lead_time_days
        due_at = end_of(line.expected_on, f"{field}.expected_on") - 1 if line.expected_on else expected_at(work.now, days)
        rows.append(
            {
                "purchase_order_id": order_id, "line_id": str(index + 1), "item_id": line.item_id, "ordered": quantity,
                "confirmed": quantity, "received": 0, "damaged": 0, "over": 0, "due_at": due_at,
                "value_minor": cost(line.quantity, line.unit_cost_millionths),
            }
        )  # fmt: skip
    return rows


async def _one(tx: Tx, table: Any, column: str, value: str, reason: str) -> Any:
    rows = await tx.read(select(table).where(table.c[column] == value))
    if not rows:
        raise NotFound(reason, f"{column}: there is no {value}", field=column)
    return rows[0]


async def locked(work: Work, purchase_order_id: str) -> Any:
    """Locks and returns an order's row; raises NotFound."""
    query = select(PURCHASE_ORDERS).where(PURCHASE_ORDERS.c.purchase_order_id == purchase_order_id).with_for_update()
    rows = await work.tx.read(query)
    if not rows:
        raise NotFound("NO_SUCH_PURCHASE_ORDER", f"there is no purchase order {purchase_order_id}", field="purchase_order_id")
    return rows[0]


async def advance(work: Work, row: Any, status: Status, **values: Any) -> PurchaseOrder:
    """Sets where an order stands and returns it."""
    change = update(PURCHASE_ORDERS).where(PURCHASE_ORDERS.c.purchase_order_id == row.purchase_order_id)
    await work.tx.write(change.values(status=int(status), version=row.version + 1, **values))
    return await shown(work.tx, row.purchase_order_id)


async def shown(tx: Tx, purchase_order_id: str) -> PurchaseOrder:
    """Returns an order as the contract shows it."""
    row = (await tx.read(select(PURCHASE_ORDERS).where(PURCHASE_ORDERS.c.purchase_order_id == purchase_order_id)))[0]
    return to_purchase_order(row, await lines_of(tx, [purchase_order_id]))
