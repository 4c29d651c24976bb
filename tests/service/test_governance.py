"""What catalog governs: categories and completeness, listings changed by two, prices that do not jump unseen."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from argosy.catalog.v1 import categories_service_pb2, channels_service_pb2, item_pb2, items_service_pb2, listing_pb2
from argosy.ops.v1 import approvals_service_pb2
from chassis.kernel.clock import from_datetime, to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from gateway.calls import Calls
from tests.builders import OTHER, order, publish_item
from tests.service.conftest import Bench
from tests.service.stockroom import refused

Meaning = channels_service_pb2.ListingMeaning


@pytest.fixture
async def calls(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> Calls:
    """A catalog with two channels, and orders to ask; both only answer."""
    await started("catalog")
    await started("orders")
    found = Calls(bench.channels)
    for channel_id in ("web", "market"):
        await found.sales_channels.CreateChannel(
            channels_service_pb2.CreateChannelRequest(
                request_id=new_id(), channel_id=channel_id, name=channel_id, currency_code="EUR", entity="DE01"
            )
        )
    return found


async def category(
    calls: Calls, category_id: str, *rules: categories_service_pb2.AttributeRule, parent_id: str = ""
) -> categories_service_pb2.Category:
    request = categories_service_pb2.SetCategoryRequest(
        request_id=new_id(), category_id=category_id, name=category_id, parent_id=parent_id, attributes=rules
    )
    return await calls.categories.SetCategory(request)


def rule(name: str, **values: Any) -> categories_service_pb2.AttributeRule:
    return categories_service_pb2.AttributeRule(name=name, **values)


async def listing(calls: Calls, sku: str, item_id: str, units: int = 1, **values: Any) -> listing_pb2.Listing:
    request = channels_service_pb2.CreateListingRequest(
        request_id=new_id(), channel_id="web", channel_sku=sku, item_id=item_id, units=units, **values
    )
    return await calls.sales_channels.CreateListing(request)


async def change(calls: Calls, sku: str, meaning: Meaning, **values: Any) -> listing_pb2.Listing:
    request = channels_service_pb2.ChangeListingRequest(
        request_id=new_id(), channel_id="web", channel_sku=sku, meaning=meaning, reason="supplier changed", **values
    )
    return await calls.sales_channels.ChangeListing(request)


async def decide(calls: Calls, approval_id: str, approve: bool = True) -> approvals_service_pb2.Approval:
    request = approvals_service_pb2.DecideApprovalRequest(
        request_id=new_id(), service="catalog", approval_id=approval_id, approve=approve, note="looked at it"
    )
    return await calls.approvals("catalog").DecideApproval(request, metadata=OTHER)


async def only(calls: Calls) -> listing_pb2.Listing:
    [found] = (await calls.sales_channels.ListListings(channels_service_pb2.ListListingsRequest(channel_id="web"))).listings
    return found


async def versions(calls: Calls, sku: str) -> list[listing_pb2.Listing]:
    request = channels_service_pb2.ListListingVersionsRequest(channel_id="web", channel_sku=sku)
    return list((await calls.sales_channels.ListListingVersions(request)).versions)


async def resolved(calls: Calls, sku: str, **values: Any) -> items_service_pb2.ResolvedLine:
    asked = items_service_pb2.OrderSkus(**{"channel_id": "web", "channel_skus": [sku], "currency_code": "EUR", **values})
    return (await calls.items.ResolveLines(items_service_pb2.ResolveLinesRequest(orders=[asked]))).orders[0].lines[0]


# -- categories and completeness


async def test_a_category_says_what_must_be_said_and_its_parts_too(calls: Calls) -> None:
    await category(calls, "tableware", rule("material", required=True))
    mugs = await category(calls, "mugs", rule("volume", kind=2, unit="ml", least="1", required=True), parent_id="tableware")
    assert [one.name for one in mugs.inherited] == ["material"]
    await refused("NO_SUCH_CATEGORY", publish_item(calls, "CUP", category_id="cups"))
    await refused("BAD_ATTRIBUTE", publish_item(calls, "CUP", category_id="mugs", attributes={"volume": "large"}))
    refusal = await refused("INCOMPLETE", publish_item(calls, "CUP", category_id="mugs", attributes={"volume": "300"}))
    assert refusal.field == "attributes.material"
    await publish_item(calls, "MUG", category_id="mugs", attributes={"volume": "300", "material": "clay"})
    await refused("CATEGORY_CIRCLE", category(calls, "tableware", parent_id="mugs"))
    await refused("DOUBLE_ATTRIBUTE", category(calls, "plates", rule("material"), parent_id="tableware"))
    cup = await calls.items.GetItem(items_service_pb2.GetItemRequest(item_id="CUP"))
    assert list(cup.missing_attributes) == ["attributes.material"]


async def test_a_channel_lists_only_what_is_complete(calls: Calls) -> None:
    await category(calls, "mugs", rule("volume", kind=2))
    for category_id, required in (("", ["gtin", "media_urls"]), ("mugs", ["attributes.volume"])):
        request = channels_service_pb2.SetChannelRequirementsRequest(
            request_id=new_id(), channel_id="web", category_id=category_id, required=required
        )
        await calls.sales_channels.SetChannelRequirements(request)
    plain = await publish_item(calls, "PLAIN", gtin="4006381333931")
    mug = await publish_item(calls, "MUG", category_id="mugs", media_urls=["https://example.org/mug.jpg"], attributes={"volume": "300"})
    refusal = await refused("INCOMPLETE", listing(calls, "P", plain))
    assert refusal.metadata["missing"] == "media_urls"
    await refused("INCOMPLETE", listing(calls, "M", mug))
    found = await calls.items.GetCompleteness(items_service_pb2.GetCompletenessRequest(item_id=mug))
    [web] = found.channels
    assert (web.channel_id, web.required, web.present, list(web.missing), web.listed) == ("web", 3, 2, ["gtin"], False)
    lacking = await calls.items.ListIncompleteItems(items_service_pb2.ListIncompleteItemsRequest(channel_id="web"))
    assert [(one.sku, list(one.completeness.missing)) for one in lacking.items] == [("MUG", ["gtin"]), ("PLAIN", ["media_urls"])]
    unknown = channels_service_pb2.SetChannelRequirementsRequest(request_id=new_id(), channel_id="web", required=["price"])
    await refused("UNKNOWN_FIELD", calls.sales_channels.SetChannelRequirements(unknown))


async def test_a_tax_class_changes_at_a_moment(calls: Calls) -> None:
    change_at = datetime(2026, 7, 1, tzinfo=UTC)
    later = item_pb2.TaxClassFrom(valid_from=to_timestamp(from_datetime(change_at)), tax_class="reduced")
    await publish_item(calls, "BOOK", tax_classes=[later])
    before, after = (to_timestamp(from_datetime(change_at + timedelta(seconds=s))) for s in (-1, 0))
    assert (await resolved(calls, "BOOK", placed_at=before)).tax_class == "standard"
    assert (await resolved(calls, "BOOK", placed_at=after)).tax_class == "reduced"


# -- listings


async def test_what_a_sku_means_is_changed_by_two(calls: Calls) -> None:
    mug, cup = await publish_item(calls, "MUG"), await publish_item(calls, "CUP")
    await listing(calls, "X", mug)
    waiting = await change(calls, "X", Meaning(item_id=cup, quantity=2))
    assert (waiting.item_id, waiting.version) == (mug, 1)
    assert (await resolved(calls, "X")).item_id == mug, "nothing is in force before it is approved"
    approval = await decide(calls, waiting.approval_id)
    assert "would mean 2 of CUP instead of 1 of MUG" in approval.summary
    assert ((found := await only(calls)).item_id, found.units, found.version) == (cup, 2, 2)
    assert (await resolved(calls, "X")).units == 2
    history = await versions(calls, "X")
    assert [(one.version, one.item_id, one.reason) for one in history] == [(2, cup, "supplier changed"), (1, mug, "listed")]


async def test_a_rejected_change_leaves_everything_as_it_was(calls: Calls) -> None:
    mug, cup = await publish_item(calls, "MUG"), await publish_item(calls, "CUP")
    await listing(calls, "X", mug)
    waiting = await change(calls, "X", Meaning(item_id=cup, quantity=1))
    await decide(calls, waiting.approval_id, approve=False)
    assert ((await only(calls)).item_id, len(await versions(calls, "X"))) == (mug, 1)


async def test_an_approval_of_what_is_no_longer_so_is_refused(calls: Calls) -> None:
    mug, cup = await publish_item(calls, "MUG"), await publish_item(calls, "CUP")
    await listing(calls, "X", mug)
    first = await change(calls, "X", Meaning(item_id=cup, quantity=1))
    second = await change(calls, "X", Meaning(item_id=cup, quantity=3))
    await decide(calls, second.approval_id)
    await refused("LISTING_CHANGED", decide(calls, first.approval_id))


async def test_a_listing_is_paused_by_one_and_an_ended_one_is_unknown(calls: Calls) -> None:
    mug = await publish_item(calls, "MUG")
    await listing(calls, "MUG", mug)
    paused = await change(calls, "MUG", Meaning(item_id=mug, quantity=1, status=listing_pb2.LISTING_STATUS_PAUSED))
    assert (paused.approval_id, paused.version) == ("", 2)
    assert (await resolved(calls, "MUG")).item_id == mug
    await change(calls, "MUG", Meaning(item_id=mug, quantity=1, status=listing_pb2.LISTING_STATUS_ENDED))
    assert (await resolved(calls, "MUG")).item_id == "", "its own SKU does not bring an ended listing back"
    same = Meaning(item_id=mug, quantity=1, status=listing_pb2.LISTING_STATUS_ENDED)
    await refused("NO_CHANGE", change(calls, "MUG", same))


async def test_an_earlier_version_is_taken_up_again_by_two(calls: Calls) -> None:
    mug, cup = await publish_item(calls, "MUG"), await publish_item(calls, "CUP")
    await listing(calls, "X", mug, 6)
    await decide(calls, (await change(calls, "X", Meaning(item_id=cup, quantity=1))).approval_id)
    back = channels_service_pb2.RollBackListingRequest(
        request_id=new_id(), channel_id="web", channel_sku="X", version=1, reason="wrong cup"
    )
    await decide(calls, (await calls.sales_channels.RollBackListing(back)).approval_id)
    assert ((found := await only(calls)).item_id, found.units, found.version) == (mug, 6, 3)
    assert found.reason == "back to version 1: wrong cup"
    back = channels_service_pb2.RollBackListingRequest(request_id=new_id(), channel_id="web", channel_sku="X", version=9, reason="no")
    await refused("NO_SUCH_VERSION", calls.sales_channels.RollBackListing(back))


async def test_a_preview_says_which_orders_it_would_have_changed(calls: Calls) -> None:
    mug, cup = await publish_item(calls, "MUG"), await publish_item(calls, "CUP")
    await listing(calls, "X", mug, 2)
    made = [await calls.orders.CreateOrder(order(f"A-{n}", quantity=n, sku="X")) for n in (1, 3)]
    await calls.orders.CreateOrder(order("B-1", sku="Y"))
    request = channels_service_pb2.PreviewListingRequest(channel_id="web", channel_sku="X", meaning=Meaning(item_id=cup, quantity=5))
    found = await calls.sales_channels.PreviewListing(request)
    assert (found.orders, found.lines, found.quantity, found.amount_minor, found.open_orders) == (2, 2, 4, 4000, 2)
    assert (found.units_now, found.units_then, found.days) == (8, 20, 28)
    assert set(found.order_ids) == {one.order_id for one in made}
    assert found.summary == (
        "X at web would mean 5 of CUP instead of 2 of MUG; in the last 28 days that is 4 ordered in 2 orders, 2 of them still open"
    )
    waiting = await change(calls, "X", Meaning(item_id=cup, quantity=5))
    listed = await calls.approvals("catalog").ListApprovals(approvals_service_pb2.ListApprovalsRequest(service="catalog"))
    [approval] = [one for one in listed.approvals if one.approval_id == waiting.approval_id]
    assert approval.amount_minor == 20, "it weighs what it would have moved"
    limit = approvals_service_pb2.SetLimitRequest(request_id=new_id(), service="catalog", kind="catalog.listing", limit_minor=20)
    await calls.approvals("catalog").SetLimit(limit)
    assert (await change(calls, "X", Meaning(item_id=cup, quantity=4))).version == 2, "within the limit nobody else is needed"


async def test_a_case_is_listed_by_its_unit(calls: Calls) -> None:
    tea = await publish_item(
        calls, "TEA", units=[item_pb2.Unit(unit="CASE", numerator=12), item_pb2.Unit(unit="HALF", numerator=1, denominator=2)]
    )
    made = await listing(calls, "TEA-C", tea, 2, unit="CASE")
    assert (made.units, made.unit, made.quantity) == (24, "CASE", 2)
    await refused("WRONG_UNIT", listing(calls, "TEA-P", tea, 1, unit="PALLET"))
    await refused("NOT_WHOLE", listing(calls, "TEA-H", tea, 1, unit="HALF"))
    await refused("LISTING_EXISTS", listing(calls, "TEA-C", tea))
    wrong = listing_pb2.SyncPolicy(mode=listing_pb2.SYNC_MODE_STEPS, steps=[5, 3])
    await refused("WRONG_SYNC", listing(calls, "TEA-1", tea, sync=wrong))


async def test_many_are_listed_at_once_and_each_is_answered(calls: Calls) -> None:
    mug = await publish_item(calls, "MUG")
    requests = [
        channels_service_pb2.CreateListingRequest(request_id=new_id(), channel_id="web", channel_sku=sku, item_id=item_id, units=1)
        for sku, item_id in (("A", mug), ("B", "nothing"), ("A", mug), ("C", "mug"))
    ]
    answer = await calls.sales_channels.BatchCreateListing(channels_service_pb2.BatchCreateListingRequest(requests=requests))
    assert [one.WhichOneof("result") for one in answer.results] == ["response", "error", "error", "response"]


# -- prices


async def price(calls: Calls, item_id: str, amount_minor: int, **values: Any) -> channels_service_pb2.Price:
    request = channels_service_pb2.SetPriceRequest(
        request_id=new_id(), item_id=item_id, currency_code="EUR", amount_minor=amount_minor, **values
    )
    return await calls.sales_channels.SetPrice(request)


def moment(days: int) -> Any:
    return to_timestamp(from_datetime(datetime.now(UTC) + timedelta(days=days)))


async def test_prices_have_breaks_groups_and_ends(calls: Calls) -> None:
    mug = await publish_item(calls, "MUG")
    await listing(calls, "SIX", mug, 6)
    await price(calls, mug, 1000, valid_from=moment(-30))
    await price(calls, mug, 900, min_quantity=12, valid_from=moment(-30))
    await price(calls, mug, 700, customer_group="trade", valid_from=moment(-30))
    await price(calls, mug, 990, channel_id="market", valid_from=moment(-2), valid_until=moment(-1))
    for values, wanted in (
        ({}, 6 * 1000), ({"quantities": [2]}, 6 * 900), ({"customer_group": "trade"}, 6 * 700), ({"currency_code": "USD"}, -1),
    ):  # fmt: skip
        assert (await resolved(calls, "SIX", placed_at=moment(0), **values)).list_price_minor == wanted, values
    find = channels_service_pb2.FindPriceRequest(item_id=mug, channel_id="market", currency_code="EUR", at=moment(0))
    assert (await calls.sales_channels.FindPrice(find)).amount_minor == 1000, "the offer has ended"
    await refused(
        "NO_PRICE",
        calls.sales_channels.FindPrice(channels_service_pb2.FindPriceRequest(item_id=mug, channel_id="web", currency_code="JPY")),
    )
    await refused("INVALID_FIELD", price(calls, mug, 5, valid_from=moment(2), valid_until=moment(1)))
    two = items_service_pb2.OrderSkus(channel_id="web", channel_skus=["SIX"], quantities=[1, 2], currency_code="EUR")
    await refused("QUANTITIES_DIFFER", calls.items.ResolveLines(items_service_pb2.ResolveLinesRequest(orders=[two])))


async def test_a_price_that_jumps_waits_for_another_person(calls: Calls) -> None:
    mug = await publish_item(calls, "MUG")
    await price(calls, mug, 1000)
    near = await price(calls, mug, 1150)
    assert (near.approval_id, near.set_by) == ("", "service:suite")
    far = await price(calls, mug, 11500, reason="a comma was forgotten")
    assert (far.price_id, bool(far.approval_id)) == ("", True)
    current = channels_service_pb2.FindPriceRequest(item_id=mug, channel_id="web", currency_code="EUR")
    assert (await calls.sales_channels.FindPrice(current)).amount_minor == 1150
    approval = await decide(calls, far.approval_id)
    assert "11500 instead of 1150 EUR" in approval.summary
    assert (await calls.sales_channels.FindPrice(current)).amount_minor == 11500


async def test_small_steps_that_sum_to_a_jump_wait_too(calls: Calls) -> None:
    mug = await publish_item(calls, "MUG")
    await price(calls, mug, 1000)
    steps = [await price(calls, mug, amount) for amount in (1100, 1200, 1300)]
    assert [bool(one.approval_id) for one in steps] == [False, False, True]


# -- many items at once


async def test_many_items_are_changed_at_once_each_with_its_answer(calls: Calls) -> None:
    for sku in ("A", "B", "C"):
        await calls.items.CreateItem(items_service_pb2.CreateItemRequest(request_id=new_id(), item=item_pb2.ItemInput(sku=sku, name=sku)))
    seen = await calls.items.FindItems(items_service_pb2.FindItemsRequest(skus=["a", "B", "nothing", "C"]))
    assert [one.sku for one in seen.items] == ["A", "B", "C"]

    def update(sku: str, etag: str = "", **values: Any) -> items_service_pb2.UpdateItemRequest:
        given = item_pb2.ItemInput(**{"sku": sku, "name": f"new {sku}", **values})
        return items_service_pb2.UpdateItemRequest(request_id=new_id(), item_id=sku, item=given, etag=etag)

    requests = [
        update("A", etag=seen.items[0].etag),
        update("B", etag="7"),
        update("C", abc_class="A"),
        update("D"),
        update("C", gtin="4006381333931"),
    ]
    answer = await calls.items.BatchUpdateItem(items_service_pb2.BatchUpdateItemRequest(requests=requests))
    assert [one.WhichOneof("result") for one in answer.results] == ["response", "error", "response", "error", "response"]
    last = await calls.items.GetItem(items_service_pb2.GetItemRequest(item_id="C"))
    assert (last.name, last.gtin, last.abc_class) == ("new C", "4006381333931", "C")
    taken = update("A")
    taken.item.sku = "B"
    await refused("DUPLICATE_SKU", calls.items.UpdateItem(taken))
    both = await asyncio.gather(calls.items.UpdateItem(update("A")), calls.items.UpdateItem(update("A")))
    assert {one.sku for one in both} == {"A"}
