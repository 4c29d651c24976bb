"""CreateChannel: a place where we sell."""

from sqlalchemy import select

from argosy.catalog.v1 import channels_service_pb2
from chassis.kernel.errors import AlreadyExists, NotFound
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.catalog.app.read_channels import to_channel
from services.catalog.store.tables import CHANNELS


async def create_channel(work: Work, request: channels_service_pb2.CreateChannelRequest) -> channels_service_pb2.Channel:
    """Refusals: CHANNEL_EXISTS."""
    if await work.tx.read(select(CHANNELS.c.channel_id).where(CHANNELS.c.channel_id == request.channel_id)):
        raise AlreadyExists("CHANNEL_EXISTS", f"there is a channel {request.channel_id} already", field="channel_id")
    row = {
        "channel_id": request.channel_id, "name": request.name, "currency_code": request.currency_code, "entity": request.entity,
        "prices_include_tax": int(request.prices_include_tax), "created_at": work.now,
    }  # fmt: skip
    await work.tx.insert(CHANNELS, [row])
    return to_channel((await work.tx.read(select(CHANNELS).where(CHANNELS.c.channel_id == request.channel_id)))[0])


async def need_channel(tx: Tx, channel_id: str) -> None:
    """Raises NotFound where there is no such channel."""
    if not await tx.read(select(CHANNELS.c.channel_id).where(CHANNELS.c.channel_id == channel_id)):
        raise NotFound("NO_SUCH_CHANNEL", f"there is no channel {channel_id}", field="channel_id")
