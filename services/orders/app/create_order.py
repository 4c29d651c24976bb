"""CreateOrder: takes orders, many at once. The same channel and number again is the same order, or is refused."""

import hashlib
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from google.protobuf.json_format import MessageToDict

from argosy.orders.v1 import order_pb2, orders_events_pb2, orders_service_pb2
from chassis.kernel.clock import from_timestamp
from chassis.kernel.errors import AlreadyExists, InvalidArgument, NotFound, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.orders.app.views import to_order, whole
from services.orders.domain.amounts import Priced, spread_discount
from services.orders.domain.buyers import buyer_of, signature_of
from services.orders.domain.status import Status
from services.orders.process import fulfil_order
from services.orders.process.messages import Placed
from services.orders.process.order_state import Line, State
from services.orders.store.tables import HISTORY, LINES, ORDERS, PAYMENT_REFERENCES, TENDERS

Natural = tuple[str, str]
PROVIDER = order_pb2.PAYMENT_ADAPTER_PROVIDER


async def create_orders(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each with its order or a Refusal: NO_SUCH_CHANNEL for who may not see it, INVALID_FIELD, ORDER_EXISTS."""
    known = await _known(work, sorted({_natural(call.request) for call in calls}))
    fresh = _Fresh()
    outcomes: list[Outcome] = []
    for call in calls:
        work.cause = call.cause
        request = call.request
        if not call.principal.sees(request.channel_id):
            outcomes.append(NotFound("NO_SUCH_CHANNEL", f"there is no channel {request.channel_id}", field="channel_id"))
            continue
        content = _content_hash(request)
        before = known.get(_natural(request))
        if before is not None:
            outcomes.append(await _again(work, before, content, fresh))
            continue
        try:
            order = _take(work, request, content, fresh)
        except Refusal as refusal:
            outcomes.append(refusal)
            continue
        known[_natural(request)] = (order.order_id, content)
        outcomes.append(order)
    await work.tx.insert(ORDERS, fresh.orders)
    await work.tx.insert(LINES, fresh.lines)
    await work.tx.insert(TENDERS, fresh.tenders)
    await work.tx.insert(
        PAYMENT_REFERENCES, [reference_of(one) for one in fresh.tenders if one["adapter"] == PROVIDER and one["reference"]]
    )
    await work.tx.insert(HISTORY, fresh.history)
    return outcomes


def reference_of(tender: dict[str, Any]) -> dict[str, Any]:
    """Returns by which name a provider speaks of a tender's payment."""
    return {"reference": tender["reference"], "tender_id": tender["tender_id"]}


class _Fresh:
    """Rows to be written, and the orders they make."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []
        self.tenders: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []
        self.made: dict[str, order_pb2.Order] = {}


def _natural(request: orders_service_pb2.CreateOrderRequest) -> Natural:
    return (request.channel_id, request.external_order_id)


def _content_hash(request: orders_service_pb2.CreateOrderRequest) -> str:
    content = orders_service_pb2.CreateOrderRequest()
    content.CopyFrom(request)
    content.ClearField("request_id")
    return hashlib.sha256(content.SerializeToString(deterministic=True)).hexdigest()


async def _known(work: Work, keys: list[Natural]) -> dict[Natural, tuple[str, str]]:
    natural = ("channel_id", "external_order_id")
    rows = await work.tx.find(ORDERS, natural, keys, only=(*natural, "order_id", "content_hash"))
    return {(r.channel_id, r.external_order_id): (r.order_id, r.content_hash) for r in rows}


async def _again(work: Work, before: tuple[str, str], content: str, fresh: _Fresh) -> Outcome:
    if before[1] != content:
        text = "the channel has an order of this number with other contents; change that one instead"
        return AlreadyExists("ORDER_EXISTS", text, field="external_order_id", order_id=before[0])
    return fresh.made[before[0]] if before[0] in fresh.made else await whole(work.tx, before[0])


def _take(work: Work, request: orders_service_pb2.CreateOrderRequest, content: str, fresh: _Fresh) -> order_pb2.Order:
    priced = _priced(request)
    order_id = new_id()
    buyer = buyer_of(request.channel_id, request.customer_id, _address(request))
    captured = sum(t.amount_minor for t in request.tenders if t.state == order_pb2.TENDER_STATE_CAPTURED)
    total = sum(line.total_minor for line in priced) + request.shipping_minor + request.shipping_tax_minor
    order: dict[str, Any] = {
        "order_id": order_id, "channel_id": request.channel_id, "external_order_id": request.external_order_id,
        "content_hash": content, "customer_id": request.customer_id, "entity": request.entity,
        "currency_code": request.currency_code, "status": int(Status.PENDING), "country_code": request.ship_to.country_code,
        "region": request.ship_to.region, "postal_prefix": request.ship_to.postal_code[:3],
        "ship_to": json.dumps(_address(request)), "note": request.note, "buyer": buyer,
        "signature": signature_of(buyer, [(line.channel_sku, line.quantity) for line in request.lines]) if buyer else "",
        "shipping_method": request.shipping_method, "language": request.language,
        "pickup_location_id": request.pickup_location_id, "hints": "", "payment_days": 0, "pay_by": None,
        "ship_by": from_timestamp(request.ship_by) if request.HasField("ship_by") else None,
        "promised_by": from_timestamp(request.promised_by) if request.HasField("promised_by") else None, "expected_by": None,
        "cart_id": request.cart_id, "shipping_minor": request.shipping_minor,
        "shipping_tax_minor": request.shipping_tax_minor, "tax_charged": int(request.tax_charged), "total_minor": total,
        "captured_minor": captured, "refunded_minor": 0, "deposits_minor": captured, "receivable_minor": 0,
        "shipping_refunded": 0, "shortage_policy": request.shortage_policy or order_pb2.SHORTAGE_POLICY_SHIP_AVAILABLE,
        "version": 1, "created_at": work.now,
        "placed_at": from_timestamp(request.placed_at) if request.HasField("placed_at") else work.now,
    }  # fmt: skip
    lines = [
        new_line(order_id, index, given.channel_sku, given.external_line_id or str(index), amounts)
        for index, (given, amounts) in enumerate(zip(request.lines, priced, strict=True))
    ]
    tenders = [new_tender(order_id, given) for given in request.tenders]
    fresh.orders.append(order)
    fresh.lines += lines
    fresh.tenders += tenders
    fresh.history.append(
        {"entry_id": new_id(), "order_id": order_id, "at": work.now, "kind": "CAPTURED", "detail": "", "actor": work.cause.actor}
    )
    _say(work, order, tenders)
    state = State(order_id, order["shortage_policy"], {line["line_id"]: Line(0, line["ordered"]) for line in lines})
    work.start(fulfil_order.NAME, order_id, state, Placed())
    rows = [[SimpleNamespace(**row) for row in given] for given in (lines, tenders)]
    fresh.made[order_id] = to_order(SimpleNamespace(**order), *rows)
    return fresh.made[order_id]


def _address(request: orders_service_pb2.CreateOrderRequest) -> dict[str, Any]:
    return MessageToDict(request.ship_to, preserving_proto_field_name=True)


def _priced(request: orders_service_pb2.CreateOrderRequest) -> list[Priced]:
    """Returns the lines' amounts with the order's discount spread over them; raises InvalidArgument."""
    priced = []
    for index, line in enumerate(request.lines):
        if line.discount_minor > line.amount_minor:
            name = f"lines[{index}].discount_minor"
            raise InvalidArgument("INVALID_FIELD", f"{name}: is more than the line costs", field=name)
        tax = line.tax_minor if request.tax_charged else 0
        priced.append(Priced(line.quantity, line.amount_minor, line.discount_minor, tax))
    if request.discount_minor > sum(line.amount_minor - line.discount_minor for line in priced):
        raise InvalidArgument("INVALID_FIELD", "discount_minor: is more than the lines cost", field="discount_minor")
    if not request.tax_charged and request.shipping_tax_minor:
        raise InvalidArgument("INVALID_FIELD", "shipping_tax_minor: must be 0 where tax_charged is not set", field="shipping_tax_minor")
    return spread_discount(priced, request.discount_minor)


def new_line(order_id: str, position: int, channel_sku: str, external_line_id: str, amounts: Priced) -> dict[str, Any]:
    """Returns a line's row; what its SKU means is not known yet."""
    return {
        "line_id": new_id(), "order_id": order_id, "position": position, "channel_sku": channel_sku,
        "external_line_id": external_line_id, "item_id": "", "sku": "", "units": 1, "tax_class": "",
        "weight_g": 0, "list_price_minor": -1, "price_includes_tax": 0, "restricted": 0, "hazmat_class": "", "export_control_class": "",
        "ordered": amounts.units, "waiting": amounts.units, "backordered": 0, "reserved": 0, "released": 0, "shipped": 0,
        "cancelled": 0, "returned": 0, "refunded": 0, "amount_minor": amounts.amount_minor,
        "discount_minor": amounts.discount_minor, "tax_minor": amounts.tax_minor, "shipped_at": None,
        "sellable_from": 0, "settled": 0,
    }  # fmt: skip


def new_tender(order_id: str, given: orders_service_pb2.TenderInput) -> dict[str, Any]:
    """Returns a tender's row."""
    captured = given.amount_minor if given.state == order_pb2.TENDER_STATE_CAPTURED else 0
    return {
        "tender_id": new_id(), "order_id": order_id, "method": given.method, "state": given.state,
        "adapter": given.adapter or order_pb2.PAYMENT_ADAPTER_CHANNEL, "amount_minor": given.amount_minor,
        "captured_minor": captured, "refunded_minor": 0, "reference": given.reference, "capturing_minor": 0, "refunding_minor": 0,
        "renewing": 0,
        "expires_at": from_timestamp(given.expires_at) if given.HasField("expires_at") else None,
    }  # fmt: skip


def _say(work: Work, order: dict[str, Any], tenders: list[dict[str, Any]]) -> None:
    about = {name: order[name] for name in ("order_id", "channel_id", "entity", "currency_code")}
    work.emit(orders_events_pb2.OrderPlaced(**about, external_order_id=order["external_order_id"], total_minor=order["total_minor"]))
    for tender in tenders:
        if tender["captured_minor"]:
            amount = tender["captured_minor"]
            work.emit(
                orders_events_pb2.TenderCaptured(**about, tender_id=tender["tender_id"], amount_minor=amount, to_deposits_minor=amount)
            )
