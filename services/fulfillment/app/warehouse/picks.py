"""Pick lists: taken by a worker, walked in order, each pick as scanned. What is missing in a bin is taken from another, or is short."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, func, select, update

from argosy.fulfillment.v1 import fulfillment_events_pb2, warehouse_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.fulfillment.app.save_lines import OpenOrder, open_orders
from services.fulfillment.app.settle import settle
from services.fulfillment.app.warehouse.settle_picks import end_lists
from services.fulfillment.app.warehouse.waves import load_shelves
from services.fulfillment.domain.bins import LOST, OUT
from services.fulfillment.domain.waves import ListStatus, Tally, whole
from services.fulfillment.store.bin_book import BinBook
from services.fulfillment.store.warehouse import PICK_LISTS, PICKS

PickList = warehouse_service_pb2.PickList


async def start_pick_list(work: Work, request: warehouse_service_pb2.StartPickListRequest) -> PickList:
    """Whoever asks picks it, from the worker whom they name on; asked again by the same person, changes nothing.

    Refusals: NO_SUCH_LIST, TAKEN, WRONG_STATUS.
    """
    row = await _locked(work, request.list_id)
    values = {"status": int(ListStatus.STARTED), "worker": work.cause.actor}
    if row.status == ListStatus.OPEN:
        values["started_at"] = work.now
    elif row.status != ListStatus.STARTED or row.worker != request.from_worker:
        _need_mine(work, row)
    await work.tx.write(update(PICK_LISTS).where(PICK_LISTS.c.list_id == row.list_id).values(**values))
    return await _shown(work.tx, request.list_id)


async def record_pick(work: Work, request: warehouse_service_pb2.RecordPickRequest) -> PickList:
    """Refusals: NO_SUCH_PICK, NOT_STARTED, TAKEN, WRONG_STATUS, NOTHING_LEFT, WRONG_BIN, WRONG_ITEM, NOT_IN_BIN."""
    found = await work.tx.read(select(PICKS).where(PICKS.c.pick_id == request.pick_id))
    if not found:
        raise NotFound("NO_SUCH_PICK", f"there is no pick {request.pick_id}", field="pick_id")
    list_row = await _locked(work, found[0].list_id)
    if list_row.status == ListStatus.OPEN:
        raise FailedPrecondition("NOT_STARTED", "nobody has taken the list: start it first", field="pick_id")
    _need_mine(work, list_row)
    # The fulfilment order is locked before its picks, as whoever calls it back does.
    order = (await open_orders(work, [found[0].fulfillment_order_id]))[found[0].fulfillment_order_id]
    picks = [dict(row._mapping) for row in await _of_line(work, found[0])]
    pick = next(one for one in picks if one["pick_id"] == request.pick_id)
    _need_left(pick, request)
    before = _whole(picks)
    book = await BinBook.open(work, [(pick["location_id"], pick["item_id"])], [(pick["location_id"], request.bin)] if request.bin else ())
    if request.picked:
        _take(book, pick, request)
    elsewhere = await _miss(work, book, pick, request.shorted) if request.shorted else []
    await book.write()
    await work.tx.change(PICKS, ("pick_id",), [{name: pick[name] for name in CHANGED}])
    await work.tx.insert(PICKS, elsewhere)
    _add_up(work, order, pick["line_id"], before, _whole([*picks, *elsewhere]))
    await settle(work, [order])
    await end_lists(work, [list_row.list_id])
    return await _shown(work.tx, list_row.list_id)


CHANGED = ("pick_id", "quantity", "remaining", "picked", "shorted", "lot", "bin")


def _need_left(pick: dict[str, Any], request: warehouse_service_pb2.RecordPickRequest) -> None:
    wanted = request.picked + request.shorted
    if not wanted:
        raise InvalidArgument("INVALID_FIELD", "picked: say how many were found, or how many are short", field="picked")
    if wanted > pick["remaining"]:
        gone = "it is not wanted any more" if pick["cancelled"] else f"{pick['remaining']} of it remain"
        raise FailedPrecondition("NOTHING_LEFT", f"picked: {gone}", field="picked", remaining=pick["remaining"])


def _take(book: BinBook, pick: dict[str, Any], request: warehouse_service_pb2.RecordPickRequest) -> None:
    """Moves what was picked to OUT, from where it was scanned."""
    code = request.code.strip().upper()
    if code.lstrip("0") not in {one.upper().lstrip("0") for one in (pick["sku"], pick["gtin"], pick["lot"]) if one}:
        text = f"code: scanned {code or 'nothing'}; here {pick['sku'] or pick['item_id']} is picked"
        raise InvalidArgument("WRONG_ITEM", text, field="code", sku=pick["sku"])
    name = request.bin.strip().upper()
    location_id, item_id = pick["location_id"], pick["item_id"]
    there = {one.lot: one.quantity for one in book.contents(location_id, item_id) if one.bin == name}
    if name != pick["bin"] and (not there or name in (OUT, LOST)):
        raise InvalidArgument(
            "WRONG_BIN", f"bin: scanned {name or 'nothing'}; it lies in {pick['bin'] or 'no bin that is known'}", field="bin"
        )
    lot = pick["lot"] if pick["lot"] in there else next(iter(sorted(there)), pick["lot"])
    if there.get(lot, 0) < request.picked:
        text = f"picked: {there.get(lot, 0)} of it are in {name} by the books: count the bin, or say how many are short"
        raise FailedPrecondition("NOT_IN_BIN", text, field="picked", there=there.get(lot, 0))
    book.move(location_id, item_id, lot, request.picked, (name, OUT), "PICKED", pick["pick_id"])
    pick["picked"] += request.picked
    pick["remaining"] -= request.picked


async def _miss(work: Work, book: BinBook, pick: dict[str, Any], missing: int) -> list[dict[str, Any]]:
    """What is not in the bin is LOST. It is taken from other bins where there is more of it; else it is short."""
    location_id, item_id, name = pick["location_id"], pick["item_id"], pick["bin"]
    lost = min(missing, book.quantity(location_id, item_id, name, pick["lot"])) if name else 0
    if lost:
        book.move(location_id, item_id, pick["lot"], lost, (name, LOST), "SHORT", pick["pick_id"])
    shelves = await load_shelves(work, location_id, [item_id])
    shelves = type(shelves)(
        shelves.bins, {item_id: [one for one in book.contents(location_id, item_id) if one.bin != name]}, shelves.promised
    )
    fresh = []
    for other, lot, quantity in shelves.parts(item_id, pick["lot"], missing):
        if other:
            moved = {"pick_id": new_id(), "bin": other, "lot": lot, "zone": shelves.bins[other].zone, "quantity": quantity}
            none = {"picked": 0, "shorted": 0, "cancelled": 0, "returned": 0}
            fresh.append({**pick, **moved, **none, "remaining": quantity})
            pick["quantity"] -= quantity
            missing -= quantity
            pick["remaining"] -= quantity
    pick["shorted"] += missing
    pick["remaining"] -= missing
    return fresh


def _whole(picks: Sequence[dict[str, Any]]) -> tuple[int, int]:
    tallies: dict[str, Tally] = {}
    for one in picks:
        own = tallies.get(one["item_id"], Tally(one["per_unit"], 0, 0))
        tallies[one["item_id"]] = own._replace(picked=own.picked + one["picked"], shorted=own.shorted + one["shorted"])
    return whole(tallies.values())


def _add_up(work: Work, order: OpenOrder, line_id: str, before: tuple[int, int], after: tuple[int, int]) -> None:
    """Brings the line up to its picks; what is short is told, sourced elsewhere and counted."""
    order.work_on()
    own = order.counts[line_id]
    picked, shorted = after[0] - before[0], min(after[1] - before[1], own.left)
    order.add(line_id, picked=picked, shorted=shorted)
    if shorted:
        event = fulfillment_events_pb2.PickShorted(
            fulfillment_order_id=order.row.fulfillment_order_id, order_id=order.row.order_id, location_id=order.row.location_id
        )
        item_id = order.lines[line_id].item_id
        event.lines.add(line_id=line_id, item_id=item_id, location_id=order.row.location_id, quantity=shorted)
        work.emit(event)


async def _of_line(work: Work, pick: Any) -> Sequence[Any]:
    query = select(PICKS).where(PICKS.c.fulfillment_order_id == pick.fulfillment_order_id, PICKS.c.line_id == pick.line_id)
    return await work.tx.read(query.order_by(PICKS.c.pick_id).with_for_update())


async def _locked(work: Work, list_id: str) -> Any:
    rows = await work.tx.read(select(PICK_LISTS).where(PICK_LISTS.c.list_id == list_id).with_for_update())
    if not rows:
        raise NotFound("NO_SUCH_LIST", f"there is no pick list {list_id}", field="list_id")
    return rows[0]


def _need_mine(work: Work, row: Any) -> None:
    if row.status in (ListStatus.DONE, ListStatus.CANCELLED):
        raise FailedPrecondition("WRONG_STATUS", f"the list is {ListStatus(row.status).name}", field="list_id")
    if row.worker != work.cause.actor:
        text = f"the list is picked by {row.worker}; take another, or take it over from them (from_worker)"
        raise FailedPrecondition("TAKEN", text, field="list_id", worker=row.worker)


async def get_pick_list(asked: Asked) -> PickList:
    """Refusals: NO_SUCH_LIST."""
    return await _shown(asked.tx, asked.request.list_id)


async def _shown(tx: Tx, list_id: str) -> PickList:
    rows = await tx.read(select(PICK_LISTS).where(PICK_LISTS.c.list_id == list_id))
    if not rows:
        raise NotFound("NO_SUCH_LIST", f"there is no pick list {list_id}", field="list_id")
    picks = await tx.read(select(PICKS).where(PICKS.c.list_id == list_id).order_by(PICKS.c.step, PICKS.c.pick_id))
    shown = _list(rows[0], len(picks), sum(not one.remaining for one in picks))
    shown.picks.extend(map(_pick, picks))
    return shown


async def list_pick_lists(asked: Asked) -> warehouse_service_pb2.ListPickListsResponse:
    """Lists the oldest first."""
    query = select(PICK_LISTS)
    for name in ("location_id", "wave_id", "status"):
        if wanted := getattr(asked.request, name):
            query = query.where(PICK_LISTS.c[name] == wanted)
    rows, token = await page(asked.tx, query, [PICK_LISTS.c.list_id], asked.request)
    done = func.sum(case((PICKS.c.remaining == 0, 1), else_=0))
    own = PICKS.c.list_id.in_([row.list_id for row in rows])
    counts: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in await asked.tx.read(select(PICKS.c.list_id, func.count(), done).where(own).group_by(PICKS.c.list_id)):
        counts[row[0]] = (int(row[1]), int(row[2]))
    lists = [_list(row, *counts[row.list_id]) for row in rows]
    return warehouse_service_pb2.ListPickListsResponse(lists=lists, next_page_token=token)


def _list(row: Any, total: int, done: int) -> PickList:
    started_at, ended_at = (None if moment is None else to_timestamp(moment) for moment in (row.started_at, row.ended_at))
    return PickList(
        list_id=row.list_id, wave_id=row.wave_id, location_id=row.location_id, zone=row.zone, status=row.status, worker=row.worker,
        picks_total=total, picks_done=done, started_at=started_at, ended_at=ended_at,
    )  # fmt: skip


def _pick(row: Any) -> warehouse_service_pb2.Pick:
    return warehouse_service_pb2.Pick(
        pick_id=row.pick_id, bin=row.bin, zone=row.zone, item_id=row.item_id, sku=row.sku, name=row.name, gtin=row.gtin, lot=row.lot,
        quantity=row.quantity, picked=row.picked, shorted=row.shorted, tote=row.tote, line_id=row.line_id,
        fulfillment_order_id=row.fulfillment_order_id, cancelled=row.cancelled > 0, remaining=row.remaining,
    )  # fmt: skip
