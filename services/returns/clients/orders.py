"""Asks orders for the lines of the orders that goods come back from, and for the money."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from argosy.orders.v1 import orders_service_pb2
from argosy.orders.v1.orders_service_pb2_grpc import OrdersServiceStub
from chassis.kernel.errors import Refusal
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database
from chassis.runtime.effects import Effect
from chassis.runtime.status import from_status
from services.returns.process.settle_return import Refunded, RefundRefused


class Orders:
    """The orders service, as returns needs it."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def prepare(self, requests: Sequence[Any], _: Database) -> Sequence[Any]:
        """Returns the order of each request, with lines; an empty message where there is none."""
        ids = [request.order_id for request in requests]
        answer = await OrdersServiceStub(self._channels.to("orders")).GetOrderLines(orders_service_pb2.GetOrderLinesRequest(order_ids=ids))
        return list(answer.orders)

    async def refund(self, effects: Sequence[Effect], database: Database) -> Sequence[Struct | None]:
        """Asks for the refunds of many returns in one call."""
        del database
        batch = orders_service_pb2.BatchRefundOrderRequest()
        for effect in effects:
            asked = effect.asked
            lines = [orders_service_pb2.LineQuantity(line_id=line.line_id, quantity=line.quantity) for line in asked.lines]
            batch.requests.add(
                request_id=effect.request_id, order_id=asked.order_id, return_id=asked.return_id, lines=lines,
                include_shipping=asked.include_shipping, reason="return",
            )  # fmt: skip
        answer = await OrdersServiceStub(self._channels.to("orders")).BatchRefundOrder(batch, timeout=30)
        return [_told(result) for result in answer.results]


def _told(result: Any) -> Struct | None:
    if result.HasField("response"):
        return Refunded(result.response.amount_minor)
    refusal: Refusal = from_status(result.error)
    return None if refusal.transient else RefundRefused(f"{refusal.reason}: {refusal.message}")
