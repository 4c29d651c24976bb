"""The item master: units, kits and what stock is counted by; near-identical items are found, and one of two ends."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from argosy.catalog.v1 import channels_service_pb2, item_pb2, items_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from gateway.calls import Calls
from services.catalog.domain.item import likeness
from tests.builders import publish_item
from tests.service.conftest import Bench
from tests.service.stockroom import refused


@pytest.fixture
async def calls(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> Calls:
    await started("catalog")
    return Calls(bench.channels)


async def created(calls: Calls, sku: str, **values: Any) -> item_pb2.Item:
    given = item_pb2.ItemInput(**{"sku": sku, "name": sku, **values})
    return await calls.items.CreateItem(items_service_pb2.CreateItemRequest(request_id=new_id(), item=given))


def test_word_order_case_marks_and_accents_make_no_other_article() -> None:
    assert likeness("Harbour", "Café mug, blue") == likeness("HARBOUR", "Blue  cafe-mug") == "blue cafe harbour mug"
    assert likeness("Harbour", "Blue mug") != likeness("Harbour", "Blue mugs")


async def test_all_that_is_said_of_an_item_comes_back(calls: Calls) -> None:
    part = await created(calls, "CUP")
    unit = item_pb2.Unit(unit="CASE", numerator=12, gtin="4006381333931", weight_g=6000)
    given: dict[str, Any] = {
        "tracking": item_pb2.TRACKING_LOT, "expires": True, "min_life_days": 30, "valuation": item_pb2.VALUATION_AVERAGE,
        "abc_class": "A", "lead_time_days": 14, "minimum_order_quantity": 100, "pack_multiple": 12, "hazmat_class": "UN3481",
        "export_control_class": "5A002", "units": [unit], "substitutes": [item_pb2.Substitute(item_id=part.item_id, rank=1)],
        "attributes": {"colour": "blue"}, "media_urls": ["https://example.org/a.jpg"],
    }  # fmt: skip
    made = await created(calls, "TEA", **given)
    found = await calls.items.GetItem(items_service_pb2.GetItemRequest(item_id=made.item_id))
    for name, value in given.items():
        assert getattr(found, name) == value, name


@pytest.mark.parametrize(
    ("reason", "values"),
    [
        ("DOUBLE_UNIT", {"units": [item_pb2.Unit(unit="EA", numerator=1)]}),
        ("INVALID_GTIN", {"units": [item_pb2.Unit(unit="CASE", numerator=6, gtin="4006381333932")]}),
        ("NO_SUCH_ITEM", {"components": [item_pb2.Component(item_id="nothing", quantity=1)]}),
        ("INVALID_FIELD", {"abc_class": "D"}),
        ("INVALID_FIELD", {"units": [item_pb2.Unit(unit="CASE", numerator=0)]}),
    ],
)
async def test_a_wrong_item_is_refused_by_name(calls: Calls, reason: str, values: dict[str, Any]) -> None:
    await refused(reason, created(calls, "CUP", **values))


async def test_a_kit_is_made_of_published_items_and_stays_as_it_is(calls: Calls) -> None:
    cup = await created(calls, "CUP")
    component = item_pb2.Component(item_id=cup.item_id, quantity=2)
    await refused("COMPONENT_NOT_PUBLISHED", publish_item(calls, "SET", components=[component]))
    mug = await publish_item(calls, "MUG")
    kit = await publish_item(calls, "PAIR", components=[item_pb2.Component(item_id=mug, quantity=2)])
    await refused("NESTED_KIT", created(calls, "CRATE", components=[item_pb2.Component(item_id=kit, quantity=1)]))
    item = await calls.items.GetItem(items_service_pb2.GetItemRequest(item_id=kit))
    given = item_pb2.ItemInput(
        sku=item.sku, name=item.name, brand=item.brand, tax_class=item.tax_class, weight_g=500, hs_code="691200", origin_country_code="PT"
    )
    update = items_service_pb2.UpdateItemRequest(request_id=new_id(), item_id=kit, item=given)
    assert (await refused("FROZEN", calls.items.UpdateItem(update))).field == "item.components"


async def test_duplicates_are_found_and_one_of_two_ends(calls: Calls) -> None:
    await calls.sales_channels.CreateChannel(
        channels_service_pb2.CreateChannelRequest(request_id=new_id(), channel_id="web", name="Web", currency_code="EUR", entity="DE01")
    )
    stays, ends = await publish_item(calls, "MUG-1", name="Blue mug"), await publish_item(calls, "MUG-2", name="MUG, blue")
    await publish_item(calls, "POT", name="Blue pot")
    await calls.sales_channels.CreateListing(
        channels_service_pb2.CreateListingRequest(request_id=new_id(), channel_id="web", channel_sku="X", item_id=ends, units=1)
    )
    groups = (await calls.items.ListDuplicates(items_service_pb2.ListDuplicatesRequest())).groups
    assert [[one.sku for one in group.items] for group in groups] == [["MUG-1", "MUG-2"]]
    merge = items_service_pb2.MergeItemRequest(request_id=new_id(), item_id=ends, into_item_id=stays, reason="set up twice")
    assert (await calls.items.MergeItem(merge)).lifecycle == item_pb2.LIFECYCLE_RETIRED
    listings = (await calls.sales_channels.ListListings(channels_service_pb2.ListListingsRequest(channel_id="web"))).listings
    assert [one.item_id for one in listings] == [stays]
    assert not (await calls.items.ListDuplicates(items_service_pb2.ListDuplicatesRequest())).groups
    merge.request_id, merge.item_id = new_id(), stays
    await refused("SELF_REFERENCE", calls.items.MergeItem(merge))
