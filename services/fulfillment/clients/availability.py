"""Asks inventory what can be promised, for all orders of a batch at once."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from argosy.inventory.v1 import stock_pb2, stock_service_pb2
from argosy.inventory.v1.stock_service_pb2_grpc import StockServiceStub
from chassis.runtime.channels import Channels
from services.fulfillment.domain.planning import Location

MOST_ITEMS = 2000


class Picture(NamedTuple):
    """What can be promised: (item, location) → stock units; and the locations."""

    stock: dict[tuple[str, str], int]
    locations: Mapping[str, Location]


class Availability:
    """What can be promised of items. One picture serves a whole batch, so that its plans do not promise twice."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def of(self, item_ids: Iterable[str]) -> Picture:
        """Returns what is promised of items now."""
        items = sorted(set(item_ids))
        stub = StockServiceStub(self._channels.to("inventory"))
        stock, locations = {}, {}
        for start in range(0, len(items), MOST_ITEMS):
            answer = await stub.GetAvailability(stock_service_pb2.GetAvailabilityRequest(item_ids=items[start : start + MOST_ITEMS]))
            for item in answer.items:
                for one in item.locations:
                    stock[item.item_id, one.location_id] = one.available_to_promise
                    if one.location_id not in locations:
                        kind = stock_pb2.LocationKind.Name(one.kind).removeprefix("LOCATION_KIND_")
                        locations[one.location_id] = Location(one.location_id, kind, one.country_code, one.entity)
        return Picture(stock, locations)
