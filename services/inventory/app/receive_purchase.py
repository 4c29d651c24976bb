"""ReceivePurchaseOrder: a delivery, box by box. What is too much or damaged is taken in and said; what is short stays expected."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select

from argosy.inventory.v1 import inventory_events_pb2, purchasing_service_pb2
from chassis.kernel.errors import InvalidArgument, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.work import HoldKind, Work
from services.inventory.app.appointments import need_appointment
from services.inventory.app.intake import Intake, in_stock_units, need_new_serials, read_line
from services.inventory.app.purchase_orders import advance, locked
from services.inventory.app.purchase_view import lines_of
from services.inventory.app.receive_stock import take_in
from services.inventory.app.supply import Expected, expect, fill
from services.inventory.domain.purchasing import Status, after, cost_of_receipt, most_without_check, over
from services.inventory.domain.stock import State
from services.inventory.store.stock_book import Document, StockBook
from services.inventory.store.tables import PURCHASE_LINES, SUPPLIERS

OVER_DELIVERY = HoldKind("OVER_DELIVERY", "stock", 28_800, "purchasing")


@dataclass
class _Progress:
    """A line while a delivery is taken in."""

    row: Any
    received: int
    damaged: int
    over: int
    intakes: list[tuple[Intake, int]] = field(default_factory=list)

    @property
    def open(self) -> int:
        return max(0, int(self.row.confirmed) - self.received)


async def receive_purchase_order(
    work: Work, request: purchasing_service_pb2.ReceivePurchaseOrderRequest
) -> purchasing_service_pb2.PurchaseReceipt:
    """Refusals: NO_SUCH_PURCHASE_ORDER, WRONG_STATUS, NO_SUCH_LINE, NO_SUCH_APPOINTMENT, MIXED_SERIALS, and those of `read_line`."""
    order = await locked(work, request.purchase_order_id)
    after("receive", order.status)
    if request.appointment_id:
        await need_appointment(work.tx, request.appointment_id)
    supplier = (await work.tx.read(select(SUPPLIERS).where(SUPPLIERS.c.supplier_id == order.supplier_id)))[0]
    lines = {row.line_id: _Progress(row, row.received, row.damaged, row.over) for row in await lines_of(work.tx, [order.purchase_order_id])}
    keys = {(line.row.item_id, order.location_id) for line in lines.values()}
    named = {
        (lines[said.line_id].row.item_id, lot)
        for box in request.boxes for said in box.lines if said.line_id in lines for lot in (said.lot, *said.serials)
    }  # fmt: skip
    book = await StockBook.open(work, keys, masters=True, lots=named)
    document = Document("receipt", new_id(), f"{order.number} {request.reference}".strip())
    location = book.locations[order.location_id]
    event = inventory_events_pb2.StockReceived(
        document_id=document.id, kind="PURCHASE", location_id=order.location_id, entity=location.entity, currency_code=order.currency_code
    )
    answer = purchasing_service_pb2.PurchaseReceipt(document_id=document.id)
    for number, box in enumerate(request.boxes):
        for index, said in enumerate(box.lines):
            name = f"boxes[{number}].lines[{index}]"
            if said.line_id not in lines:
                raise NotFound("NO_SUCH_LINE", f"{name}.line_id: the order has no line {said.line_id}", field=f"{name}.line_id")
            line = lines[said.line_id]
            parts = _parts(work, book, order.location_id, line, said, name, supplier.over_delivery_percent)
            await need_new_serials(work, book, parts)
            quantity = sum(part.quantity for part in parts)
            _note(answer, box.box_id, said.line_id, "OVER", over(line.row.ordered, line.received, quantity))
            _note(answer, box.box_id, said.line_id, "DAMAGED", sum(part.quantity for part in parts if part.state is State.DAMAGED))
            for part in parts:
                _take(book, event, line, part, document, paid=bool(location.owned))
    for one in answer.discrepancies:
        if one.kind == "OVER":
            text = f"{one.quantity} more than ordered came of line {one.line_id} of {order.number}: keep them or send them back"
            work.hold(OVER_DELIVERY, "purchase_order", order.purchase_order_id, text)
    # What waits is served before what is still expected is pegged anew.
    await fill(work, book, keys)
    await book.write()
    await _save(work, order, lines)
    work.emit(event)
    done = all(not line.open for line in lines.values())
    answer.purchase_order.CopyFrom(await advance(work, order, Status.RECEIVED if done else Status.PARTIALLY_RECEIVED))
    return answer


def _parts(work: Work, book: StockBook, location_id: str, line: _Progress, said: Any, name: str, percent: int) -> list[Intake]:
    """Returns what a line of a box brings: what is good, what is damaged, and what is too much without a check."""
    item = book.items[line.row.item_id]
    if said.damaged > said.quantity:
        raise InvalidArgument("INVALID_FIELD", f"{name}.damaged: more than came", field=f"{name}.damaged")
    if said.serials and 0 < said.damaged < said.quantity:
        text = f"{name}.damaged: say the damaged serial numbers on a line of their own"
        raise InvalidArgument("MIXED_SERIALS", text, field=f"{name}.damaged")
    quantity, damaged = (in_stock_units(item, count, said.unit, name) for count in (said.quantity, said.damaged))
    room = max(0, most_without_check(line.row.ordered, percent) - line.received)
    good = min(quantity - damaged, room)
    shares = ((good, State.AVAILABLE), (quantity - damaged - good, State.QUARANTINE), (damaged, State.DAMAGED))
    serials, parts = list(said.serials), []
    for count, state in shares:
        if not count:
            continue
        given = SimpleNamespace(
            item_id=line.row.item_id, quantity=count, unit="", lot=said.lot, expires_on=said.expires_on, serials=serials[:count],
            quarantine=said.quarantine or state is not State.AVAILABLE,
        )  # fmt: skip
        serials = serials[count:]
        intake = read_line(book, location_id, given, name, work.now)
        parts.append(replace(intake, state=state) if state is State.DAMAGED else intake)
    return parts


def _take(
    book: StockBook, event: inventory_events_pb2.StockReceived, line: _Progress, part: Intake, document: Document, *, paid: bool
) -> None:
    cost = cost_of_receipt(line.row.value_minor, line.row.ordered, line.received, part.quantity) if paid else 0
    value, _ = take_in(book, part, min(line.open, part.quantity), cost, document)
    line.over += over(line.row.ordered, line.received, part.quantity)
    line.received += part.quantity
    line.damaged += part.quantity if part.state is State.DAMAGED else 0
    event.value_minor += value
    event.variance_up_minor += max(0, cost - value)
    event.variance_down_minor += max(0, value - cost)
    event.lines.add(item_id=part.item_id, quantity=part.quantity, value_minor=value, line_id=line.row.line_id)


async def _save(work: Work, order: Any, lines: dict[str, _Progress]) -> None:
    names = ("purchase_order_id", "line_id")
    rows = [
        {**{name: getattr(line.row, name) for name in names}, "received": line.received, "damaged": line.damaged, "over": line.over}
        for line in lines.values()
    ]
    await work.tx.change(PURCHASE_LINES, names, rows)
    await expect(
        work,
        [
            Expected(
                "purchase_order", order.purchase_order_id, line.row.line_id, line.row.item_id, order.location_id, line.open, line.row.due_at
            )
            for line in lines.values()
        ],
    )


def _note(answer: purchasing_service_pb2.PurchaseReceipt, box_id: str, line_id: str, kind: str, quantity: int) -> None:
    if quantity:
        answer.discrepancies.add(line_id=line_id, box_id=box_id, kind=kind, quantity=quantity)
