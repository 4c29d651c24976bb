"""catalog, composed: what it serves."""

from argosy.catalog.v1 import categories_service_pb2, channels_service_pb2, items_service_pb2
from chassis.runtime.channels import Channels
from chassis.runtime.service import Service
from chassis.runtime.settings import Settings
from chassis.runtime.writer import each, each_call
from services.catalog.app import (
    advance_item,
    categories,
    completeness,
    create_item,
    duplicates,
    find_substitutes,
    listings,
    manage_channels,
    prices,
    read_channels,
    read_items,
    resolve_lines,
    update_item,
)
from services.catalog.clients.sku_use import SkuUse
from services.catalog.store.tables import CHASSIS, METADATA


def build(channels: Channels, settings: Settings) -> Service:
    """Returns the service; it asks orders what a change would have touched."""
    del settings
    use = SkuUse(channels)
    return Service(
        name="catalog",
        metadata=METADATA,
        tables=CHASSIS,
        contracts=(
            items_service_pb2.DESCRIPTOR.services_by_name["ItemsService"],
            channels_service_pb2.DESCRIPTOR.services_by_name["ChannelsService"],
            categories_service_pb2.DESCRIPTOR.services_by_name["CategoriesService"],
        ),
        writes={
            "CreateItem": create_item.create_items,
            "UpdateItem": update_item.update_items,
            "SubmitItem": each(advance_item.submit_item),
            "ApproveItem": each(advance_item.approve_item),
            "PublishItem": each(advance_item.publish_item),
            "MergeItem": each(duplicates.merge_item),
            "RetireItem": each(advance_item.retire_item),
            "CreateChannel": each(manage_channels.create_channel),
            "SetCategory": each(categories.set_category),
            "SetChannelRequirements": each(completeness.set_channel_requirements),
            "CreateListing": listings.create_listings,
            "ChangeListing": each_call(listings.change_listing),
            "RollBackListing": each_call(listings.roll_back_listing),
            "SetPrice": each(prices.set_price),
        },
        reads={
            "GetItem": read_items.get_item,
            "ListDuplicates": duplicates.list_duplicates,
            "ListItems": read_items.list_items,
            "ResolveLines": resolve_lines.resolve_lines,
            "GetChannel": read_channels.get_channel,
            "ListChannels": read_channels.list_channels,
            "GetCategory": categories.get_category,
            "ListCategories": categories.list_categories,
            "FindItems": read_items.find_items,
            "FindSubstitutes": find_substitutes.find_substitutes,
            "GetCompleteness": completeness.get_completeness,
            "ListIncompleteItems": completeness.list_incomplete_items,
            "ListChannelRequirements": completeness.list_channel_requirements,
            "ListListings": listings.list_listings,
            "ListListingVersions": listings.list_listing_versions,
            "PreviewListing": listings.Preview(use).preview_listing,
            "ListPrices": prices.list_prices,
            "FindPrice": prices.find_price,
        },
        prepares={"ChangeListing": use.prepare, "RollBackListing": use.prepare},
        approvals=(listings.CHANGE, prices.PRICE),
    )
