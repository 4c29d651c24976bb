"""Writes a change into its order, or that it came too late. By then nothing of the order is under way."""

import json
from collections.abc import Mapping
from typing import Any

from argosy.common.v1 import address_pb2
from argosy.orders.v1 import changes_service_pb2, orders_events_pb2
from chassis.runtime.work import Work
from services.orders.app.create_order import new_line
from services.orders.domain.amounts import Priced, shipping_tax
from services.orders.domain.line_changes import LineChange
from services.orders.store.tables import CHANGES, LINES

PENDING, APPLIED, REFUSED = (
    changes_service_pb2.CHANGE_STATUS_PENDING, changes_service_pb2.CHANGE_STATUS_APPLIED, changes_service_pb2.CHANGE_STATUS_REFUSED,
)  # fmt: skip
KEY = ("line_id",)
NONE_UNDER_WAY = {"reserved": 0, "released": 0, "backordered": 0}


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
    if order["tax_charged"] and "shipping_minor" in body["after"]:
        # What is computed is computed again.
        charged = shipping_tax(order["shipping_tax_minor"], order["shipping_minor"], body["after"]["shipping_minor"])
        order["shipping_tax_minor"] = charged
    order.update(body["after"])
    changed = lines_of(body)
    await _change_lines(work, order["order_id"], lines, changed)
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


async def _change_lines(work: Work, order_id: str, lines: dict[str, dict[str, Any]], changed: list[LineChange]) -> None:
    """A line that leaves stays as one of nothing: what is told of it later still finds it."""
    position = max(line["position"] for line in lines.values())
    rewritten, added = [], []
    for one in changed:
        if one.line_id in lines:
            count = one.quantity * lines[one.line_id]["units"]
            amounts = {name: getattr(one, name) for name in ("amount_minor", "discount_minor", "tax_minor")}
            row = {"line_id": one.line_id, "ordered": count, "waiting": count, **NONE_UNDER_WAY, **amounts}
            lines[one.line_id].update(row)
            rewritten.append(row)
        else:
            position += 1
            priced = Priced(one.quantity, one.amount_minor, one.discount_minor, one.tax_minor)
            row = new_line(order_id, position, one.channel_sku, one.external_line_id, priced)
            lines[one.line_id] = {**row, "line_id": one.line_id}
            added.append(lines[one.line_id])
    await work.tx.change(LINES, KEY, rewritten)
    await work.tx.insert(LINES, added)
