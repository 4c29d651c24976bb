"""What channels want to know of items, and what is missing of them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from argosy.catalog.v1 import channels_service_pb2, item_pb2, items_service_pb2, listing_pb2
from chassis.kernel.errors import InvalidArgument, NotFound
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.catalog.app.categories import families_of, rules_of
from services.catalog.app.item_view import load, missing_for_publication, shown
from services.catalog.app.manage_channels import need_channel
from services.catalog.domain.category import ATTRIBUTES, missing_for
from services.catalog.domain.item import Lifecycle
from services.catalog.store.tables import CATEGORIES, ITEMS, LISTINGS, REQUIREMENTS

FIELDS = frozenset(item_pb2.ItemInput.DESCRIPTOR.fields_by_name)
ENDED = listing_pb2.LISTING_STATUS_ENDED


class Wanted:
    """What channels want to know, by channel and category."""

    def __init__(self, rows: Sequence[Any], families: dict[str, tuple[str, ...]]) -> None:
        self._families = families
        self._rows: dict[tuple[str, str], list[str]] = {(row.channel_id, row.category_id): json.loads(row.required) for row in rows}

    @staticmethod
    async def of(tx: Tx, channel_ids: Iterable[str] | None, category_ids: Iterable[str]) -> "Wanted":
        """Reads what these channels (all where None) want to know of items of these categories."""
        if channel_ids is None:
            rows = await tx.read(select(REQUIREMENTS))
        else:
            rows = await tx.find(REQUIREMENTS, ("channel_id",), [(one,) for one in sorted(set(channel_ids))])
        return Wanted(rows, await families_of(tx, category_ids))

    @property
    def channels(self) -> list[str]:
        """The channels that want to know anything."""
        return sorted({channel_id for channel_id, _ in self._rows})

    def required(self, channel_id: str, category_id: str) -> list[str]:
        """Returns the fields that a channel wants to know of an item of a category."""
        family = self._families.get(category_id, ("",))
        return list(dict.fromkeys(path for one in family for path in self._rows.get((channel_id, one), ())))

    def completeness(self, channel_id: str, item: item_pb2.Item, *, listed: bool = False) -> items_service_pb2.ChannelCompleteness:
        """Returns how complete an item is for a channel."""
        required = self.required(channel_id, item.category_id)
        missing = missing_for(required, item)
        return items_service_pb2.ChannelCompleteness(
            channel_id=channel_id, required=len(required), present=len(required) - len(missing), missing=missing, listed=listed
        )


async def set_channel_requirements(
    work: Work, request: channels_service_pb2.SetChannelRequirementsRequest
) -> channels_service_pb2.ChannelRequirements:
    """Refusals: NO_SUCH_CHANNEL, NO_SUCH_CATEGORY, UNKNOWN_FIELD."""
    await need_channel(work.tx, request.channel_id)
    if request.category_id and not await work.tx.find(CATEGORIES, ("category_id",), [(request.category_id,)]):
        raise NotFound("NO_SUCH_CATEGORY", f"category_id: there is no category {request.category_id}", field="category_id")
    known = (await rules_of(work.tx, [request.category_id])).get(request.category_id, {})
    for index, path in enumerate(request.required):
        name = path.removeprefix(ATTRIBUTES)
        if (path == name and name not in FIELDS) or (path != name and request.category_id and name not in known):
            text = f"required[{index}]: {path} is no field of an item and no attribute of the category"
            raise InvalidArgument("UNKNOWN_FIELD", text, field=f"required[{index}]")
    required = list(dict.fromkeys(request.required))
    row = {"channel_id": request.channel_id, "category_id": request.category_id, "required": json.dumps(required)}
    await work.tx.merge(REQUIREMENTS, ("channel_id", "category_id"), [row])
    return channels_service_pb2.ChannelRequirements(channel_id=request.channel_id, category_id=request.category_id, required=required)


async def list_channel_requirements(asked: Asked) -> channels_service_pb2.ListChannelRequirementsResponse:
    """Lists by category."""
    query = select(REQUIREMENTS).where(REQUIREMENTS.c.channel_id == asked.request.channel_id)
    rows, token = await page(asked.tx, query, [REQUIREMENTS.c.category_id], asked.request)
    found = [
        channels_service_pb2.ChannelRequirements(
            channel_id=row.channel_id, category_id=row.category_id, required=json.loads(row.required)
        )
        for row in rows
    ]  # fmt: skip
    return channels_service_pb2.ListChannelRequirementsResponse(requirements=found, next_page_token=token)


async def get_completeness(asked: Asked) -> items_service_pb2.Completeness:
    """Refusals: NO_SUCH_ITEM."""
    row = await load(asked.tx, asked.request.item_id)
    item = (await shown(asked.tx, [row]))[0]
    wanted = await Wanted.of(asked.tx, None, [row.category_id])
    listings = await asked.tx.find(LISTINGS, ("item_id",), [(row.item_id,)])
    listed = {one.channel_id for one in listings if one.status != ENDED}
    channels = [wanted.completeness(one, item, listed=one in listed) for one in wanted.channels]
    missing = missing_for_publication(row, await rules_of(asked.tx, [row.category_id]))
    return items_service_pb2.Completeness(item_id=row.item_id, missing=missing, channels=channels)


async def list_incomplete_items(asked: Asked) -> items_service_pb2.ListIncompleteItemsResponse:
    """Lists by SKU those of a page of items that lack something."""
    channel_id = asked.request.channel_id
    query = select(ITEMS).where(ITEMS.c.lifecycle != int(Lifecycle.RETIRED))
    if asked.request.listed_only:
        query = query.where(select(LISTINGS.c.item_id).where(*_lists(channel_id)).exists())
    rows, token = await page(asked.tx, query, [ITEMS.c.sku], asked.request)
    wanted = await Wanted.of(asked.tx, [channel_id], {row.category_id for row in rows})
    listings = await asked.tx.find(LISTINGS, ("item_id",), [(row.item_id,) for row in rows])
    listed = {one.item_id for one in listings if one.channel_id == channel_id and one.status != ENDED}
    found = []
    for item in await shown(asked.tx, rows):
        completeness = wanted.completeness(channel_id, item, listed=item.item_id in listed)
        if completeness.missing:
            found.append(items_service_pb2.IncompleteItem(item_id=item.item_id, sku=item.sku, name=item.name, completeness=completeness))
    return items_service_pb2.ListIncompleteItemsResponse(items=found, next_page_token=token)


def _lists(channel_id: str) -> tuple[Any, ...]:
    return (LISTINGS.c.item_id == ITEMS.c.item_id, LISTINGS.c.channel_id == channel_id, LISTINGS.c.status != ENDED)
