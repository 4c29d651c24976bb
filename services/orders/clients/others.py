"""What other services know of an order: how it was sourced, its parcels, its returns, what its customer was told."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from argosy.fulfillment.v1 import fulfillment_service_pb2
from argosy.fulfillment.v1.fulfillment_service_pb2_grpc import FulfillmentServiceStub
from argosy.gateway.v1 import notices_service_pb2
from argosy.gateway.v1.notices_service_pb2_grpc import NoticesServiceStub
from argosy.returns.v1 import returns_service_pb2
from argosy.returns.v1.returns_service_pb2_grpc import ReturnsServiceStub
from chassis.kernel.errors import Refusal
from chassis.runtime.channels import Channels

SHOWN = 200
WITHIN_S = 5


class Others:
    """Asks each; one that does not answer is named, so that nobody takes a part for the whole."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self.missing: list[str] = []

    async def fulfillment(self, order_id: str) -> tuple[list[Any], list[Any], list[Any]]:
        """Returns decisions, fulfilment orders and shipments."""
        stub, service = FulfillmentServiceStub(self._channels.to("fulfillment")), "fulfillment"
        decided = fulfillment_service_pb2.ListDecisionsRequest(order_id=order_id, page_size=SHOWN)
        told = fulfillment_service_pb2.ListFulfillmentOrdersRequest(order_id=order_id, page_size=SHOWN)
        left = fulfillment_service_pb2.ListShipmentsRequest(order_id=order_id, page_size=SHOWN)
        decisions, work, parcels = await asyncio.gather(
            self._or_none(service, stub.ListDecisions(decided, timeout=WITHIN_S)),
            self._or_none(service, stub.ListFulfillmentOrders(told, timeout=WITHIN_S)),
            self._or_none(service, stub.ListShipments(left, timeout=WITHIN_S)),
        )
        return (
            list(decisions.decisions) if decisions is not None else [],
            list(work.fulfillment_orders) if work is not None else [],
            list(parcels.shipments) if parcels is not None else [],
        )

    async def returns(self, order_id: str) -> list[Any]:
        """Returns the returns."""
        request = returns_service_pb2.ListReturnsRequest(order_id=order_id, page_size=SHOWN)
        answer = await self._or_none("returns", ReturnsServiceStub(self._channels.to("returns")).ListReturns(request, timeout=WITHIN_S))
        return list(answer.returns) if answer is not None else []

    async def notices(self, order_id: str) -> list[Any]:
        """Returns what the customer was told."""
        request = notices_service_pb2.ListNoticesRequest(order_id=order_id, state=notices_service_pb2.NOTICE_STATE_SENT, page_size=SHOWN)
        answer = await self._or_none("gateway", NoticesServiceStub(self._channels.to("gateway")).ListNotices(request, timeout=WITHIN_S))
        return list(answer.notices) if answer is not None else []

    async def _or_none(self, service: str, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except Refusal:
            if service not in self.missing:
                self.missing.append(service)
            return None
