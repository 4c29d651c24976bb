"""Asks inventory what can be promised, for all orders of a batch at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from argosy.inventory.v1 import stock_pb2, stock_service_pb2
from argosy.inventory.v1.stock_service_pb2_grpc import StockServiceStub
from chassis.runtime.channels import Channels
from services.fulfillment.domain.planning import Location
from services.fulfillment.domain.sourcing import Components

MOST_ITEMS = 2000


class Picture(NamedTuple):
    """What can be promised: (item, location) → stock units; and the locations."""

    stock: dict[tuple[str, str], int]
    locations: Mapping[str, Location]
    # What of it is kept back from a shipping method: (item, location, method) → stock units; from any other where empty.
    kept_back: Mapping[tuple[str, str, str], int]
    # What one of each kit takes of stock: item and stock units. A kit itself is no stock.
    kits: Mapping[str, Components]


class Availability:
    """What can be promised of items. One picture serves a whole batch, so that its plans do not promise twice."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        # Locations are set up and never change.
        self._known: dict[str, Location] = {}

    async def of(self, item_ids: Iterable[str], methods: Iterable[str], holding: Iterable[str] = ()) -> Picture:
        """Returns what is promised of items now, by these shipping methods; with the locations that hold some already."""
        asked, named = set(item_ids), sorted(set(methods) - {""})
        found = await self._ask(asked, named)
        kits = {item.item_id: [(one.item_id, one.quantity) for one in item.components] for item in found if item.components}
        found += await self._ask({item_id for own in kits.values() for item_id, _ in own} - asked, named)
        stock, kept_back = {}, {}
        locations: dict[str, Location] = {}
        for item in found:
            for one in item.locations if item.item_id not in kits else ():
                by_method = {"": one.available_to_promise, **one.available_by_method}
                most = stock[item.item_id, one.location_id] = max(by_method.values())
                for method, units in by_method.items() if len(by_method) > 1 else ():
                    kept_back[item.item_id, one.location_id, method] = most - units
                if one.location_id not in locations:
                    locations[one.location_id] = _location(one)
        missing = set(holding) - locations.keys()
        if missing - self._known.keys():
            await self._look_up()
        locations |= {one: self._known[one] for one in missing if one in self._known}
        return Picture(stock, locations, kept_back, kits)

    async def _ask(self, item_ids: set[str], methods: Sequence[str]) -> list[Any]:
        stub, items = StockServiceStub(self._channels.to("inventory")), sorted(item_ids)
        found: list[Any] = []
        for start in range(0, len(items), MOST_ITEMS):
            chunk = items[start : start + MOST_ITEMS]
            found += (await stub.GetAvailability(stock_service_pb2.GetAvailabilityRequest(item_ids=chunk, shipping_methods=methods))).items
        return found

    async def _look_up(self) -> None:
        stub, request = StockServiceStub(self._channels.to("inventory")), stock_service_pb2.ListLocationsRequest(page_size=500)
        while True:
            answer = await stub.ListLocations(request)
            self._known.update({one.location_id: _location(one) for one in answer.locations})
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token


def _location(shown: Any) -> Location:
    kind = stock_pb2.LocationKind.Name(shown.kind).removeprefix("LOCATION_KIND_")
    return Location(shown.location_id, kind, shown.country_code, shown.entity)
