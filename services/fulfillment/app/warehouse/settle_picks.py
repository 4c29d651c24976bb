"""What a fulfilment order does not want any more is not picked, and what is picked of it is brought back to the dock."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from chassis.runtime.work import Work
from services.fulfillment.app.save_lines import OpenOrder
from services.fulfillment.domain.bins import DOCK, OUT, Kind, take
from services.fulfillment.domain.waves import ListStatus, Status, surplus
from services.fulfillment.store.bin_book import BinBook
from services.fulfillment.store.warehouse import PICK_LISTS, PICKS, WAVES

ENDED = (int(ListStatus.DONE), int(ListStatus.CANCELLED))


async def settle_picks(work: Work, orders: Sequence[OpenOrder]) -> None:
    """Brings the picks of fulfilment orders to what still ships; those in no wave have none."""
    in_waves = {one.row.fulfillment_order_id: one for one in orders if one.row.wave_id is not None}
    if not in_waves:
        return
    key = ("fulfillment_order_id",)
    rows = await work.tx.find(PICKS, key, [(one,) for one in sorted(in_waves)], order=("fulfillment_order_id", "pick_id"), lock=True)
    by_part: defaultdict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_part[row.fulfillment_order_id, row.line_id, row.item_id].append(dict(row._mapping))
    changed, back = [], []
    for (order_id, line_id, _), picks in by_part.items():
        own = in_waves[order_id].counts[line_id]
        out = sum(one["picked"] - one["returned"] for one in picks)
        remaining = sum(one["remaining"] for one in picks)
        too_much = surplus(picks[0]["per_unit"], out, remaining, own.left, own.shipped)
        changed += _leave(picks, too_much.leave)
        back += _bring_back(picks, too_much.bring_back)
    touched = {one["pick_id"]: one for one in (*changed, *back)}
    if not touched:
        return
    names = ("pick_id", "remaining", "cancelled", "returned")
    await work.tx.change(PICKS, ("pick_id",), [{name: one[name] for name in names} for one in touched.values()])
    await _to_the_dock(work, back)
    await end_lists(work, sorted({one["list_id"] for one in touched.values()}))


def _leave(picks: Sequence[dict[str, Any]], quantity: int) -> list[dict[str, Any]]:
    """Cancels picks, the last first."""
    changed = []
    for one in reversed(picks):
        part = min(quantity, one["remaining"])
        if part:
            one["remaining"] -= part
            one["cancelled"] += part
            quantity -= part
            changed.append(one)
    return changed


def _bring_back(picks: Sequence[dict[str, Any]], quantity: int) -> list[dict[str, Any]]:
    changed = []
    for one in picks:
        part = min(quantity, one["picked"] - one["returned"])
        if part:
            one["returned"] += part
            one["back"] = part
            quantity -= part
            changed.append(one)
    return changed


async def _to_the_dock(work: Work, back: Sequence[dict[str, Any]]) -> None:
    book = await BinBook.open(work, [(one["location_id"], one["item_id"]) for one in back])
    for one in back:
        location_id, item_id = one["location_id"], one["item_id"]
        contents = book.contents(location_id, item_id)
        for part in take(one["back"], one["lot"], contents, book.bins[location_id], (Kind.OUT,)):
            # What is not there has left by another order's parcel, and was taken from a bin in its place.
            if part.bin:
                book.move(location_id, item_id, part.lot, part.quantity, (OUT, DOCK), "RETURNED", one["pick_id"])
    await book.write()


async def end_lists(work: Work, list_ids: Sequence[str]) -> None:
    """Ends lists that nothing remains of, and their waves."""
    done = await _without_rest(work, list_ids)
    if not done:
        return
    rows = await work.tx.find(PICK_LISTS, ("list_id",), [(one,) for one in done], order=("list_id",), lock=True)
    ending = [row for row in rows if row.status not in ENDED]
    values = {"status": int(ListStatus.DONE), "ended_at": work.now}
    await work.tx.change(PICK_LISTS, ("list_id",), [{"list_id": row.list_id, **values} for row in ending])
    waves = sorted({row.wave_id for row in ending})
    still = select(PICK_LISTS.c.wave_id).where(PICK_LISTS.c.wave_id.in_(waves), PICK_LISTS.c.status.not_in(ENDED)).distinct()
    open_ones = {row.wave_id for row in await work.tx.read(still)}
    ended = [{"wave_id": one, "status": int(Status.DONE), "ended_at": work.now} for one in waves if one not in open_ones]
    await work.tx.change(WAVES, ("wave_id",), ended)


async def _without_rest(work: Work, list_ids: Sequence[str]) -> list[str]:
    remaining = func.sum(PICKS.c.remaining)
    query = select(PICKS.c.list_id).where(PICKS.c.list_id.in_(list_ids)).group_by(PICKS.c.list_id).having(remaining == 0)
    return sorted(row.list_id for row in await work.tx.read(query))
