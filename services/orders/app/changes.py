"""PreviewChange, ChangeOrder, ListChanges: an order goes elsewhere or another way, until it has left.

Whoever asks is told what it would do. The order's process gives back what is reserved and asks back what is with a location;
when nothing is under way any more the change is applied, and the order is taxed, judged, planned and promised again.
"""

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from google.protobuf.json_format import MessageToDict
from sqlalchemy import select

from argosy.common.v1 import address_pb2
from argosy.orders.v1 import changes_service_pb2, order_pb2, orders_events_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, Refusal, need_unchanged
from chassis.kernel.ids import new_id
from chassis.kernel.money import shown
from chassis.runtime.approvals import ApprovalKind, Weight, need_approval
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database, Tx
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked, Looking
from chassis.runtime.work import Work
from chassis.runtime.writer import Call
from services.orders.app.read_orders import visible
from services.orders.app.views import load
from services.orders.clients.impact import Impacts
from services.orders.domain.buyers import address_problems, buyer_of, signature_of
from services.orders.process import fulfil_order
from services.orders.process.messages import ChangeRequested
from services.orders.store.tables import CHANGES, CUSTOMERS, LINES

Impact = changes_service_pb2.ChangeImpact
OrderChange = changes_service_pb2.OrderChange
WAITING, PENDING, APPLIED, REFUSED = range(1, 5)
OPEN = (order_pb2.ORDER_STATUS_PENDING, order_pb2.ORDER_STATUS_OPEN, order_pb2.ORDER_STATUS_ON_HOLD)
# What the price may change by without another person, in minor units.
LIMIT_MINOR = 5000
Wanted = changes_service_pb2.PreviewChangeRequest | changes_service_pb2.ChangeOrderRequest


class Changes:
    """Changes, with what others say of them."""

    def __init__(self, channels: Channels) -> None:
        self._impacts = Impacts(channels)

    async def preview_change(self, asked: Looking) -> Impact:
        """Refusals: NO_SUCH_ORDER, NOTHING_CHANGES, TOO_LATE."""
        async with asked.database.read() as tx:
            wish = await _read(tx, asked.request, asked)
        return await self._impact(wish)

    async def prepare(self, requests: Sequence[Any], database: Database) -> Sequence[Impact | Refusal]:
        """Returns what each change would do, or why it cannot be."""
        found: list[Impact | Refusal] = []
        for request in requests:
            try:
                async with database.read() as tx:
                    wish = await _read(tx, request)
                found.append(await self._impact(wish))
            except Refusal as refusal:
                found.append(refusal)
        return found

    async def _impact(self, wish: "_Wish") -> Impact:
        impact = await self._impacts.of(wish.row, wish.lines, wish.after, exempt=wish.exempt)
        impact.address_problems.extend(address_problems(wish.after["ship_to"]))
        impact.recalled_units = sum(line.released for line in wish.lines)
        return impact


class _Wish(NamedTuple):
    """An order, what it would say, and whether its customer pays no tax."""

    row: Any
    lines: Sequence[Any]
    after: dict[str, Any]
    exempt: bool


async def _read(tx: Tx, request: Wanted, asked: Looking | None = None) -> _Wish:
    row = await load(tx, request.order_id)
    if asked is not None:
        visible(asked, row.channel_id)
    lines = await tx.find(LINES, ("order_id",), [(request.order_id,)], order=("position",))
    customers = await tx.find(CUSTOMERS, ("customer_id",), [(row.customer_id,)]) if row.customer_id else ()
    return _Wish(row, lines, _after(row, lines, request), any(customer.tax_exemption for customer in customers))


def _after(row: Any, lines: Sequence[Any], request: Wanted) -> dict[str, Any]:
    """Returns what the order would say; raises where nothing changes, or where it is too late."""
    if row.status not in OPEN or any(line.shipped or line.cancelled for line in lines):
        raise FailedPrecondition(
            "TOO_LATE", "units of the order have shipped or are cancelled; open a return, or place another", field="order_id"
        )
    before = json.loads(row.ship_to)
    ship_to = MessageToDict(request.ship_to, preserving_proto_field_name=True) if request.HasField("ship_to") else before
    if not ship_to.get("country_code"):
        raise InvalidArgument("INVALID_FIELD", "ship_to.country_code: name the country", field="ship_to.country_code")
    method = request.shipping_method or row.shipping_method
    if (ship_to, method) == (before, row.shipping_method):
        raise FailedPrecondition("NOTHING_CHANGES", "the order goes there and that way already", field="ship_to")
    return {
        "ship_to": ship_to, "country_code": ship_to["country_code"], "region": ship_to.get("region", ""),
        "postal_prefix": ship_to.get("postal_code", "")[:3], "shipping_method": method,
    }  # fmt: skip


async def change_order(work: Work, call: Call) -> OrderChange:
    """Refusals: NO_SUCH_ORDER, ETAG_MISMATCH, NOTHING_CHANGES, TOO_LATE, CHANGES_ALREADY."""
    request, impact = call.request, call.context
    if isinstance(impact, Refusal):
        raise impact
    row = await load(work.tx, request.order_id, lock=True)
    need_unchanged(request.etag, row.version)
    before, after = shown(impact.total_before_minor, row.currency_code), shown(impact.total_after_minor, row.currency_code)
    summary = f"order {row.external_order_id} of {row.channel_id} changes: {before} → {after}. {request.reason}"
    weight = Weight("order", row.order_id, summary, abs(impact.total_after_minor - impact.total_before_minor), row.currency_code)
    approval_id = await need_approval(work, CHANGE, request, weight)
    if not approval_id:
        return await carry_out(work, request)
    return OrderChange(order_id=row.order_id, status=WAITING, reason=request.reason, approval_id=approval_id)  # type: ignore[arg-type]


async def carry_out(work: Work, request: changes_service_pb2.ChangeOrderRequest) -> OrderChange:
    """Refusals: NO_SUCH_ORDER, NOTHING_CHANGES, TOO_LATE, CHANGES_ALREADY."""
    row = await load(work.tx, request.order_id, lock=True)
    lines = await work.tx.find(LINES, ("order_id",), [(request.order_id,)], order=("position",))
    after = _after(row, lines, request)
    pending = select(CHANGES.c.change_id).where(CHANGES.c.order_id == row.order_id, CHANGES.c.status == PENDING)
    if await work.tx.read(pending):
        raise FailedPrecondition("CHANGES_ALREADY", "another change of the order is under way; look again in a moment", field="order_id")
    buyer = buyer_of(row.channel_id, row.customer_id, after["ship_to"])
    signature = signature_of(buyer, [(line.channel_sku, line.ordered // (line.units or 1)) for line in lines]) if buyer else ""
    change = {
        "change_id": new_id(), "order_id": row.order_id, "status": PENDING, "reason": request.reason, "asked_by": work.cause.actor,
        "asked_at": work.now, "decided_at": None, "outcome": "",
        "body": json.dumps(
            {
                "after": {**after, "ship_to": json.dumps(after["ship_to"]), "buyer": buyer, "signature": signature},
                "before": {"ship_to": row.ship_to, "shipping_method": row.shipping_method},
            }
        ),
    }  # fmt: skip
    await work.tx.insert(CHANGES, [change])
    work.deliver(fulfil_order.NAME, row.order_id, ChangeRequested(change["change_id"]))
    return _message(SimpleNamespace(**change))


CHANGE = ApprovalKind(
    "orders.change", "Changes of orders after placement, by how much their price changes", "orders.orders.approve",
    changes_service_pb2.ChangeOrderRequest, carry_out, LIMIT_MINOR, personal=True,
)  # fmt: skip


async def settle(work: Work, order: dict[str, Any], change_id: str, refused: str) -> str:
    """Writes a change into its order, or that it came too late; returns what history says of it."""
    (row,) = await work.tx.find(CHANGES, ("change_id",), [(change_id,)])
    status = REFUSED if refused else APPLIED
    decided = {"change_id": change_id, "status": status, "decided_at": work.now, "outcome": refused}
    await work.tx.change(CHANGES, ("change_id",), [decided])
    if refused:
        return refused
    order.update(json.loads(row.body)["after"])
    destination = address_pb2.Destination(country_code=order["country_code"], region=order["region"], postal_prefix=order["postal_prefix"])
    work.emit(
        orders_events_pb2.OrderChanged(
            order_id=order["order_id"], channel_id=order["channel_id"], change_id=change_id, destination=destination,
            shipping_method=order["shipping_method"],
        )
    )  # fmt: skip
    return f"{row.asked_by}: {row.reason}"


async def list_changes(asked: Asked) -> changes_service_pb2.ListChangesResponse:
    """Lists newest first. Refusals: NO_SUCH_ORDER."""
    order = await load(asked.tx, asked.request.order_id)
    visible(asked, order.channel_id)
    query = select(CHANGES).where(CHANGES.c.order_id == order.order_id)
    rows, token = await page(asked.tx, query, [CHANGES.c.change_id], asked.request, descending=True)
    return changes_service_pb2.ListChangesResponse(changes=map(_message, rows), next_page_token=token)


def _message(row: Any) -> OrderChange:
    body = json.loads(row.body)
    after, before = body["after"], body["before"]
    return OrderChange(
        change_id=row.change_id, order_id=row.order_id, status=row.status,
        address_changed=json.loads(after["ship_to"]) != json.loads(before["ship_to"]),
        shipping_method=after["shipping_method"] if after["shipping_method"] != before["shipping_method"] else "",
        reason=row.reason, asked_by=row.asked_by, asked_at=to_timestamp(row.asked_at), outcome=row.outcome,
        decided_at=to_timestamp(row.decided_at) if row.decided_at is not None else None,
    )  # fmt: skip
