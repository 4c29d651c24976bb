"""What a warehouse of others says that came in: goods of a purchase order, and what customers send back."""

import json
from collections.abc import Sequence
from typing import Any

from chassis.runtime.work import Work
from gateway.app.warehouses import lines_meant, start
from gateway.channels.commands import BackUnits, TakeBack, TakeIn, Unreadable
from gateway.channels.warehouses import Arrived, BackLine, ComingBack
from gateway.store.tables import WAREHOUSE_RECEIPTS

KEY = ("channel_id", "document", "sku")
LONGEST, MOST = 100, 1_000_000_000


async def goods_in(work: Work, delivery_id: str, connection: Any, arrived: Arrived) -> int:
    """Takes in what the warehouse has more than it said before, and returns 1 where it has; what it says out of turn is no news.

    Raises Unreadable.
    """
    if wrong := [one for one in (arrived.document, *arrived.units) if len(one) > LONGEST or not one.isprintable()]:
        raise Unreadable(f"{wrong[0][:LONGEST]!r} is no name of a document or an article")
    if beyond := [sku for sku, count in arrived.units.items() if count > MOST]:
        raise Unreadable(f"nobody takes in {arrived.units[beyond[0]]} of {beyond[0]}")
    keys = [(connection.channel_id, arrived.document, sku) for sku in sorted(arrived.units)]
    before = {row.sku: row.quantity for row in await work.tx.find(WAREHOUSE_RECEIPTS, KEY, keys, lock=True)}
    more = {sku: count - before.get(sku, 0) for sku, count in arrived.units.items() if count > before.get(sku, 0)}
    if not more:
        return 0
    rows = [{**dict(zip(KEY, key, strict=True)), "quantity": arrived.units[key[2]]} for key in keys if key[2] in more]
    await work.tx.merge(WAREHOUSE_RECEIPTS, KEY, rows)
    command = TakeIn(arrived.number, connection.location_id, arrived.document, more)
    start(work, delivery_id, connection.channel_id, arrived.number, [command])
    return 1


def goods_back(work: Work, delivery_id: str, connection: Any, order: Any, back: ComingBack) -> int:
    """Lets a return stand as the warehouse says; said again, it stands so already. Raises Unreadable."""
    lines = json.loads(order.lines)
    units: dict[str, BackUnits] = {}
    for said in back.lines:
        line_id = _line_meant(lines, said, order.reference)
        known = units.get(line_id, BackUnits(line_id, 0, 0, 0, said.reason[:60]))
        units[line_id] = BackUnits(
            line_id,
            known.expected + max(said.announced, said.received),
            known.received + said.received,
            known.good + said.good,
            known.reason,
        )
    if not units:
        return 0
    command = TakeBack(back.number, order.order_id, connection.location_id, list(units.values()))
    start(work, delivery_id, connection.channel_id, order.reference, [command])
    return 1


def _line_meant(lines: Sequence[dict[str, Any]], said: BackLine, reference: str) -> str:
    meant = lines_meant(lines, said.line_id, 0, said.sku)
    if not meant:
        raise Unreadable(f"of {reference}, {said.sku or said.line_id} comes back, which is not in the order")
    # Of lines with the same article, the first that shipped as much.
    enough = (index for index in meant if lines[index]["shipped"] >= said.announced)
    return str(lines[next(enough, meant[0])]["line_id"])
