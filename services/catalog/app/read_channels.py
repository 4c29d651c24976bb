"""GetChannel and ListChannels."""

from typing import Any

from sqlalchemy import select

from argosy.catalog.v1 import channels_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import NotFound
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from services.catalog.store.tables import CHANNELS


def to_channel(row: Any) -> channels_service_pb2.Channel:
    """Returns a channel's row as the contract shows it."""
    return channels_service_pb2.Channel(
        channel_id=row.channel_id, name=row.name, currency_code=row.currency_code, entity=row.entity,
        prices_include_tax=bool(row.prices_include_tax), created_at=to_timestamp(row.created_at),
    )  # fmt: skip


async def get_channel(asked: Asked) -> channels_service_pb2.Channel:
    """Refusals: NO_SUCH_CHANNEL."""
    rows = await asked.tx.read(select(CHANNELS).where(CHANNELS.c.channel_id == asked.request.channel_id))
    if not rows:
        raise NotFound("NO_SUCH_CHANNEL", f"there is no channel {asked.request.channel_id}", field="channel_id")
    return to_channel(rows[0])


async def list_channels(asked: Asked) -> channels_service_pb2.ListChannelsResponse:
    """Lists by id."""
    rows, token = await page(asked.tx, select(CHANNELS), [CHANNELS.c.channel_id], asked.request)
    return channels_service_pb2.ListChannelsResponse(channels=map(to_channel, rows), next_page_token=token)
