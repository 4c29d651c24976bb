"""CreateChannel, CreateListing, SetPrice: channels, what they call our items, and list prices."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from argosy.catalog.v1 import channels_service_pb2
from chassis.kernel.clock import from_timestamp, to_timestamp
from chassis.kernel.errors import AlreadyExists, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.database import Tx
from chassis.runtime.work import Work
from services.catalog.app.item_view import load
from services.catalog.app.read_channels import to_channel, to_listing
from services.catalog.store.tables import CHANNELS, LISTINGS, PRICES


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


async def create_listing(work: Work, request: channels_service_pb2.CreateListingRequest) -> channels_service_pb2.Listing:
    """Refusals: NO_SUCH_CHANNEL, NO_SUCH_ITEM, LISTING_EXISTS."""
    await need_channel(work.tx, request.channel_id)
    item = await load(work.tx, request.item_id)
    key = (LISTINGS.c.channel_id == request.channel_id, LISTINGS.c.channel_sku == request.channel_sku)
    if await work.tx.read(select(LISTINGS).where(*key)):
        raise AlreadyExists("LISTING_EXISTS", f"the channel's SKU {request.channel_sku} has a meaning already", field="channel_sku")
    row = {
        "channel_id": request.channel_id, "channel_sku": request.channel_sku, "item_id": item.item_id, "units": request.units,
        "created_at": work.now,
    }  # fmt: skip
    await work.tx.insert(LISTINGS, [row])
    return to_listing((await work.tx.read(select(LISTINGS).where(*key)))[0])


async def set_price(work: Work, request: channels_service_pb2.SetPriceRequest) -> channels_service_pb2.Price:
    """Refusals: NO_SUCH_ITEM, NO_SUCH_CHANNEL, PRICE_EXISTS."""
    item = await load(work.tx, request.item_id)
    if request.channel_id:
        await need_channel(work.tx, request.channel_id)
    valid_from = from_timestamp(request.valid_from) if request.HasField("valid_from") else work.now
    row = {
        "price_id": new_id(), "item_id": item.item_id, "channel_id": request.channel_id, "valid_from": valid_from,
        "currency_code": request.currency_code, "amount_minor": request.amount_minor, "includes_tax": int(request.includes_tax),
    }  # fmt: skip
    try:
        await work.tx.insert(PRICES, [row])
    except IntegrityError as error:
        raise AlreadyExists("PRICE_EXISTS", "a price from this very moment on is kept already", field="valid_from") from error
    return channels_service_pb2.Price(
        price_id=str(row["price_id"]), item_id=item.item_id, channel_id=request.channel_id, amount_minor=request.amount_minor,
        currency_code=request.currency_code, includes_tax=request.includes_tax, valid_from=to_timestamp(valid_from),
    )  # fmt: skip


async def need_channel(tx: Tx, channel_id: str) -> None:
    """Raises NotFound where there is no such channel."""
    if not await tx.read(select(CHANNELS.c.channel_id).where(CHANNELS.c.channel_id == channel_id)):
        raise NotFound("NO_SUCH_CHANNEL", f"there is no channel {channel_id}", field="channel_id")
