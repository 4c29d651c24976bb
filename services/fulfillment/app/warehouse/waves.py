"""Waves: what a location shall ship becomes pick lists, soonest first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, case, func, select, update

from argosy.fulfillment.v1 import warehouse_service_pb2
from chassis.kernel.clock import from_timestamp, to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from chassis.runtime.writer import Call
from services.fulfillment.app.save_lines import OpenOrder, open_orders
from services.fulfillment.app.warehouse.bins import need_bins
from services.fulfillment.clients.articles import Articles
from services.fulfillment.clients.on_hand import Held, OnHand
from services.fulfillment.domain.progress import Handshake
from services.fulfillment.domain.progress import Status as OrderStatus
from services.fulfillment.domain.waves import ListStatus, Need, Shelves, Status, Step, WaveKind, by_lots, lists_of
from services.fulfillment.store.bin_book import BinBook
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, LINES
from services.fulfillment.store.warehouse import PICK_LISTS, PICKS, WAVES

MOST_ORDERS, ORDERS_PER_LIST = 50, 12
WAITING = (int(OrderStatus.RELEASED), int(OrderStatus.PARTIALLY_SHIPPED))


class Known(NamedTuple):
    """What others say of the fulfilment orders that a wave may take."""

    order_ids: Sequence[str]
    kept: Mapping[tuple[str, str], Sequence[Held]]
    articles: Mapping[str, Any]


class Waves:
    """Waves, over what inventory keeps for orders and what catalog says of items."""

    def __init__(self, channels: Channels) -> None:
        self._on_hand = OnHand(channels)
        self._articles = Articles(channels)

    async def prepare(self, requests: Sequence[Any], database: Database) -> Sequence[Known | Refusal]:
        """Looks what waits, and asks for its lots and components."""
        found: list[Known | Refusal] = []
        for request in requests:
            try:
                async with database.read() as tx:
                    await need_bins(tx, request.location_id)
                    rows = await tx.read(waiting(request))
                    lines = await tx.find(LINES, ("fulfillment_order_id",), [(row.fulfillment_order_id,) for row in rows])
                kept = await self._on_hand.kept_for(sorted({row.order_id for row in rows}), request.location_id)
                articles = await self._articles.of(line.item_id for line in lines)
                found.append(Known([row.fulfillment_order_id for row in rows], kept, articles))
            except Refusal as refusal:
                found.append(refusal)
        return found

    async def create_wave(self, work: Work, call: Call) -> warehouse_service_pb2.Wave:
        """Refusals: NO_BINS, NOTHING_TO_PICK."""
        request, known = call.request, call.context
        if isinstance(known, Refusal):
            raise known
        kind = WaveKind(request.kind or WaveKind.BATCH)
        orders = [one for one in (await open_orders(work, known.order_ids)).values() if _can_be_picked(one)]
        needs = {one.row.fulfillment_order_id: _needs(one, known) for one in orders}
        # In the order in which they must leave.
        ids = [one for one in known.order_ids if needs.get(one)]
        if not ids:
            raise FailedPrecondition("NOTHING_TO_PICK", f"nothing waits to be picked at {request.location_id}", field="location_id")
        wanted = [one for order_id in ids for need in needs[order_id] for one in by_lots(need)]
        shelves = await load_shelves(work, request.location_id, sorted({one.item_id for one in wanted}))
        lists = lists_of(kind, ids, wanted, shelves, request.orders_per_list or ORDERS_PER_LIST)
        wave_id = new_id()
        row = {
            "wave_id": wave_id, "location_id": request.location_id, "kind": int(kind), "status": int(Status.OPEN),
            "fulfillment_orders": len(ids), "lists": len(lists), "created_at": work.now, "ended_at": None,
            "created_by": work.cause.actor,
        }  # fmt: skip
        await work.tx.insert(WAVES, [row])
        list_rows = [_list(row, kind, steps) for steps in lists]
        await work.tx.insert(PICK_LISTS, list_rows)
        picks = [
            pick_row(list_row, number, step, known.articles)
            for list_row, steps in zip(list_rows, lists, strict=True)
            for number, step in enumerate(steps)
        ]
        await work.tx.insert(PICKS, picks)
        taken = [{"fulfillment_order_id": one, "wave_id": wave_id} for one in ids]
        await work.tx.change(FULFILLMENT_ORDERS, ("fulfillment_order_id",), taken)
        return await shown_wave(work.tx, wave_id)


def waiting(request: warehouse_service_pb2.CreateWaveRequest) -> Select[Any]:
    """SELECT the fulfilment orders that a wave may take: those that must leave first come first."""
    columns = FULFILLMENT_ORDERS.c
    query = select(columns.fulfillment_order_id, columns.order_id).where(in_no_wave(request.location_id))
    if request.methods:
        query = query.where(columns.method.in_(request.methods))
    if request.HasField("ship_before"):
        query = query.where(columns.ship_by < from_timestamp(request.ship_before))
    late = case((columns.ship_by.is_(None), 1), else_=0)
    return query.order_by(late, columns.ship_by, columns.fulfillment_order_id).limit(request.most_orders or MOST_ORDERS)


def in_no_wave(location_id: str) -> Any:
    """Returns what is true of fulfilment orders that wait for a wave."""
    columns = FULFILLMENT_ORDERS.c
    return (columns.location_id == location_id) & columns.status.in_(WAITING) & columns.wave_id.is_(None)


def _can_be_picked(order: OpenOrder) -> bool:
    return order.row.wave_id is None and order.handshake != Handshake.REJECTED and any(own.to_pick for own in order.counts.values())


def _needs(order: OpenOrder, known: Known) -> list[Need]:
    """Returns what a fulfilment order still wants, a kit as its components, each by the lots that are kept for it."""
    found = []
    for line_id, own in sorted(order.counts.items()):
        if not own.to_pick:
            continue
        item_id = order.lines[line_id].item_id
        article = known.articles.get(item_id)
        parts = [(part.item_id, part.quantity) for part in article.components] if article is not None else []
        for part_id, per_unit in parts or [(item_id, 1)]:
            lots = Counter[str]()
            for held in known.kept.get((order.row.order_id, line_id), ()):
                if held.item_id == part_id:
                    lots[held.lot] += held.quantity
            found.append(Need(order.row.fulfillment_order_id, line_id, part_id, own.to_pick * per_unit, per_unit, sorted(lots.items())))
    return found


async def load_shelves(work: Work, location_id: str, item_ids: Sequence[str]) -> Shelves:
    """Returns what can still be picked of items at a location, their stock in bins locked."""
    book = await BinBook.open(work, [(location_id, one) for one in item_ids])
    promised = Counter[tuple[str, str, str]]()
    for row in await work.tx.find(PICKS, ("location_id", "item_id"), [(location_id, one) for one in item_ids], where=OPEN_PICKS):
        promised[row.bin, row.item_id, row.lot] += row.remaining
    return Shelves(book.bins[location_id], {one: book.contents(location_id, one) for one in item_ids}, promised)


OPEN_PICKS = (PICKS.c.remaining > 0,)


def _list(wave: Mapping[str, Any], kind: WaveKind, steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "list_id": new_id(), "wave_id": wave["wave_id"], "location_id": wave["location_id"],
        "zone": steps[0].zone if kind is WaveKind.ZONE else "", "status": int(ListStatus.OPEN), "worker": "",
        "started_at": None, "ended_at": None,
    }  # fmt: skip


def pick_row(list_row: Mapping[str, Any], number: int, step: Step, articles: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the row of a pick; what catalog does not know any more has no name."""
    article = articles.get(step.wanted.item_id)
    return {
        "pick_id": new_id(), "list_id": list_row["list_id"], "location_id": list_row["location_id"], "step": number, "bin": step.bin,
        "zone": step.zone, "item_id": step.wanted.item_id, "lot": step.lot, "sku": article.sku if article else "",
        "gtin": article.gtin if article else "", "name": article.name if article else "", "tote": step.tote,
        "fulfillment_order_id": step.wanted.fulfillment_order_id, "line_id": step.wanted.line_id, "per_unit": step.wanted.per_unit,
        "quantity": step.quantity, "remaining": step.quantity, "picked": 0, "shorted": 0, "cancelled": 0, "returned": 0,
    }  # fmt: skip


async def cancel_wave(work: Work, request: warehouse_service_pb2.CancelWaveRequest) -> warehouse_service_pb2.Wave:
    """What is picked stays picked. Refusals: NO_SUCH_WAVE, WRONG_STATUS."""
    rows = await work.tx.read(select(WAVES).where(WAVES.c.wave_id == request.wave_id).with_for_update())
    if not rows:
        raise NotFound("NO_SUCH_WAVE", f"there is no wave {request.wave_id}", field="wave_id")
    if rows[0].status != Status.OPEN:
        raise FailedPrecondition("WRONG_STATUS", f"the wave is {Status(rows[0].status).name}", field="wave_id")
    lists = select(PICK_LISTS.c.list_id).where(PICK_LISTS.c.wave_id == request.wave_id)
    still = (PICKS.c.list_id.in_(lists), PICKS.c.remaining > 0)
    orders = {row.fulfillment_order_id for row in await work.tx.read(select(PICKS.c.fulfillment_order_id).where(*still))}
    await work.tx.write(update(PICKS).where(*still).values(cancelled=PICKS.c.cancelled + PICKS.c.remaining, remaining=0))
    left = [{"fulfillment_order_id": one, "wave_id": None} for one in sorted(orders)]
    await work.tx.change(FULFILLMENT_ORDERS, ("fulfillment_order_id",), left)
    opened = (int(ListStatus.OPEN), int(ListStatus.STARTED))
    ended = update(PICK_LISTS).where(PICK_LISTS.c.wave_id == request.wave_id, PICK_LISTS.c.status.in_(opened))
    await work.tx.write(ended.values(status=int(ListStatus.CANCELLED), ended_at=work.now))
    wave = update(WAVES).where(WAVES.c.wave_id == request.wave_id)
    await work.tx.write(wave.values(status=int(Status.CANCELLED), ended_at=work.now))
    return await shown_wave(work.tx, request.wave_id)


async def list_waves(asked: Asked) -> warehouse_service_pb2.ListWavesResponse:
    """Lists the last first."""
    query = select(WAVES)
    for name in ("location_id", "status"):
        if wanted := getattr(asked.request, name):
            query = query.where(WAVES.c[name] == wanted)
    rows, token = await page(asked.tx, query, [WAVES.c.wave_id], asked.request, descending=True)
    counts = await _counted(asked.tx, [row.wave_id for row in rows])
    return warehouse_service_pb2.ListWavesResponse(waves=[_wave(row, counts) for row in rows], next_page_token=token)


async def shown_wave(tx: Tx, wave_id: str) -> warehouse_service_pb2.Wave:
    """Returns a wave with how far it is."""
    rows = await tx.read(select(WAVES).where(WAVES.c.wave_id == wave_id))
    return _wave(rows[0], await _counted(tx, [wave_id]))


async def _counted(tx: Tx, wave_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Returns how many picks waves have, and how many of them are done."""
    query = (
        select(PICK_LISTS.c.wave_id, func.count().label("picks"), func.sum(case((PICKS.c.remaining == 0, 1), else_=0)).label("done"))
        .join(PICKS, PICKS.c.list_id == PICK_LISTS.c.list_id)
        .where(PICK_LISTS.c.wave_id.in_(wave_ids))
        .group_by(PICK_LISTS.c.wave_id)
    )
    return {row.wave_id: (int(row.picks), int(row.done)) for row in await tx.read(query)}


def _wave(row: Any, counts: Mapping[str, tuple[int, int]]) -> warehouse_service_pb2.Wave:
    picks, done = counts.get(row.wave_id, (0, 0))
    return warehouse_service_pb2.Wave(
        wave_id=row.wave_id, location_id=row.location_id, kind=row.kind, status=row.status,
        fulfillment_orders=row.fulfillment_orders, lists=row.lists, picks=picks, done=done, created_by=row.created_by,
        created_at=to_timestamp(row.created_at), ended_at=to_timestamp(row.ended_at) if row.ended_at is not None else None,
    )  # fmt: skip
