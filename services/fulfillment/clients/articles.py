"""Asks catalog what items are called, how they are made up, how large they are, and what customs wants to know of them."""

from collections.abc import Iterable

from argosy.catalog.v1 import item_pb2, items_service_pb2
from argosy.catalog.v1.items_service_pb2_grpc import ItemsServiceStub
from chassis.runtime.channels import Channels

MOST = 500


class Articles:
    """Items, as catalog has them."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def of(self, item_ids: Iterable[str]) -> dict[str, item_pb2.Item]:
        """Returns items, and the components of those that are kits."""
        found: dict[str, item_pb2.Item] = {}
        wanted = sorted(set(item_ids))
        while wanted:
            answers = await self._find(wanted)
            found.update({one.item_id: one for one in answers})
            parts = {part.item_id for one in answers for part in one.components}
            wanted = sorted(parts - set(found))
        return found

    async def _find(self, item_ids: list[str]) -> list[item_pb2.Item]:
        stub = ItemsServiceStub(self._channels.to("catalog"))
        found: list[item_pb2.Item] = []
        for start in range(0, len(item_ids), MOST):
            request = items_service_pb2.FindItemsRequest(item_ids=item_ids[start : start + MOST])
            found += (await stub.FindItems(request)).items
        return found
