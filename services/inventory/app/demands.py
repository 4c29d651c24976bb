"""PlaceDemand, CancelDemand, TakeOver: who waits for what is not there, and who must wait for somebody more urgent."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import case, func, select

from argosy.inventory.v1 import demands_service_pb2, inventory_events_pb2, stock_pb2
from chassis.kernel.clock import from_timestamp, to_timestamp
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.ids import new_id
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.statements import ZERO
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.inventory.app.checks import need_known
from services.inventory.app.reserve_stock import Owner, lines_of, take_lines
from services.inventory.app.supply import RETURN, fill, give_back, peg_anew
from services.inventory.app.views import with_reservations
from services.inventory.domain.stock import NEVER, SOURCED_KINDS, State
from services.inventory.store import reservations
from services.inventory.store.reservations import Held
from services.inventory.store.stock_book import Document, Key, StockBook, components_of
from services.inventory.store.tables import BALANCES, DEMANDS, INBOUND, ITEMS, LOCATIONS, RESERVATIONS

BACKORDER = demands_service_pb2.DEMAND_KIND_BACKORDER
STILL_RESERVED = (RESERVATIONS.c.reserved > ZERO, RESERVATIONS.c.kind == stock_pb2.RESERVATION_KIND_ORDER)


async def place_demand(work: Work, request: demands_service_pb2.PlaceDemandRequest) -> demands_service_pb2.PlaceDemandResponse:
    """What is AVAILABLE is reserved at once. Refusals: OWNER_CANCELLED, NO_SUCH_LOCATION, NO_SUCH_ITEM, NOWHERE."""
    if await reservations.buried(work, [request.owner_id]):
        text = "the order's reservations were cancelled; it cannot wait for any more"
        raise FailedPrecondition("OWNER_CANCELLED", text, field="owner_id")
    items = await work.tx.find(ITEMS, ("item_id",), [(request.item_id,)], only=("kit",))
    kit = components_of(items[0].kit) if items else ()
    parts = kit or ((request.item_id, 1),)
    location_id = request.location_id or await _soonest(work, {part: each * request.quantity for part, each in parts}, request.entity)
    book = await StockBook.open(work, [(request.item_id, location_id)], masters=True)
    need_known(book, request.item_id, location_id)
    rows = [
        {
            "demand_id": new_id(), "kind": request.kind, "owner_id": request.owner_id, "line_id": request.line_id, "item_id": part,
            "location_id": location_id, "quantity": each * request.quantity, "priority": request.priority, "inbound_id": "",
            "wanted_at": from_timestamp(request.wanted_at) if request.HasField("wanted_at") else work.now, "promised_at": None,
            "created_at": work.now, "each": each, "kit_item_id": request.item_id if kit else "",
        }
        for part, each in parts
    ]  # fmt: skip
    await work.tx.insert(DEMANDS, rows)
    keys = {(part, location_id) for part, _ in parts}
    await fill(work, book, keys)
    await book.write()
    await peg_anew(work, keys)
    return await _waiting(work, request.owner_id, request.line_id)


async def _soonest(work: Work, wanted: Mapping[str, int], entity: str) -> str:
    """Returns where all that is wanted is there soonest; where some is in no sight, where most of it was, or the first of all."""
    known = select(LOCATIONS.c.location_id).where(LOCATIONS.c.kind.in_(sorted(SOURCED_KINDS)))
    known = known.where(LOCATIONS.c.entity == entity) if entity else known
    first = await work.tx.read(known.order_by(LOCATIONS.c.location_id).limit(1))
    if not first:
        raise FailedPrecondition("NOWHERE", "no location may ship it; name one", field="location_id")
    there = case((BALANCES.c.state == int(State.AVAILABLE), BALANCES.c.quantity), else_=0)
    was = select(BALANCES.c.item_id, BALANCES.c.location_id, func.sum(there)).where(
        BALANCES.c.item_id.in_(wanted), BALANCES.c.location_id.in_(known)
    )
    coming = (
        select(INBOUND.c.item_id, INBOUND.c.location_id, func.min(INBOUND.c.due_at))
        .where(INBOUND.c.item_id.in_(wanted), INBOUND.c.quantity > INBOUND.c.pegged, INBOUND.c.due_at >= work.now)
        .where(INBOUND.c.document_type != RETURN, INBOUND.c.location_id.in_(known))
    )
    available = {
        (item_id, place): int(sum_) for item_id, place, sum_ in await work.tx.read(was.group_by(BALANCES.c.item_id, BALANCES.c.location_id))
    }
    due = {
        (item_id, place): moment for item_id, place, moment in await work.tx.read(coming.group_by(INBOUND.c.item_id, INBOUND.c.location_id))
    }

    def when(place: str) -> tuple[int, int, str]:
        moments = [
            0 if available.get((item_id, place), 0) >= quantity else due.get((item_id, place), NEVER)
            for item_id, quantity in wanted.items()
        ]  # fmt: skip
        return max(moments), -sum((item_id, place) in available for item_id in wanted), place

    places = {place for _, place in (*available, *due)}
    return min(places, key=when) if places else str(first[0].location_id)


async def cancel_demand(work: Work, request: demands_service_pb2.CancelDemandRequest) -> demands_service_pb2.PlaceDemandResponse:
    """Nothing that waits is no error."""
    await forget(work, [request.owner_id], request.line_id)
    return await _waiting(work, request.owner_id)


async def forget(work: Work, owner_ids: Sequence[str], line_id: str = "") -> None:
    """Lets owners' lines wait no more; what they were pegged to and what was kept for kits is free for others."""
    rows = await work.tx.find(DEMANDS, ("owner_id",), [(one,) for one in sorted(set(owner_ids))], order=("demand_id",), lock=True)
    gone = [row for row in rows if not line_id or row.line_id == line_id]
    if not gone:
        return
    await work.tx.remove(DEMANDS, ("demand_id",), [(row.demand_id,) for row in gone])
    if kits := {row.owner_id for row in gone if row.kit_item_id}:
        await _give_back(work, [one for one in await reservations.load_parts(work, kits) if not line_id or one.line_id == line_id])
    await peg_anew(work, {(row.item_id, row.location_id) for row in gone})


async def _give_back(work: Work, kept: Sequence[Held]) -> None:
    book = await StockBook.open(work, [one.key for one in kept])
    for one in kept:
        give_back(book, one, one.reserved, Document("reservation", one.owner_id, "its kit does not come"))
    await fill(work, book, [one.key for one in kept])
    await book.write()
    await reservations.save(work, kept)


async def take_over(work: Work, request: demands_service_pb2.TakeOverRequest) -> demands_service_pb2.TakeOverResponse:
    """The least urgent lose first, the latest of them first. Refusals: OWNER_CANCELLED, NO_SUCH_ITEM, INSUFFICIENT_STOCK."""
    line, place = request.line, request.line.location_id
    if await reservations.buried(work, [request.owner_id]):
        raise FailedPrecondition("OWNER_CANCELLED", "the order's reservations were cancelled", field="owner_id")
    book = await StockBook.open(work, [(line.item_id, place)], masters=True)
    need_known(book, line.item_id, place, "line")
    parts = book.parts(line.item_id, line.quantity)
    lower = await _lower(work, [(item_id, place) for item_id, _ in parts], request)
    if any(one.kit_item_id for one in lower):
        # Who loses a component of a kit loses the kit: what else of it was reserved is free.
        book = await StockBook.open(work, [(line.item_id, place), *(one.key for one in lower)], masters=True)
    before = {one.reservation_id: one.reserved for one in lower}
    losers = [units for item_id, quantity in parts for units in _take(book, (item_id, place), quantity, lower, request)]
    owner = Owner(request.owner_id, stock_pb2.RESERVATION_KIND_ORDER, State.RESERVED, priority=request.priority)
    made = take_lines(work, book, lines_of([line]), owner)
    changed = [one for one in lower if one.reserved != before[one.reservation_id]]
    await fill(work, book, {one.key for one in changed})
    await book.write()
    await reservations.save(work, changed)
    await reservations.insert(work, made)
    for one, quantity in losers:
        event = inventory_events_pb2.ReservationTaken(order_id=one.owner_id, location_id=one.location_id, taken_by=request.owner_id)
        event.lines.add(item_id=one.kit_item_id or one.item_id, quantity=quantity, line_id=one.line_id)
        work.emit(event)
    response = demands_service_pb2.TakeOverResponse(
        losers=[
            demands_service_pb2.Demand(
                kind=BACKORDER, owner_id=one.owner_id, line_id=one.line_id, item_id=one.kit_item_id or one.item_id,
                location_id=one.location_id, quantity=quantity, priority=one.priority,
            )
            for one, quantity in losers
        ],
    )  # fmt: skip
    return with_reservations(response, made)


async def _lower(work: Work, keys: Sequence[Key], request: demands_service_pb2.TakeOverRequest) -> list[Held]:
    """Returns what less urgent orders have reserved at the keys, and what else there of the kits that it is for."""
    held = await reservations.of_keys(work, keys, STILL_RESERVED)
    lower = [one for one in held if one.priority < request.priority and one.owner_id != request.owner_id]
    kits = {(one.owner_id, one.line_id) for one in lower if one.kit_item_id}
    if kits:
        known = {one.reservation_id for one in lower}
        others = await reservations.load(work, {owner_id for owner_id, _ in kits})
        lower += [
            one for one in others
            if (one.owner_id, one.line_id) in kits and one.location_id == keys[0][1] and one.reserved and one.reservation_id not in known
        ]  # fmt: skip
    return lower


def _take(
    book: StockBook, key: Key, quantity: int, lower: Sequence[Held], request: demands_service_pb2.TakeOverRequest
) -> list[tuple[Held, int]]:
    """Frees what is missing of a key; returns who lost how many units of a line."""
    life_days = request.line.min_life_days
    missing = quantity - book.sellable(*key, life_days)
    found = [one for one in lower if one.key == key and one.reserved and book.lives(one.item_id, one.lot, life_days)]
    if missing > sum(one.reserved for one in found):
        text = f"{quantity} are wanted; {quantity - missing} are available and {sum(one.reserved for one in found)} can be taken"
        raise FailedPrecondition("INSUFFICIENT_STOCK", text, field="line.quantity", item_id=key[0])
    losers = []
    for one in sorted(found, key=lambda each: (each.priority, -each.created_at, each.reservation_id)):
        if missing <= 0:
            break
        if not one.reserved:
            continue
        units = -(-min(missing, one.reserved) // one.each)
        document = Document("reservation", one.owner_id, f"taken over by {request.owner_id}")
        there = [one] if not one.kit_item_id else [each for each in lower if (each.owner_id, each.line_id) == (one.owner_id, one.line_id)]
        for each, part in reservations.shares([one, *(other for other in there if other is not one)], units):
            give_back(book, each, part, document)
            missing -= part if each.key == key and book.lives(each.item_id, each.lot, life_days) else 0
        losers.append((one, units))
    return losers


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
    plain = ("demand_id", "kind", "owner_id", "line_id", "item_id", "location_id", "quantity", "priority", "kit_item_id")
    return [
        demands_service_pb2.Demand(
            **{name: getattr(row, name) for name in plain}, wanted_at=to_timestamp(row.wanted_at),
            document_type=supply[row.inbound_id].document_type if row.inbound_id in supply else "",
            document_id=supply[row.inbound_id].document_id if row.inbound_id in supply else "",
            promised_at=to_timestamp(row.promised_at) if row.promised_at is not None else None,
        )
        for row in rows
    ]  # fmt: skip
