"""Asks orders how often a channel's SKU was ordered."""

from collections.abc import Sequence
from typing import Any

from argosy.orders.v1 import orders_service_pb2
from argosy.orders.v1.orders_service_pb2_grpc import OrdersServiceStub
from chassis.kernel.errors import Refusal
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database

DAYS = 28


class SkuUse:
    """What a change of a channel's SKU would have touched."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def of(self, channel_id: str, channel_sku: str, days: int) -> orders_service_pb2.SkuUse:
        """Returns how often a SKU was ordered in the last days."""
        request = orders_service_pb2.GetSkuUseRequest(channel_id=channel_id, channel_sku=channel_sku, days=days)
        return await OrdersServiceStub(self._channels.to("orders")).GetSkuUse(request)

    async def prepare(self, requests: Sequence[Any], _: Database) -> Sequence[orders_service_pb2.SkuUse | str]:
        """Returns the use of each request's SKU; where orders do not answer, why: a proposal then says so."""
        found: list[orders_service_pb2.SkuUse | str] = []
        for request in requests:
            try:
                found.append(await self.of(request.channel_id, request.channel_sku, DAYS))
            except Refusal as refusal:
                found.append(refusal.message)
        return found
