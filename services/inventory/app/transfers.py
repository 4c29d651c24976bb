"""Transfers: reserved where stock is, on its way at its cost, taken in where it arrives; what is lost on the way is written off."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select, update

from argosy.inventory.v1 import inventory_events_pb2, stock_pb2, transfers_service_pb2
from chassis.kernel.clock import day_of, to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.approvals import ApprovalKind, Weight, need_approval
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.inventory.app.appointments import need_appointment
from services.inventory.app.checks import need_known, need_no_kit
from services.inventory.app.intake import end_of
from services.inventory.app.reserve_stock import Line, Owner, need_available, take_lines
from services.inventory.app.supply import Expected, expect, fill, give_back
from services.inventory.domain.stock import State
from services.inventory.store import reservations
from services.inventory.store.stock_book import Document, Key, StockBook
from services.inventory.store.tables import TRANSFER_LINES, TRANSFERS

Transfer = transfers_service_pb2.Transfer
RESERVED, IN_TRANSIT, RECEIVED, CLOSED = (
    transfers_service_pb2.TRANSFER_STATUS_RESERVED, transfers_service_pb2.TRANSFER_STATUS_IN_TRANSIT,
    transfers_service_pb2.TRANSFER_STATUS_RECEIVED, transfers_service_pb2.TRANSFER_STATUS_CLOSED,
)  # fmt: skip
LINE = ("line_id", "item_id", "quantity", "shipped", "received", "damaged", "lost")


async def create_transfer(work: Work, request: transfers_service_pb2.CreateTransferRequest) -> Transfer:
    """Refusals: SAME_LOCATION, DOUBLE_ITEM, NO_SUCH_LOCATION, NO_SUCH_ITEM, KIT, CURRENCY_DIFFERS, INSUFFICIENT_STOCK."""
    source, target = request.from_location_id, request.to_location_id
    if source == target:
        raise InvalidArgument("SAME_LOCATION", "to_location_id: must differ from from_location_id", field="to_location_id")
    book = await StockBook.open(work, [(line.item_id, place) for line in request.lines for place in (source, target)], masters=True)
    transfer_id = new_id()
    for index, line in enumerate(request.lines):
        need_known(book, line.item_id, source, f"lines[{index}]")
        need_no_kit(book, line.item_id, f"lines[{index}].item_id")
        if line.item_id in [one.item_id for one in request.lines[:index]]:
            raise InvalidArgument("DOUBLE_ITEM", f"lines[{index}].item_id: is said twice", field=f"lines[{index}].item_id")
    if target not in book.locations:
        raise NotFound("NO_SUCH_LOCATION", f"to_location_id: there is no location {target}", field="to_location_id")
    here, there = book.locations[source], book.locations[target]
    if (here.currency_code, here.owned) != (there.currency_code, there.owned):
        text = "to_location_id: stock there is valued in another currency, or is not of the same owner; sell it there instead"
        raise FailedPrecondition("CURRENCY_DIFFERS", text, field="to_location_id")
    wanted = [Line(str(n + 1), (line.item_id, source), line.quantity) for n, line in enumerate(request.lines)]
    need_available(book, wanted, ())
    made = take_lines(work, book, wanted, Owner(transfer_id, stock_pb2.RESERVATION_KIND_TRANSFER, State.RESERVED))
    await book.write()
    await reservations.insert(work, made)
    row = {
        "transfer_id": transfer_id, "from_location_id": source, "to_location_id": target, "status": RESERVED, "reason": request.reason,
        "due_at": end_of(request.expected_on, "expected_on") - 1, "approval_id": "", "created_at": work.now,
    }  # fmt: skip
    await work.tx.insert(TRANSFERS, [row])
    lines = [
        {"transfer_id": transfer_id, **dict.fromkeys(LINE, 0), "line_id": str(n + 1), "item_id": line.item_id, "quantity": line.quantity}
        for n, line in enumerate(request.lines)
    ]
    await work.tx.insert(TRANSFER_LINES, lines)
    return await _shown(work.tx, transfer_id)


async def ship_transfer(work: Work, request: transfers_service_pb2.ShipTransferRequest) -> Transfer:
    """RESERVED at the one location → IN_TRANSIT at the other. Refusals: NO_SUCH_TRANSFER, WRONG_STATUS."""
    row = await _locked(work, request.transfer_id, RESERVED)
    source, target = row.from_location_id, row.to_location_id
    lines = {line.line_id: line for line in await _lines(work.tx, [row.transfer_id])}
    held = await reservations.load(work, [row.transfer_id])
    book = await StockBook.open(work, [(one.item_id, place) for one in held for place in (source, target)], costs=True)
    document = Document("transfer", new_id(), row.reason)
    event = inventory_events_pb2.TransferShipped(
        document_id=document.id, transfer_id=row.transfer_id, location_id=source, entity=book.locations[source].entity,
        to_location_id=target, to_entity=book.locations[target].entity, currency_code=book.locations[source].currency_code,
    )  # fmt: skip
    shipped = defaultdict[str, int](int)
    for one in held:
        value = book.issue(one.item_id, source, one.reserved, document, lot=one.lot)
        book.move(one.item_id, source, one.lot, (State.RESERVED, State.OUTSIDE), one.reserved, document, value)
        book.put(one.item_id, target, one.reserved, value, document, held_for=row.transfer_id, line_id=one.line_id, lot=one.lot)
        book.move(one.item_id, target, one.lot, (State.OUTSIDE, State.IN_TRANSIT), one.reserved, document, value)
        event.value_minor += value
        event.lines.add(item_id=one.item_id, quantity=one.reserved, value_minor=value, line_id=one.line_id)
        shipped[one.line_id] += one.reserved
        one.shipped, one.reserved = one.shipped + one.reserved, 0
    await book.write()
    await reservations.save(work, held)
    await _save_lines(work, row.transfer_id, [{"line_id": line_id, "shipped": quantity} for line_id, quantity in sorted(shipped.items())])
    await _expect(work, row, {line_id: (lines[line_id].item_id, quantity) for line_id, quantity in shipped.items()})
    work.emit(event)
    return await _advance(work, row, IN_TRANSIT)


@dataclass(frozen=True)
class _Arrived:
    line: Any
    quantity: int
    damaged: int = 0
    lost: int = 0


async def receive_transfer(work: Work, request: transfers_service_pb2.ReceiveTransferRequest) -> Transfer:
    """Refusals: NO_SUCH_TRANSFER, WRONG_STATUS, NO_SUCH_LINE, NO_SUCH_APPOINTMENT, NOT_ON_ITS_WAY."""
    row = await _locked(work, request.transfer_id, IN_TRANSIT)
    if request.appointment_id:
        await need_appointment(work.tx, request.appointment_id)
    lines = {line.line_id: line for line in await _lines(work.tx, [row.transfer_id])}
    arrived = [_Arrived(line, line.shipped - line.received - line.lost) for line in lines.values()]
    if request.lines:
        arrived = [_arrival(lines, said, f"lines[{index}]") for index, said in enumerate(request.lines)]
    return await _arrive(work, row, lines, [one for one in arrived if one.quantity])


def _arrival(lines: dict[str, Any], said: transfers_service_pb2.TransferArrival, field: str) -> _Arrived:
    if said.line_id not in lines:
        raise NotFound("NO_SUCH_LINE", f"{field}.line_id: the transfer has no line {said.line_id}", field=f"{field}.line_id")
    line = lines[said.line_id]
    there = line.shipped - line.received - line.lost
    if said.quantity > there or said.damaged > said.quantity:
        text = f"{field}.quantity: only {there} are on their way; take what is more in as a receipt"
        raise FailedPrecondition("NOT_ON_ITS_WAY", text, field=f"{field}.quantity", on_its_way=there)
    return _Arrived(line, said.quantity, said.damaged)


async def _arrive(work: Work, row: Any, lines: dict[str, Any], arrived: Sequence[_Arrived]) -> Transfer:
    """Books what arrived, or what was lost; the transfer ends with its last piece."""
    target = row.to_location_id
    keys = [(one.line.item_id, target) for one in arrived]
    book = await StockBook.open(work, keys, costs=True)
    document = Document("transfer", new_id(), row.reason)
    event = inventory_events_pb2.TransferReceived(document_id=document.id, transfer_id=row.transfer_id, location_id=target)
    changes = {line_id: {name: getattr(line, name) for name in LINE} for line_id, line in lines.items()}
    for one in arrived:
        key, change = (one.line.item_id, target), changes[one.line.line_id]
        for quantity, state in ((one.quantity - one.damaged, State.AVAILABLE), (one.damaged, State.DAMAGED), (one.lost, State.OUTSIDE)):
            value = 0
            for lot, part in _lots(book, key, row.transfer_id, one.line.line_id, quantity):
                cost = book.issue(*key, part, document, held_for=row.transfer_id, line_id=one.line.line_id, lot=lot)
                if state is not State.OUTSIDE:
                    book.put(*key, part, cost, document, lot=lot)
                book.move(*key, lot, (State.IN_TRANSIT, state), part, document, cost)
                value += cost
            if state is State.OUTSIDE:
                event.short_minor += value
            else:
                event.value_minor += value
        change["received"] += one.quantity
        change["damaged"] += one.damaged
        change["lost"] += one.lost
        if one.quantity:
            event.lines.add(item_id=one.line.item_id, quantity=one.quantity, line_id=one.line.line_id)
    await fill(work, book, keys)
    await book.write()
    await _save_lines(work, row.transfer_id, [changes[key] for key in sorted(changes)])
    left = {line_id: (one["item_id"], one["shipped"] - one["received"] - one["lost"]) for line_id, one in changes.items()}
    await _expect(work, row, left)
    if arrived:
        event.entity, event.currency_code = book.locations[target].entity, book.locations[target].currency_code
        work.emit(event)
    short = any(one["lost"] or one["shipped"] < one["quantity"] for one in changes.values())
    on_its_way = any(quantity for _, quantity in left.values())
    return await _advance(work, row, IN_TRANSIT if on_its_way else CLOSED if short else RECEIVED)


def _lots(book: StockBook, key: Key, transfer_id: str, line_id: str, quantity: int) -> list[tuple[str, int]]:
    """Returns which lots of a line arrive, as its layers tell: those that left first."""
    found = []
    for layer in book.layers(*key):
        part = min(quantity, layer.quantity)
        if (layer.held_for, layer.line_id) == (transfer_id, line_id) and part:
            found.append((layer.lot, part))
            quantity -= part
    return found


async def close_transfer(work: Work, request: transfers_service_pb2.CloseTransferRequest) -> Transfer:
    """Over the limit it waits for another person. Refusals: those of `carry_out`."""
    row = await _locked(work, request.transfer_id, RESERVED, IN_TRANSIT)
    lines = await _lines(work.tx, [row.transfer_id])
    book = await StockBook.open(work, [(line.item_id, row.to_location_id) for line in lines], costs=True)
    lost = sum(
        layer.value_minor for key in {(line.item_id, row.to_location_id) for line in lines} for layer in book.layers(*key)
        if layer.held_for == row.transfer_id
    )  # fmt: skip
    currency = book.locations[row.to_location_id].currency_code
    summary = f"give up what is missing of the transfer from {row.from_location_id} to {row.to_location_id}: {request.reason}"
    if lost and (approval_id := await need_approval(work, LOSS, request, Weight("transfer", row.transfer_id, summary, lost, currency))):
        await work.tx.write(update(TRANSFERS).where(TRANSFERS.c.transfer_id == row.transfer_id).values(approval_id=approval_id))
        return await _shown(work.tx, row.transfer_id)
    return await carry_out(work, request)


async def carry_out(work: Work, request: transfers_service_pb2.CloseTransferRequest) -> Transfer:
    """Refusals: NO_SUCH_TRANSFER, WRONG_STATUS."""
    row = await _locked(work, request.transfer_id, RESERVED, IN_TRANSIT)
    held = await reservations.load(work, [row.transfer_id])
    book = await StockBook.open(work, [one.key for one in held])
    document = Document("transfer", row.transfer_id, request.reason)
    for one in held:
        give_back(book, one, one.reserved, document)
    await fill(work, book, [one.key for one in held])
    await book.write()
    await reservations.save(work, held)
    lines = {line.line_id: line for line in await _lines(work.tx, [row.transfer_id])}
    lost = [_Arrived(line, 0, 0, line.shipped - line.received - line.lost) for line in lines.values()]
    return await _arrive(work, row, lines, [one for one in lost if one.lost])


LOSS = ApprovalKind(
    "inventory.transfer", "Transfers that end with something lost, by its value", "inventory.adjustment.approve",
    transfers_service_pb2.CloseTransferRequest, carry_out, limit_minor=100_000,
)  # fmt: skip


async def get_transfer(asked: Asked) -> Transfer:
    """Refusals: NO_SUCH_TRANSFER."""
    return await _shown(asked.tx, asked.request.transfer_id)


async def list_transfers(asked: Asked) -> transfers_service_pb2.ListTransfersResponse:
    """Lists newest first."""
    request, query = asked.request, select(TRANSFERS)
    if request.status:
        query = query.where(TRANSFERS.c.status == request.status)
    if request.location_id:
        query = query.where(or_(TRANSFERS.c.from_location_id == request.location_id, TRANSFERS.c.to_location_id == request.location_id))
    rows, token = await page(asked.tx, query, [TRANSFERS.c.transfer_id], request, descending=True)
    lines = await _lines(asked.tx, [row.transfer_id for row in rows])
    transfers = [_transfer(row, [line for line in lines if line.transfer_id == row.transfer_id]) for row in rows]
    return transfers_service_pb2.ListTransfersResponse(transfers=transfers, next_page_token=token)


async def _expect(work: Work, row: Any, left: dict[str, tuple[str, int]]) -> None:
    lines = [
        Expected("transfer", row.transfer_id, line_id, item_id, row.to_location_id, quantity, row.due_at)
        for line_id, (item_id, quantity) in sorted(left.items())
    ]
    await expect(work, lines)


async def _lines(tx: Tx, transfer_ids: Sequence[str]) -> Sequence[Any]:
    rows = await tx.find(TRANSFER_LINES, ("transfer_id",), [(one,) for one in transfer_ids])
    return sorted(rows, key=lambda row: (row.transfer_id, int(row.line_id)))


async def _save_lines(work: Work, transfer_id: str, rows: Sequence[dict[str, Any]]) -> None:
    await work.tx.change(TRANSFER_LINES, ("transfer_id", "line_id"), [{"transfer_id": transfer_id, **row} for row in rows])


async def _locked(work: Work, transfer_id: str, *statuses: int) -> Any:
    rows = await work.tx.read(select(TRANSFERS).where(TRANSFERS.c.transfer_id == transfer_id).with_for_update())
    if not rows:
        raise NotFound("NO_SUCH_TRANSFER", f"there is no transfer {transfer_id}", field="transfer_id")
    if rows[0].status not in statuses:
        name = transfers_service_pb2.TransferStatus.Name(rows[0].status).removeprefix("TRANSFER_STATUS_")
        raise FailedPrecondition("WRONG_STATUS", f"the transfer is {name}", field="transfer_id", status=name)
    return rows[0]


async def _advance(work: Work, row: Any, status: int) -> Transfer:
    await work.tx.write(update(TRANSFERS).where(TRANSFERS.c.transfer_id == row.transfer_id).values(status=status))
    return await _shown(work.tx, row.transfer_id)


async def _shown(tx: Tx, transfer_id: str) -> Transfer:
    rows = await tx.read(select(TRANSFERS).where(TRANSFERS.c.transfer_id == transfer_id))
    if not rows:
        raise NotFound("NO_SUCH_TRANSFER", f"there is no transfer {transfer_id}", field="transfer_id")
    return _transfer(rows[0], await _lines(tx, [transfer_id]))


def _transfer(row: Any, lines: Sequence[Any]) -> Transfer:
    return Transfer(
        transfer_id=row.transfer_id, from_location_id=row.from_location_id, to_location_id=row.to_location_id, status=row.status,
        lines=[transfers_service_pb2.TransferLine(**{name: getattr(line, name) for name in LINE}) for line in lines],
        expected_on=day_of(row.due_at), reason=row.reason, approval_id=row.approval_id, created_at=to_timestamp(row.created_at),
    )  # fmt: skip
