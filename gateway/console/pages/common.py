"""What several pages ask: channels and locations to choose from, holds about a subject."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from argosy.catalog.v1 import channels_service_pb2, items_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from argosy.ops.v1 import holds_service_pb2
from chassis.kernel.errors import NotFound
from chassis.runtime.settings import SERVICES
from gateway.console.visit import Visit

CHOICES = 500
HOLDERS = tuple(service for service in SERVICES if service != "catalog")


async def channel_ids(visit: Visit) -> list[str]:
    """Returns the channels to choose from; none where the person may not see them."""
    request = channels_service_pb2.ListChannelsRequest(page_size=CHOICES)
    answer = await visit.ask_if("catalog.channels.read", visit.calls.sales_channels.ListChannels, request)
    return [channel.channel_id for channel in answer.channels] if answer is not None else []


async def location_ids(visit: Visit) -> list[str]:
    """Returns the locations to choose from; none where the person may not see them."""
    request = stock_service_pb2.ListLocationsRequest(page_size=CHOICES)
    answer = await visit.ask_if("inventory.stock.read", visit.calls.stock.ListLocations, request)
    return [location.location_id for location in answer.locations] if answer is not None else []


async def holds_about(visit: Visit, subject_id: str) -> Sequence[tuple[str, Any]]:
    """Returns (service, hold) of all holds about a subject, released ones too."""
    if not visit.may("ops.holds.read"):
        return []
    request = partial(holds_service_pb2.ListHoldsRequest, subject_id=subject_id, include_released=True, include_snoozed=True)
    answers = await visit.ask_each({one: (visit.calls.holds(one).ListHolds, request(service=one)) for one in HOLDERS})
    return [(service, hold) for service, answer in answers for hold in answer.holds]


async def find_item(visit: Visit, text: str) -> Any:
    """Returns an item by its id or SKU; None where there is none."""
    try:
        return await visit.ask(visit.calls.items.GetItem, items_service_pb2.GetItemRequest(item_id=text))
    except NotFound:
        return None
