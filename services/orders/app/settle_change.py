"""Writes a change into its order, or that it came too late. By then nothing of the order is under way."""

import json
from collections.abc import Mapping
from typing import Any

from argosy.common.v1 import address_pb2
from argosy.orders.v1 import changes_service_pb2, orders_events_pb2
from chassis.runtime.work import Work
from services.orders.app.create_order import new_line
from services.orders.domain.amounts import (
    Priced,
    Shares,
    is_settled,
    open_worth,
    shipped_worth,
    shipping_open,
    shipping_shipped,
    shipping_tax,
)
from services.orders.domain.line_changes import LineChange
from services.orders.store.tables import CHANGES, LINES

PENDING, APPLIED, REFUSED = (
    changes_service_pb2.CHANGE_STATUS_PENDING, changes_service_pb2.CHANGE_STATUS_APPLIED, changes_service_pb2.CHANGE_STATUS_REFUSED,
)  # fmt: skip
KEY = ("line_id",)
NOTHING_OF_IT = {"shipped": 0, "cancelled": 0, "returned": 0, "refunded": 0, "settled": 0}


def lines_of(body: Mapping[str, Any]) -> list[LineChange]:
    """Returns what a change makes of lines."""
    return [LineChange(**one) for one in body.get("lines", ())]


async def settle(work: Work, order: dict[str, Any], lines: dict[str, dict[str, Any]], change_id: str, refused: str) -> str:
    """Writes it into the order and its lines, as they are in memory, too; returns what history says of it."""
    (row,) = await work.tx.find(CHANGES, ("change_id",), [(change_id,)])
    status = REFUSED if refused else APPLIED
    decided = {"change_id": change_id, "status": status, "decided_at": work.now, "outcome": refused}
    await work.tx.change(CHANGES, ("change_id",), [decided])
    if refused:
        return refused
    body = json.loads(row.body)
    _settle_shipping(order, lines, body["after"])
    changed = lines_of(body)
    await _change_lines(work, order["order_id"], lines, changed, body.get("rests", {}))
    own = sum(line["amount_minor"] - line["discount_minor"] + line["tax_minor"] for line in lines.values())
    order["total_minor"] = own + order["shipping_minor"] + order["shipping_tax_minor"]
    destination = address_pb2.Destination(country_code=order["country_code"], region=order["region"], postal_prefix=order["postal_prefix"])
    work.emit(
        orders_events_pb2.OrderChanged(
            order_id=order["order_id"], channel_id=order["channel_id"], change_id=change_id, destination=destination,
            shipping_method=order["shipping_method"], lines_changed=bool(changed),
        )
    )  # fmt: skip
    what = "; ".join(map(str, changed))
    return f"{row.asked_by}: {row.reason}" + (f" ({what})" if what else "")


def _settle_shipping(order: dict[str, Any], lines: Mapping[str, Mapping[str, Any]], after: Mapping[str, Any]) -> None:
    """What was charged with parcels stays; tax that is computed is computed again."""
    shipped, left = shipping_shipped(order, lines.values()), shipping_open(order, lines.values())
    tax = left.tax_minor
    if order["tax_charged"]:
        tax = shipping_tax(tax, left.product_minor, after["shipping_minor"] - shipped.product_minor)
    order.update(after)
    order["settled_shipping_minor"], order["settled_shipping_tax_minor"] = shipped.product_minor, shipped.tax_minor
    order["shipping_tax_minor"] = shipped.tax_minor + tax


async def _change_lines(
    work: Work, order_id: str, lines: dict[str, dict[str, Any]], changed: list[LineChange], rests: Mapping[str, str]
) -> None:
    """What shipped of a line stays as that line, what is left of it goes on as another; a line that leaves stays as one of nothing.

    So whatever is told of a line later still finds it. What is cancelled is worth nothing any more: that was given back.
    """
    position = max(line["position"] for line in lines.values())
    wanted = {one.line_id: one for one in changed}
    rewritten, added = [], []
    for line_id, line in list(lines.items()):
        one = wanted.pop(line_id, None)
        gone = line["shipped"] + line["cancelled"]
        if is_settled(line) or (one is None and not gone):
            continue
        worth = open_worth(line) if one is None else Shares(one.amount_minor, one.discount_minor, one.tax_minor)
        count = line["ordered"] - gone if one is None else one.quantity * line["units"]
        if line["shipped"]:
            if count:
                position += 1
                fresh = {"line_id": rests[line_id], "position": position, "shipped_at": None, **_row(count, worth), **NOTHING_OF_IT}
                added.append({**line, **fresh})
            count, worth = 0, shipped_worth(line)
        row = {"line_id": line_id, **_row(count, worth), "ordered": count + gone, "settled": gone}
        line.update(row)
        rewritten.append(row)
    for one in wanted.values():
        position += 1
        priced = Priced(one.quantity, one.amount_minor, one.discount_minor, one.tax_minor)
        added.append({**new_line(order_id, position, one.channel_sku, one.external_line_id, priced), "line_id": one.line_id})
    lines.update({row["line_id"]: row for row in added})
    await work.tx.change(LINES, KEY, rewritten)
    await work.tx.insert(LINES, added)


def _row(count: int, worth: Shares) -> dict[str, Any]:
    """Returns a line's quantities and amounts, with nothing of it under way."""
    amounts = {"amount_minor": worth.product_minor, "discount_minor": worth.discount_minor, "tax_minor": worth.tax_minor}
    return {"ordered": count, "waiting": count, "reserved": 0, "released": 0, "backordered": 0, **amounts}
