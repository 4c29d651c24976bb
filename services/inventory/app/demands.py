"""PlaceDemand, CancelDemand, TakeOver: who waits for what is not there, and who must wait for somebody more urgent."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from argosy.inventory.v1 import demands_service_pb2, inventory_events_pb2, stock_pb2
from chassis.kernel.clock import from_timestamp, to_timestamp
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.ids import new_id
from chassis.runtime.database import Tx
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.statements import ZERO
from chassis.runtime.work import Work
from services.inventory.app.checks import need_known, need_no_kit
from services.inventory.app.reserve_stock import Owner, take_lines
from services.inventory.app.supply import RETURN, fill, peg_anew
from services.inventory.app.views import to_reservation
from services.inventory.domain.stock import SOURCED_KINDS, State
from services.inventory.store import reservations
from services.inventory.store.stock_book import Document, StockBook
from services.inventory.store.tables import BALANCES, DEMANDS, INBOUND, LOCATIONS, RESERVATIONS

BACKORDER = demands_service_pb2.DEMAND_KIND_BACKORDER
STILL_RESERVED = (RESERVATIONS.c.reserved > ZERO, RESERVATIONS.c.kind == stock_pb2.RESERVATION_KIND_ORDER)


async def place_demand(work: Work, request: demands_service_pb2.PlaceDemandRequest) -> demands_service_pb2.PlaceDemandResponse:
    """What is AVAILABLE is reserved at once. Refusals: OWNER_CANCELLED, NO_SUCH_LOCATION, NO_SUCH_ITEM, KIT, NOWHERE."""
    if await reservations.buried(work, [request.owner_id]):
        text = "the order's reservations were cancelled; it cannot wait for any more"
        raise FailedPrecondition("OWNER_CANCELLED", text, field="owner_id")
    location_id = request.location_id or await _soonest(work, request.item_id, request.entity)
    book = await StockBook.open(work, [(request.item_id, location_id)], masters=True)
    need_known(book, request.item_id, location_id)
    need_no_kit(book, request.item_id)
    rows = [
        {
            "demand_id": new_id(), "kind": request.kind, "owner_id": request.owner_id, "line_id": request.line_id,
            "item_id": request.item_id,
            "location_id": location_id, "quantity": request.quantity, "priority": request.priority, "inbound_id": "",
            "wanted_at": from_timestamp(request.wanted_at) if request.HasField("wanted_at") else work.now, "promised_at": None,
            "created_at": work.now,
        }
    ]  # fmt: skip
    await work.tx.insert(DEMANDS, rows)
    keys = {(request.item_id, location_id)}
    await fill(work, book, keys)
    await book.write()
    await peg_anew(work, keys)
    return await _waiting(work, request.owner_id, request.line_id)


async def _soonest(work: Work, item_id: str, entity: str) -> str:
    """Returns where free supply of an item comes in soonest; where none is in sight, where some was, or the first of all."""
    known = select(LOCATIONS.c.location_id).where(LOCATIONS.c.kind.in_(sorted(SOURCED_KINDS)))
    known = known.where(LOCATIONS.c.entity == entity) if entity else known
    coming = (
        select(INBOUND.c.location_id)
        .where(INBOUND.c.item_id == item_id, INBOUND.c.quantity > INBOUND.c.pegged, INBOUND.c.due_at >= work.now)
        .where(INBOUND.c.document_type != RETURN, INBOUND.c.location_id.in_(known))
        .order_by(INBOUND.c.due_at, INBOUND.c.inbound_id)
    )
    was = select(BALANCES.c.location_id).where(BALANCES.c.item_id == item_id, BALANCES.c.location_id.in_(known))
    for query in (coming, was.order_by(BALANCES.c.location_id), known.order_by(LOCATIONS.c.location_id)):
        rows = await work.tx.read(query.limit(1))
        if rows:
            return str(rows[0].location_id)
    raise FailedPrecondition("NOWHERE", "no location may ship it; name one", field="location_id")


async def cancel_demand(work: Work, request: demands_service_pb2.CancelDemandRequest) -> demands_service_pb2.PlaceDemandResponse:
    """Nothing that waits is no error."""
    await forget(work, [request.owner_id], request.line_id)
    return await _waiting(work, request.owner_id)


async def forget(work: Work, owner_ids: Sequence[str], line_id: str = "") -> None:
    """Lets owners' lines wait no more; what they were pegged to is free for others."""
    rows = await work.tx.find(DEMANDS, ("owner_id",), [(one,) for one in sorted(set(owner_ids))], order=("demand_id",), lock=True)
    gone = [row for row in rows if not line_id or row.line_id == line_id]
    if gone:
        await work.tx.remove(DEMANDS, ("demand_id",), [(row.demand_id,) for row in gone])
        await peg_anew(work, {(row.item_id, row.location_id) for row in gone})


async def take_over(work: Work, request: demands_service_pb2.TakeOverRequest) -> demands_service_pb2.TakeOverResponse:
    """The least urgent lose first, the latest of them first. Refusals: KIT, OWNER_CANCELLED, NO_SUCH_ITEM, INSUFFICIENT_STOCK."""
    line, key = request.line, (request.line.item_id, request.line.location_id)
    if await reservations.buried(work, [request.owner_id]):
        raise FailedPrecondition("OWNER_CANCELLED", "the order's reservations were cancelled", field="owner_id")
    held = await reservations.of_key(work, key, STILL_RESERVED)
    book = await StockBook.open(work, [key], masters=True)
    need_known(book, *key, "line")
    need_no_kit(book, line.item_id, "line.item_id")
    lower = [
        one for one in held
        if one.priority < request.priority and one.owner_id != request.owner_id and book.lives(one.item_id, one.lot, line.min_life_days)
    ]  # fmt: skip
    missing = line.quantity - book.sellable(*key, line.min_life_days)
    if missing > sum(one.reserved for one in lower):
        text = f"{line.quantity} are wanted; {line.quantity - missing} are available and {sum(one.reserved for one in lower)} can be taken"
        raise FailedPrecondition("INSUFFICIENT_STOCK", text, field="line.quantity")
    losers = []
    for one in sorted(lower, key=lambda each: (each.priority, -each.created_at, each.reservation_id)):
        part = min(missing, one.reserved)
        if part <= 0:
            break
        document = Document("reservation", one.owner_id, f"taken over by {request.owner_id}")
        book.move(*one.key, one.lot, (State.RESERVED, State.AVAILABLE), part, document)
        one.reserved, one.cancelled, missing = one.reserved - part, one.cancelled + part, missing - part
        losers.append((one, part))
    owner = Owner(request.owner_id, stock_pb2.RESERVATION_KIND_ORDER, State.RESERVED, priority=request.priority)
    made = take_lines(work, book, [line], owner)
    await book.write()
    await reservations.save(work, [one for one, _ in losers])
    await reservations.insert(work, made)
    for one, part in losers:
        event = inventory_events_pb2.ReservationTaken(order_id=one.owner_id, location_id=one.location_id, taken_by=request.owner_id)
        event.lines.add(item_id=one.item_id, quantity=part, line_id=one.line_id)
        work.emit(event)
    return demands_service_pb2.TakeOverResponse(
        reservations=[to_reservation(one) for one in made],
        losers=[
            demands_service_pb2.Demand(
                kind=BACKORDER, owner_id=one.owner_id, line_id=one.line_id, item_id=one.item_id, location_id=one.location_id,
                quantity=part, priority=one.priority,
            )
            for one, part in losers
        ],
    )  # fmt: skip


async def list_demands(asked: Asked) -> demands_service_pb2.ListDemandsResponse:
    """Lists by id."""
    query = select(DEMANDS).where(DEMANDS.c.quantity > 0)
    for name in ("owner_id", "item_id"):
        if wanted := getattr(asked.request, name):
            query = query.where(DEMANDS.c[name] == wanted)
    rows, token = await page(asked.tx, query, [DEMANDS.c.demand_id], asked.request)
    return demands_service_pb2.ListDemandsResponse(demands=await _shown(asked.tx, rows), next_page_token=token)


async def _waiting(work: Work, owner_id: str, line_id: str = "") -> demands_service_pb2.PlaceDemandResponse:
    query = (
        select(DEMANDS).where(DEMANDS.c.owner_id == owner_id, DEMANDS.c.quantity > 0).order_by(DEMANDS.c.promised_at, DEMANDS.c.demand_id)
    )
    rows = [row for row in await work.tx.read(query) if not line_id or row.line_id == line_id]
    answer = demands_service_pb2.PlaceDemandResponse(demands=await _shown(work.tx, rows))
    if rows and all(row.promised_at is not None for row in rows):
        answer.promised_at.CopyFrom(to_timestamp(max(row.promised_at for row in rows)))
    return answer


async def _shown(tx: Tx, rows: Sequence[Any]) -> list[demands_service_pb2.Demand]:
    keys = sorted({(row.inbound_id,) for row in rows if row.inbound_id})
    supply = {row.inbound_id: row for row in await tx.find(INBOUND, ("inbound_id",), keys)}
    plain = ("demand_id", "kind", "owner_id", "line_id", "item_id", "location_id", "quantity", "priority")
    return [
        demands_service_pb2.Demand(
            **{name: getattr(row, name) for name in plain}, wanted_at=to_timestamp(row.wanted_at),
            document_type=supply[row.inbound_id].document_type if row.inbound_id in supply else "",
            document_id=supply[row.inbound_id].document_id if row.inbound_id in supply else "",
            promised_at=to_timestamp(row.promised_at) if row.promised_at is not None else None,
        )
        for row in rows
    ]  # fmt: skip
