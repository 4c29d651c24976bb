"""The effects of `take_order`: orders are asked, placed, paid, cancelled and refunded, returns opened, many in one call."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from google.protobuf import json_format
from msgspec import Struct

from argosy.fulfillment.v1 import fulfillment_service_pb2
from argosy.fulfillment.v1.fulfillment_service_pb2_grpc import FulfillmentServiceStub
from argosy.orders.v1 import order_pb2, orders_service_pb2
from argosy.orders.v1.orders_service_pb2_grpc import OrdersServiceStub
from argosy.returns.v1 import returns_service_pb2
from argosy.returns.v1.returns_service_pb2_grpc import ReturnsServiceStub
from chassis.kernel.errors import NotFound, Refusal
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database
from chassis.runtime.effects import Effect
from chassis.runtime.status import from_status
from gateway.process import take_order as t

LONG_S = 30
# What is true already needs nothing more.
TRUE_ALREADY = {"RejectFulfillmentOrder": ("NOTHING_LEFT", "REJECTED_ALREADY")}
UNPAID = (order_pb2.TENDER_STATE_PENDING, order_pb2.TENDER_STATE_AUTHORISED)
Answers = Sequence[Struct | None]


class CarryOut:
    """Performs the effects."""

    def __init__(self, channels: Channels) -> None:
        self._orders = OrdersServiceStub(channels.to("orders"))
        self._fulfillment = FulfillmentServiceStub(channels.to("fulfillment"))
        self._returns = ReturnsServiceStub(channels.to("returns"))

    async def ask_order(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Asks for orders by their numbers."""
        del database

        async def find(effect: Effect) -> Struct:
            asked = effect.asked
            request = orders_service_pb2.FindOrderRequest(channel_id=asked.channel_id, external_order_id=asked.external_order_id)
            try:
                return _known(await self._orders.FindOrder(request))
            except NotFound:
                return t.OrderUnknown()

        return await each(effects, find)

    async def place(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Places orders; one that is there already, whatever its contents, is known."""
        del database
        batch = orders_service_pb2.BatchCreateOrderRequest()
        answers: list[Struct | None] = [None] * len(effects)
        asked = []
        for index, effect in enumerate(effects):
            request = orders_service_pb2.CreateOrderRequest()
            try:
                json_format.Parse(effect.asked.order, request)
            except json_format.ParseError as error:
                answers[index] = t.Refused(f"INVALID_FIELD: {error}")
                continue
            request.request_id = effect.request_id
            batch.requests.append(request)
            asked.append(index)
        if not asked:
            return answers
        answer = await self._orders.BatchCreateOrder(batch, timeout=LONG_S)
        for index, result in zip(asked, answer.results, strict=True):
            if result.HasField("response"):
                answers[index] = _known(result.response)
                continue
            refusal = from_status(result.error)
            if refusal.reason == "ORDER_EXISTS":
                order = await self._orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=refusal.metadata["order_id"]))
                answers[index] = _known(order)
            elif not refusal.transient:
                answers[index] = _refused(refusal)
        return answers

    async def capture(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Tells orders that tenders were paid."""
        del database

        async def capture(effect: Effect) -> Struct:
            asked = effect.asked
            request = orders_service_pb2.CaptureTenderRequest(
                request_id=effect.request_id, order_id=asked.order_id, tender_id=asked.tender_id
            )
            await self._orders.CaptureTender(request)
            return t.Done()

        return await each(effects, capture)

    async def record(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Tells orders what a provider says of payments."""
        del database
        return await each(effects, partial(_pass_on, orders_service_pb2.RecordPaymentEventRequest, self._orders.RecordPaymentEvent))

    async def track(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Tells fulfillment what a carrier says of parcels."""
        del database
        return await each(effects, partial(_pass_on, fulfillment_service_pb2.RecordTrackingRequest, self._fulfillment.RecordTracking))

    async def tell(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Tells fulfillment what warehouses say."""
        del database

        async def tell(effect: Effect) -> Struct:
            asked = effect.asked
            request = getattr(fulfillment_service_pb2, f"{asked.rpc}Request")()
            json_format.Parse(asked.request, request)
            request.request_id = effect.request_id
            try:
                await getattr(self._fulfillment, asked.rpc)(request)
            except NotFound as refusal:
                if refusal.reason != "NO_SUCH_FULFILLMENT_ORDER":
                    raise
                return t.OrderUnknown()
            except Refusal as refusal:
                if refusal.reason not in TRUE_ALREADY.get(asked.rpc, ()):
                    raise
            return t.Done()

        return await each(effects, tell)

    async def cancel(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Cancels units, or all that is open."""
        del database

        async def cancel(effect: Effect) -> Struct:
            asked = effect.asked
            request = orders_service_pb2.CancelOrderRequest(
                request_id=effect.request_id, order_id=asked.order_id, lines=_quantities(asked.lines), reason=_reason(asked.reason)
            )
            await self._orders.CancelOrder(request)
            return t.Done()

        return await each(effects, cancel)

    async def refund(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Refunds units that shipped."""
        del database
        batch = orders_service_pb2.BatchRefundOrderRequest()
        for effect in effects:
            asked = effect.asked
            batch.requests.add(
                request_id=effect.request_id, order_id=asked.order_id, lines=_quantities(asked.lines), reason=_reason(asked.reason)
            )
        answer = await self._orders.BatchRefundOrder(batch, timeout=LONG_S)
        answers: list[Struct | None] = []
        for result in answer.results:
            if result.HasField("response"):
                answers.append(t.Done(result.response.amount_minor))
            else:
                refusal = from_status(result.error)
                answers.append(None if refusal.transient else _refused(refusal))
        return answers

    async def open_return(self, effects: Sequence[Effect], database: Database) -> Answers:
        """Lets returns expect units."""
        del database

        async def authorise(effect: Effect) -> Struct:
            asked = effect.asked
            lines = [
                returns_service_pb2.ReturnLineInput(line_id=line_id, quantity=quantity, reason="CHANNEL")
                for line_id, quantity in asked.lines.items()
            ]
            request = returns_service_pb2.AuthorizeReturnRequest(
                request_id=effect.request_id, order_id=asked.order_id, location_id=asked.location_id, lines=lines
            )
            answer = await self._returns.AuthorizeReturn(request)
            if answer.status == returns_service_pb2.RETURN_STATUS_DECLINED:
                return t.Refused(f"RETURN_DECLINED: {answer.declined_reason}")
            return t.Done()

        return await each(effects, authorise)


async def _pass_on(kind: type[Any], call: Callable[[Any], Awaitable[Any]], effect: Effect) -> Struct:
    """Tells what was said; of a payment or parcel that nobody knows yet, it is told again."""
    request = kind()
    json_format.Parse(effect.asked.event, request)
    request.request_id = effect.request_id
    try:
        await call(request)
    except NotFound:
        return t.OrderUnknown()
    return t.Done()


async def each(effects: Sequence[Effect], ask: Callable[[Effect], Awaitable[Struct | None]]) -> Answers:
    """Asks one by one at the same time: refused for good, answered, or None to ask again."""

    async def answer(effect: Effect) -> Struct | None:
        try:
            return await ask(effect)
        except Refusal as refusal:
            return None if refusal.transient else _refused(refusal)

    return await asyncio.gather(*(answer(effect) for effect in effects))


def _refused(refusal: Refusal) -> t.Refused:
    return t.Refused(f"{refusal.reason}: {refusal.message}")


def _reason(text: str) -> str:
    return text[:500] if len(text) > 1 else "the channel says so"


def _quantities(lines: dict[str, int]) -> list[orders_service_pb2.LineQuantity]:
    return [orders_service_pb2.LineQuantity(line_id=line_id, quantity=quantity) for line_id, quantity in sorted(lines.items())]


def _known(order: Any) -> t.OrderKnown:
    lines = [
        t.KnownLine(
            line.line_id, line.external_line_id, line.ordered, line.waiting + line.reserved, line.shipped - line.refunded, line.cancelled
        )
        for line in order.lines
        if line.ordered
    ]
    return t.OrderKnown(order.order_id, lines, [tender.tender_id for tender in order.tenders if tender.state in UNPAID])
