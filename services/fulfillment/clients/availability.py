"""Asks inventory what can be promised, for all orders of a batch at once."""

from collections.abc import Sequence
from typing import Any

from argosy.inventory.v1 import stock_service_pb2
from argosy.inventory.v1.stock_service_pb2_grpc import StockServiceStub
from chassis.runtime.channels import Channels

MOST_ITEMS = 2000


class Availability:
    """What can be promised of items. One picture serves a whole batch, so that its plans do not promise twice."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def prepare(self, requests: Sequence[Any]) -> Sequence[dict[str, list[Any]]]:
        """Returns, for each request, the batch's picture: item → locations."""
        items = sorted({line.item_id for request in requests for line in request.lines})
        stub = StockServiceStub(self._channels.to("inventory"))
        picture: dict[str, list[Any]] = {}
        for start in range(0, len(items), MOST_ITEMS):
            chunk = items[start : start + MOST_ITEMS]
            answer = await stub.GetAvailability(stock_service_pb2.GetAvailabilityRequest(item_ids=chunk))
            picture.update({item.item_id: list(item.locations) for item in answer.items})
        return [picture] * len(requests)
