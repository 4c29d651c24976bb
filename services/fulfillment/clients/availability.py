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
    # What of it is kept back from a shipping method: (item, location, method) → stock units; from any other where empty.
    kept_back: Mapping[tuple[str, str, str], int]


class Availability:
    """What can be promised of items. One picture serves a whole batch, so that its plans do not promise twice."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def of(self, item_ids: Iterable[str], methods: Iterable[str]) -> Picture:
        """Returns what is promised of items now, by these shipping methods."""
        items, named = sorted(set(item_ids)), sorted(set(methods) - {""})
        stub = StockServiceStub(self._channels.to("inventory"))
        stock, locations, kept_back = {}, {}, {}
        for start in range(0, len(items), MOST_ITEMS):
            chunk = items[start : start + MOST_ITEMS]
            answer = await stub.GetAvailability(stock_service_pb2.GetAvailabilityRequest(item_ids=chunk, shipping_methods=named))
            for item in answer.items:
                for one in item.locations:
                    by_method = {"": one.available_to_promise, **one.available_by_method}
                    most = stock[item.item_id, one.location_id] = max(by_method.values())
                    for method, units in by_method.items() if len(by_method) > 1 else ():
                        kept_back[item.item_id, one.location_id, method] = most - units
                    if one.location_id not in locations:
                        kind = stock_pb2.LocationKind.Name(one.kind).removeprefix("LOCATION_KIND_")
                        locations[one.location_id] = Location(one.location_id, kind, one.country_code, one.entity)
        return Picture(stock, locations, kept_back)
