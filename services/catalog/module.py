"""catalog, composed: what it serves."""

from argosy.catalog.v1 import channels_service_pb2, items_service_pb2
from chassis.runtime.channels import Channels
from chassis.runtime.service import Service
from chassis.runtime.writer import each
from services.catalog.app import (
    advance_item,
    create_item,
    duplicates,
    manage_channels,
    read_channels,
    read_items,
    resolve_lines,
    update_item,
)
from services.catalog.store.tables import CHASSIS, METADATA


def build(channels: Channels) -> Service:
    """Returns the service; it calls no other."""
    del channels
    return Service(
        name="catalog",
        metadata=METADATA,
        tables=CHASSIS,
        contracts=(
            items_service_pb2.DESCRIPTOR.services_by_name["ItemsService"],
            channels_service_pb2.DESCRIPTOR.services_by_name["ChannelsService"],
        ),
        writes={
            "CreateItem": create_item.create_items,
            "UpdateItem": each(update_item.update_item),
            "SubmitItem": each(advance_item.submit_item),
            "ApproveItem": each(advance_item.approve_item),
            "PublishItem": each(advance_item.publish_item),
            "MergeItem": each(duplicates.merge_item),
            "RetireItem": each(advance_item.retire_item),
            "CreateChannel": each(manage_channels.create_channel),
            "CreateListing": each(manage_channels.create_listing),
            "SetPrice": each(manage_channels.set_price),
        },
        reads={
            "GetItem": read_items.get_item,
            "ListDuplicates": duplicates.list_duplicates,
            "ListItems": read_items.list_items,
            "ResolveLines": resolve_lines.resolve_lines,
            "GetChannel": read_channels.get_channel,
            "ListChannels": read_channels.list_channels,
            "ListListings": read_channels.list_listings,
            "ListPrices": read_channels.list_prices,
        },
    )
