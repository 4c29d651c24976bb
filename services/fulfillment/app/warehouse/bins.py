"""Bins: set up, listed, filled from the dock, counted, compared with what inventory has on hand."""

from collections import defaultdict
from typing import Any

from sqlalchemy import func, select

from argosy.fulfillment.v1 import fulfillment_events_pb2, warehouse_service_pb2
from argosy.ops.v1 import ops_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.channels import Channels
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked, Looking
from chassis.runtime.service import FoundFacts
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.fulfillment.clients.on_hand import OnHand
from services.fulfillment.domain.bins import DOCK, LOST, NAMED, Goods, put_away
from services.fulfillment.store.bin_book import PLACE, BinBook, to_bin
from services.fulfillment.store.warehouse import BIN_MOVES, BIN_STOCK, BINS

BY_HAND = (warehouse_service_pb2.BIN_KIND_PICK, warehouse_service_pb2.BIN_KIND_RESERVE)
NAMES = ("location_id", "bin", "zone", "kind", "position", "most_units")


async def set_bin(work: Work, request: warehouse_service_pb2.SetBinRequest) -> warehouse_service_pb2.Bin:
    """Refusals: NO_BINS where the location keeps none, INVALID_FIELD for a bin or kind that each location has by itself."""
    await need_bins(work.tx, request.location_id)
    if request.bin in NAMED:
        raise InvalidArgument("INVALID_FIELD", f"bin: each location has its {request.bin} by itself", field="bin")
    kind = request.kind or BY_HAND[0]
    if kind not in BY_HAND:
        raise InvalidArgument("INVALID_FIELD", "kind: must be PICK or RESERVE; each location has the others by itself", field="kind")
    row = {**{name: getattr(request, name) for name in NAMES}, "kind": kind, "blocked": int(request.blocked)}
    await work.tx.merge(BINS, NAMES[:2], [row])
    return warehouse_service_pb2.Bin(**{**row, "blocked": request.blocked})


async def need_bins(tx: Tx, location_id: str) -> None:
    """Raises NO_BINS where a location keeps none."""
    if not await tx.find(BINS, NAMES[:2], [(location_id, DOCK)]):
        text = f"{location_id} keeps no bins, or has just been asked to: POST /v1/locations/{location_id}:keepBins"
        raise FailedPrecondition("NO_BINS", text, field="location_id")


async def list_bins(asked: Asked) -> warehouse_service_pb2.ListBinsResponse:
    """Lists in the order in which they are walked."""
    query = select(BINS).where(BINS.c.location_id == asked.request.location_id)
    rows, token = await page(asked.tx, query, [BINS.c.position, BINS.c.bin], asked.request)
    bins = [warehouse_service_pb2.Bin(**{**row._mapping, "blocked": bool(row.blocked)}) for row in rows]
    return warehouse_service_pb2.ListBinsResponse(bins=bins, next_page_token=token)


async def list_bin_stock(asked: Asked) -> warehouse_service_pb2.ListBinStockResponse:
    """Lists by item and bin."""
    columns = BIN_STOCK.c
    query = select(BIN_STOCK).where(columns.location_id == asked.request.location_id)
    for name in ("bin", "item_id"):
        if wanted := getattr(asked.request, name):
            query = query.where(columns[name] == wanted)
    rows, token = await page(asked.tx, query, [columns.item_id, columns.bin, columns.lot], asked.request)
    stock = [warehouse_service_pb2.BinStock(**row._mapping) for row in rows]
    return warehouse_service_pb2.ListBinStockResponse(stock=stock, next_page_token=token)


async def list_bin_moves(asked: Asked) -> warehouse_service_pb2.ListBinMovesResponse:
    """Lists the last first."""
    query = select(BIN_MOVES).where(BIN_MOVES.c.location_id == asked.request.location_id)
    if asked.request.item_id:
        query = query.where(BIN_MOVES.c.item_id == asked.request.item_id)
    rows, token = await page(asked.tx, query, [BIN_MOVES.c.move_id], asked.request, descending=True)
    return warehouse_service_pb2.ListBinMovesResponse(moves=[_move(row._mapping) for row in rows], next_page_token=token)


def _move(row: Any) -> warehouse_service_pb2.BinMove:
    return warehouse_service_pb2.BinMove(**{**row, "moved_at": to_timestamp(row["moved_at"])})


async def move_bin_stock(work: Work, request: warehouse_service_pb2.MoveBinStockRequest) -> warehouse_service_pb2.BinMove:
    """Refusals: NO_BINS, NO_SUCH_BIN, SAME_BIN, BIN_BLOCKED, BIN_FULL, NOT_IN_BIN."""
    location_id, source, target = request.location_id, request.from_bin or DOCK, request.to_bin
    await need_bins(work.tx, location_id)
    book = await BinBook.open(work, [(location_id, request.item_id)], [(location_id, source), (location_id, target)])
    places = book.bins[location_id]
    for field, name in (("from_bin", source), ("to_bin", target)):
        if name not in places:
            raise NotFound("NO_SUCH_BIN", f"{field}: there is no bin {name} at {location_id}", field=field)
        if places[name].blocked:
            raise FailedPrecondition("BIN_BLOCKED", f"{field}: {name} is blocked; take another", field=field)
    if source == target:
        raise InvalidArgument("SAME_BIN", "to_bin: must differ from from_bin", field="to_bin")
    there = book.quantity(location_id, request.item_id, source, request.lot)
    if there < request.quantity:
        text = f"quantity: {there} of it are in {source}; count the bin where that is not so"
        raise FailedPrecondition("NOT_IN_BIN", text, field="quantity", there=there)
    if most := places[target].most_units:
        # Another item may be put there at this moment.
        await work.tx.find(BINS, PLACE, [(location_id, target)], lock=True)
        inside = select(func.coalesce(func.sum(BIN_STOCK.c.quantity), 0)).where(
            BIN_STOCK.c.location_id == location_id, BIN_STOCK.c.bin == target
        )
        room = most - int((await work.tx.read(inside))[0][0])
        if room < request.quantity:
            raise FailedPrecondition("BIN_FULL", f"quantity: {target} has room for {room} more", field="quantity", room=room)
    reason = "PUT_AWAY" if source == DOCK else "MOVED"
    row = book.move(location_id, request.item_id, request.lot, request.quantity, (source, target), reason)
    await book.write()
    return _move(row)


async def list_put_aways(asked: Asked) -> warehouse_service_pb2.ListPutAwaysResponse:
    """Lists by item. Where each goes is advice: whoever puts it elsewhere says so. Refusals: NO_BINS."""
    location_id = asked.request.location_id
    await need_bins(asked.tx, location_id)
    columns = BIN_STOCK.c
    on_dock = select(BIN_STOCK).where(columns.location_id == location_id, columns.bin == DOCK)
    rows, token = await page(asked.tx, on_dock, [columns.item_id, columns.lot], asked.request)
    bins = [to_bin(row) for row in await asked.tx.read(select(BINS).where(BINS.c.location_id == location_id))]
    elsewhere = select(columns.bin, func.sum(columns.quantity)).where(columns.location_id == location_id, columns.bin != DOCK)
    units = {name: int(held) for name, held in await asked.tx.read(elsewhere.group_by(columns.bin))}
    likes: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for row in await asked.tx.find(BIN_STOCK, ("location_id", "item_id"), sorted({(location_id, row.item_id) for row in rows})):
        likes[row.item_id, row.lot].append(row.bin)
    advice = put_away([Goods(row.item_id, row.lot, row.quantity) for row in rows], bins, units, likes)
    put_aways = [
        warehouse_service_pb2.PutAway(
            item_id=one.goods.item_id, lot=one.goods.lot, quantity=one.goods.quantity, to_bin=one.bin, why=one.why
        )
        for one in advice
    ]
    return warehouse_service_pb2.ListPutAwaysResponse(put_aways=put_aways, next_page_token=token)


async def count_bin(work: Work, request: warehouse_service_pb2.CountBinRequest) -> warehouse_service_pb2.BinCount:
    """What is too much comes from LOST as far as it was missed, else from the dock; what is missing goes to LOST.

    Inventory counts what differed at the whole location. Refusals: NO_SUCH_BIN, DOUBLE_LINE, NOT_ON_HAND.
    """
    location_id, name, columns = request.location_id, request.bin, BIN_STOCK.c
    counted = {(line.item_id, line.lot): line.quantity for line in request.lines}
    if len(counted) < len(request.lines):
        raise InvalidArgument("DOUBLE_LINE", "lines: an item's lot is named twice", field="lines")
    inside = select(columns.item_id).where(columns.location_id == location_id, columns.bin == name)
    items = {row.item_id for row in await work.tx.read(inside)} | {item_id for item_id, _ in counted}
    book = await BinBook.open(work, [(location_id, one) for one in items], [(location_id, name)])
    if name not in book.bins[location_id] or name in NAMED:
        raise NotFound("NO_SUCH_BIN", f"bin: {location_id} has no bin {name} that can be counted", field="bin")
    answer = warehouse_service_pb2.BinCount(location_id=location_id, bin=name)
    count_id = new_id()
    for item_id in sorted(items):
        lots = {one.lot for one in book.contents(location_id, item_id) if one.bin == name} | {
            lot for item, lot in counted if item == item_id
        }
        for lot in sorted(lots):
            expected, found = book.quantity(location_id, item_id, name, lot), counted.get((item_id, lot), 0)
            if expected != found:
                _correct(book, (location_id, item_id, name, lot), found - expected, count_id)
                answer.differences.add(item_id=item_id, lot=lot, expected=expected, found=found)
    await book.write()
    if answer.differences:
        differed = sorted({one.item_id for one in answer.differences})
        work.emit(fulfillment_events_pb2.BinDiffered(count_id=count_id, location_id=location_id, bin=name, item_ids=differed))
    return answer


def _correct(book: BinBook, place: tuple[str, str, str, str], difference: int, count_id: str) -> None:
    location_id, item_id, name, lot = place
    if difference < 0:
        book.move(location_id, item_id, lot, -difference, (name, LOST), "COUNTED", count_id)
        return
    for source in (LOST, DOCK):
        part = min(difference, book.quantity(location_id, item_id, source, lot))
        if part:
            book.move(location_id, item_id, lot, part, (source, name), "COUNTED", count_id)
            difference -= part
    if difference:
        text = f"lines: {difference} of {item_id} are more than {location_id} has on hand: count it there first (POST /v1/counts)"
        raise FailedPrecondition("NOT_ON_HAND", text, field="lines", item_id=item_id)


class Comparison:
    """Compares bins with books."""

    def __init__(self, channels: Channels) -> None:
        self._on_hand = OnHand(channels)

    async def compare_bins(self, asked: Looking) -> warehouse_service_pb2.CompareBinsResponse:
        """Refusals: NO_BINS."""
        request = asked.request
        async with asked.database.read() as tx:
            await need_bins(tx, request.location_id)
        on_hand, token = await self._on_hand.page(request.location_id, request.page_size, request.page_token)
        async with asked.database.read() as tx:
            rows = await tx.find(BIN_STOCK, ("location_id", "item_id"), [(request.location_id, one) for one in sorted(on_hand)])
        held = dict.fromkeys(on_hand, 0)
        for row in rows:
            held[row.item_id] += row.quantity
        answer = warehouse_service_pb2.CompareBinsResponse(compared=len(on_hand), next_page_token=token)
        for item_id in sorted(on_hand):
            if on_hand[item_id] != held[item_id]:
                answer.differences.add(item_id=item_id, expected=on_hand[item_id], found=held[item_id])
        return answer


async def find_bins(tx: Tx, now: int) -> FoundFacts:
    """P1: what bins hold, for inventory to agree with."""
    del now
    keys = (BIN_STOCK.c.location_id, BIN_STOCK.c.item_id)
    rows = await tx.read(select(*keys, func.sum(BIN_STOCK.c.quantity)).group_by(*keys))
    facts = [ops_pb2.Fact(name="bins", key=f"{item_id}@{location_id}", value=int(held)) for location_id, item_id, held in rows]
    return [], facts
