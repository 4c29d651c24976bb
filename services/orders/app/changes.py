"""PreviewChange, ChangeOrder, ListChanges: an order goes elsewhere, another way or with other lines, until it has left.

Whoever asks is told what it would do. The order's process gives back what is reserved and asks back what is with a location;
when nothing is under way any more the change is applied, and the order is taxed, judged, planned and promised again.
"""

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from google.protobuf.json_format import MessageToDict
from sqlalchemy import select

from argosy.orders.v1 import changes_service_pb2, order_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, Refusal, need_unchanged
from chassis.kernel.ids import new_id
from chassis.kernel.money import shown
from chassis.runtime.approvals import ApprovalKind, Weight, need_approval
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked, Looking
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from chassis.runtime.writer import Call
from services.orders.app.settle_change import PENDING, lines_of
from services.orders.app.views import load, visible
from services.orders.clients.impact import Impacts, Wish
from services.orders.domain.amounts import shipping_open, shipping_shipped
from services.orders.domain.buyers import address_problems, buyer_of, signature_of
from services.orders.domain.line_changes import LineChange, line_changes, open_units
from services.orders.process import fulfil_order
from services.orders.process.messages import ChangeRequested, LineCount
from services.orders.store.tables import CHANGES, CUSTOMERS, LINES

Impact = changes_service_pb2.ChangeImpact
OrderChange = changes_service_pb2.OrderChange
OPEN = (
    order_pb2.ORDER_STATUS_PENDING, order_pb2.ORDER_STATUS_OPEN, order_pb2.ORDER_STATUS_ON_HOLD, order_pb2.ORDER_STATUS_PARTIALLY_SHIPPED,
)  # fmt: skip
# What the price may change by without another person, in minor units.
LIMIT_MINOR = 5000
Wanted = changes_service_pb2.PreviewChangeRequest | changes_service_pb2.ChangeOrderRequest


class Changes:
    """Changes, with what others say of them."""

    def __init__(self, channels: Channels) -> None:
        self._impacts = Impacts(channels)

    async def preview_change(self, asked: Looking) -> Impact:
        """Refusals: NO_SUCH_ORDER, INVALID_FIELD, NOTHING_CHANGES, NOTHING_LEFT, TOO_LATE, UNKNOWN_SKU."""
        async with asked.database.read() as tx:
            wish = await wish_of(tx, asked.request, asked)
        return await self._impact(wish)

    async def prepare(self, requests: Sequence[Any], database: Database) -> Sequence[Impact | Refusal]:
        """Returns what each change would do, or why it cannot be."""
        found: list[Impact | Refusal] = []
        for request in requests:
            try:
                async with database.read() as tx:
                    wish = await wish_of(tx, request)
                found.append(await self._impact(wish))
            except Refusal as refusal:
                found.append(refusal)
        return found

    async def _impact(self, wish: Wish) -> Impact:
        impact = await self._impacts.of(wish)
        impact.address_problems.extend(address_problems(wish.after["ship_to"]))
        impact.recalled_units = sum(line.released for line in wish.lines)
        return impact


async def wish_of(tx: Tx, request: Wanted, asked: Looking | None = None) -> Wish:
    """Returns what an order would be by a change; raises where nothing changes, or where it is too late."""
    row = await load(tx, request.order_id)
    if asked is not None:
        visible(asked, row.channel_id)
    lines = await tx.find(LINES, ("order_id",), [(request.order_id,)], order=("position",))
    customers = await tx.find(CUSTOMERS, ("customer_id",), [(row.customer_id,)]) if row.customer_id else ()
    after, changed = _after(row, lines, request)
    return Wish(row, lines, after, changed, customers[0] if customers else None)


def _after(row: Any, lines: Sequence[Any], request: Wanted) -> tuple[dict[str, Any], list[LineChange]]:
    """Returns what the order would say, and what becomes of its lines; raises where nothing changes, or where it is too late."""
    if row.status not in OPEN:
        raise FailedPrecondition("TOO_LATE", "nothing of the order is left to ship; open a return, or place another", field="order_id")
    before = json.loads(row.ship_to)
    ship_to = MessageToDict(request.ship_to, preserving_proto_field_name=True) if request.HasField("ship_to") else before
    if not ship_to.get("country_code"):
        raise InvalidArgument("INVALID_FIELD", "ship_to.country_code: name the country", field="ship_to.country_code")
    method = request.shipping_method or row.shipping_method
    rows = [line._mapping for line in lines]
    shipped = shipping_shipped(row._mapping, rows)
    # What was given back with cancelled units is not charged any more.
    before_shipping = shipped.product_minor + shipping_open(row._mapping, rows).product_minor
    shipping = request.shipping_minor if request.HasField("shipping_minor") else before_shipping
    if shipping < shipped.product_minor:
        text = f"{shown(shipped.product_minor, row.currency_code)} were charged with what has shipped; refund that instead"
        raise InvalidArgument("INVALID_FIELD", f"shipping_minor: {text}", field="shipping_minor")
    policy = request.shortage_policy or row.shortage_policy
    changed = line_changes(lines, request.lines, tax_charged=bool(row.tax_charged))
    if not changed and (ship_to, method, shipping, policy) == (before, row.shipping_method, before_shipping, row.shortage_policy):
        raise FailedPrecondition("NOTHING_CHANGES", "the order goes there and that way already, with these lines", field="ship_to")
    after = {
        "ship_to": ship_to, "country_code": ship_to["country_code"], "region": ship_to.get("region", ""),
        "postal_prefix": ship_to.get("postal_code", "")[:3], "shipping_method": method, "shipping_minor": shipping,
        "shortage_policy": policy,
    }  # fmt: skip
    return after, changed


async def change_order(work: Work, call: Call) -> OrderChange:
    """Refusals: NO_SUCH_ORDER, ETAG_MISMATCH, INVALID_FIELD, NOTHING_CHANGES, NOTHING_LEFT, TOO_LATE, UNKNOWN_SKU, CHANGES_ALREADY."""
    request, impact = call.request, call.context
    if isinstance(impact, Refusal):
        raise impact
    row = await load(work.tx, request.order_id, lock=True)
    visible(work, row.channel_id)
    need_unchanged(request.etag, row.version)
    before, after = shown(impact.total_before_minor, row.currency_code), shown(impact.total_after_minor, row.currency_code)
    summary = f"order {row.external_order_id} of {row.channel_id} changes: {before} → {after}. {request.reason}"
    weight = Weight("order", row.order_id, summary, abs(impact.total_after_minor - impact.total_before_minor), row.currency_code)
    approval_id = await need_approval(work, CHANGE, request, weight)
    if not approval_id:
        return await carry_out(work, request)
    return OrderChange(
        order_id=row.order_id, status=changes_service_pb2.CHANGE_STATUS_WAITING, reason=request.reason, approval_id=approval_id
    )


async def carry_out(work: Work, request: changes_service_pb2.ChangeOrderRequest) -> OrderChange:
    """Refusals: NO_SUCH_ORDER, INVALID_FIELD, NOTHING_CHANGES, NOTHING_LEFT, TOO_LATE, CHANGES_ALREADY."""
    row = await load(work.tx, request.order_id, lock=True)
    visible(work, row.channel_id)
    lines = await work.tx.find(LINES, ("order_id",), [(request.order_id,)], order=("position",))
    after, changed = _after(row, lines, request)
    pending = select(CHANGES.c.change_id).where(CHANGES.c.order_id == row.order_id, CHANGES.c.status == PENDING)
    if await work.tx.read(pending):
        raise FailedPrecondition("CHANGES_ALREADY", "another change of the order is under way; look again in a moment", field="order_id")
    gone = sum(line.shipped + line.cancelled for line in lines)
    rests = {line.line_id: new_id() for line in lines if line.shipped and line.waiting + line.reserved}
    buyer = buyer_of(row.channel_id, row.customer_id, after["ship_to"])
    wanted = {line.line_id: (line.channel_sku, open_units(line)) for line in lines}
    wanted |= {one.line_id: (one.channel_sku, one.quantity) for one in changed}
    signature = signature_of(buyer, [one for one in wanted.values() if one[1]]) if buyer else ""
    change = {
        "change_id": new_id(), "order_id": row.order_id, "status": PENDING, "reason": request.reason, "asked_by": work.cause.actor,
        "asked_at": work.now, "decided_at": None, "outcome": "",
        "body": json.dumps(
            {
                "after": {**after, "ship_to": json.dumps(after["ship_to"]), "buyer": buyer, "signature": signature},
                "before": {name: getattr(row, name) for name in ("ship_to", "shipping_method", "shortage_policy")},
                "lines": [one._asdict() for one in changed],
                "rests": rests,
            }
        ),
    }  # fmt: skip
    await work.tx.insert(CHANGES, [change])
    counts = [LineCount(one.line_id, one.quantity) for one in changed]
    asked = ChangeRequested(change["change_id"], counts, request.shortage_policy, gone, rests)
    work.deliver(fulfil_order.NAME, row.order_id, asked)
    return _message(SimpleNamespace(**change))


CHANGE = ApprovalKind(
    "orders.change", "Changes of orders after placement, by how much their price changes", "orders.orders.approve",
    changes_service_pb2.ChangeOrderRequest, carry_out, LIMIT_MINOR, personal=True,
)  # fmt: skip


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
    plain: dict[str, Any] = {name: after[name] for name in ("shipping_method", "shortage_policy") if after.get(name) != before.get(name)}
    return OrderChange(
        change_id=row.change_id, order_id=row.order_id, status=row.status,
        address_changed=json.loads(after["ship_to"]) != json.loads(before["ship_to"]),
        reason=row.reason, asked_by=row.asked_by, asked_at=to_timestamp(row.asked_at), outcome=row.outcome,
        decided_at=to_timestamp(row.decided_at) if row.decided_at is not None else None,
        **plain,
        lines=[
            changes_service_pb2.ChangedLine(
                line_id=one.line_id, channel_sku=one.channel_sku, quantity_before=one.before, quantity=one.quantity,
                amount_minor=one.amount_minor,
            )
            for one in lines_of(body)
        ],
    )  # fmt: skip
