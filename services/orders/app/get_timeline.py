"""GetTimeline: everything that happened to an order, in every service, and its story in sentences."""

import asyncio
import json
from typing import Any

from argosy.fulfillment.v1 import fulfillment_pb2
from argosy.gateway.v1 import notices_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from argosy.returns.v1 import returns_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.money import shown
from chassis.kernel.words import counted
from chassis.runtime.channels import Channels
from chassis.runtime.pipeline import Looking
from chassis.runtime.tx import Tx
from services.orders.app.views import visible, whole
from services.orders.clients.others import Others
from services.orders.domain.story import Moment, Told, tell
from services.orders.store.tables import CHASSIS, HISTORY, JUDGEMENTS, REFUNDS

ORDER = ("order_id",)
# What history tells of these is an amount in minor units.
AMOUNTS = {"TENDER_ADDED", "CAPTURED_PAYMENT", "VOIDED_PAYMENT", "REFUND_PAID"}


class Timelines:
    """Timelines over all services."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def get_timeline(self, asked: Looking) -> orders_service_pb2.Timeline:
        """Refusals: NO_SUCH_ORDER."""
        async with asked.database.read() as tx:
            order = await whole(tx, asked.request.order_id)
            visible(asked, order.channel_id)
            own = await _own(tx, order)
        others = Others(self._channels)
        (decisions, work, parcels), returns, notices = await asyncio.gather(
            others.fulfillment(order.order_id), others.returns(order.order_id), others.notices(order.order_id)
        )
        moments = [
            *own,
            *map(_decision, decisions),
            *(moment for one in work for moment in _work(one)),
            *(moment for one in parcels for moment in _parcel(one)),
            *map(_return, returns),
            *map(_notice, notices),
        ]
        moments.sort(key=lambda one: (one.at, one.entry_id))
        sentences = tell(_told(order), moments)
        return orders_service_pb2.Timeline(
            order_id=order.order_id, entries=map(_entry, moments), missing=others.missing,
            story=[orders_service_pb2.StorySentence(text=text, entry_ids=ids) for text, ids in sentences],
        )  # fmt: skip


def _told(order: order_pb2.Order) -> Told:
    status = order_pb2.OrderStatus.Name(order.status).removeprefix("ORDER_STATUS_")
    counts = {name: sum(getattr(line, name) for line in order.lines) for name in ("ordered", "waiting", "reserved", "released")}
    open_units = {"waiting": counts["waiting"], "reserved": counts["reserved"] - counts["released"], "with a location": counts["released"]}
    return Told(
        order.external_order_id, order.channel_id, shown(order.total_minor, order.currency_code), counts["ordered"], len(order.lines),
        status, open_units, order.expected_by.ToMicroseconds() if order.HasField("expected_by") else None,
    )  # fmt: skip


async def _own(tx: Tx, order: order_pb2.Order) -> list[Moment]:
    key = [(order.order_id,)]
    moments = []
    for row in await tx.find(HISTORY, ORDER, key):
        detail = shown(int(row.detail), order.currency_code) if row.kind in AMOUNTS else row.detail
        text = f"{_words(row.kind)}: {detail}" if detail else _words(row.kind)
        moments.append(Moment(row.entry_id, row.at, "orders", row.kind, text, row.actor, "order", order.order_id, {"detail": detail}))
    for row in await tx.find(JUDGEMENTS, ORDER, key):
        found = [one[0] for one in json.loads(row.found)]
        text = f"Judged by rules {row.version}: {', '.join(sorted(found)) or 'none held'}"
        moments.append(Moment(row.judgement_id, row.judged_at, "orders", "JUDGED", text, "rules", "judgement", row.judgement_id))
    for row in await tx.find(REFUNDS, ORDER, key):
        amount = shown(row.amount_minor, order.currency_code)
        facts = {"amount": amount, "reason": row.reason}
        text = f"Refund of {amount}, {row.state}: {row.reason}"
        moments.append(Moment(row.refund_id, row.created_at, "orders", "REFUND", text, "", "refund", row.refund_id, facts))
    for row in await tx.find(CHASSIS.holds, ("subject_id",), key):
        text = f"{row.reason} in queue {row.queue} for {row.owner or row.owner_role}, due by {to_timestamp(row.due_at).ToJsonString()}"
        moments.append(Moment(row.hold_id, row.raised_at, "orders", "QUEUED", text, "", "hold", row.hold_id))
    return moments


def _decision(one: fulfillment_pb2.Decision) -> Moment:
    where = ", ".join(sorted({part.location_id for part in one.assignments})) or "nowhere"
    short = sum(part.quantity for part in one.short)
    text = f"Sourced from {where} by policy {one.policy_version}, {counted(len(one.candidates), 'plan')} compared" + (
        f"; {short} short" if short else ""
    )
    return Moment(one.decision_id, one.decided_at.ToMicroseconds(), "fulfillment", "SOURCED", text, "sourcing", "decision", one.decision_id)


def _work(one: fulfillment_pb2.FulfillmentOrder) -> list[Moment]:
    units = sum(line.quantity for line in one.lines)
    own = (one.fulfillment_order_id, one.created_at.ToMicroseconds(), "fulfillment")
    about = ("", "fulfillment_order", one.fulfillment_order_id)
    told = Moment(*own, "TOLD", f"{one.location_id} was told to {'keep' if one.pickup else 'ship'} {counted(units, 'unit')}", *about)
    if not one.HasField("ready_at"):
        return [told]
    name, at = f"{one.fulfillment_order_id}/ready", one.ready_at.ToMicroseconds()
    text = f"It waits at {one.location_id} for the customer, until {one.collect_by.ToJsonString()[:10]}"
    return [told, Moment(name, at, "fulfillment", "READY_FOR_PICKUP", text, *about, {"location_id": one.location_id})]


def _parcel(one: fulfillment_pb2.Shipment) -> list[Moment]:
    units = sum(line.quantity for line in one.lines)
    facts = {
        "units": units, "location_id": one.location_id, "carrier": one.carrier,
        "tracking_number": one.tracking_number, "collected": not one.carrier and one.HasField("delivered_at"),
    }  # fmt: skip
    freight = shown(one.freight_minor, one.currency_code)
    text = f"Parcel with {counted(units, 'unit')} left {one.location_id} with {one.carrier or 'no carrier'}, {freight}"
    left = Moment(
        one.shipment_id, one.shipped_at.ToMicroseconds(), "fulfillment", "PARCEL", text, one.location_id, "shipment", one.shipment_id, facts
    )
    if not one.HasField("delivered_at"):
        return [left]
    name = f"{one.shipment_id}/arrived"
    at = one.delivered_at.ToMicroseconds()
    return [left, Moment(name, at, "fulfillment", "ARRIVED", "The parcel arrived", one.carrier, "shipment", one.shipment_id)]


def _return(one: Any) -> Moment:
    status = returns_service_pb2.ReturnStatus.Name(one.status).removeprefix("RETURN_STATUS_")
    at = one.created_at.ToMicroseconds()
    return Moment(one.return_id, at, "returns", "RETURN", f"Return, {status}", "", "return", one.return_id, {"status": status})


def _notice(one: Any) -> Moment:
    what = notices_service_pb2.NoticeKind.Name(one.kind).removeprefix("NOTICE_KIND_").lower().replace("_", " ")
    text = f"The customer was told, in {one.language}: {what}"
    return Moment(
        one.notice_id, one.sent_at.ToMicroseconds(), "gateway", "TOLD_CUSTOMER", text, "", "notice", one.notice_id, {"what": what}
    )


def _words(kind: str) -> str:
    return kind.replace("_", " ").capitalize()


def _entry(moment: Moment) -> orders_service_pb2.TimelineEntry:
    return orders_service_pb2.TimelineEntry(
        entry_id=moment.entry_id, at=to_timestamp(moment.at), service=moment.service, kind=moment.kind, text=moment.text,
        actor=moment.actor, subject_type=moment.subject_type, subject_id=moment.subject_id,
    )  # fmt: skip
