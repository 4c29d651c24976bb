"""What Shopify is told: quantities that follow the stock and survive everything the channel does, and parcels, each once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from argosy.catalog.v1 import channels_service_pb2, listing_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.gateway.v1 import connections_service_pb2, publications_service_pb2
from argosy.inventory.v1 import stock_pb2, stock_service_pb2
from argosy.ops.v1 import ops_service_pb2
from argosy.orders.v1 import order_pb2, orders_events_pb2
from chassis.kernel.errors import NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app import publications
from gateway.app.prove import prove
from gateway.calls import Calls
from gateway.voice import publisher
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, publish_item, receive, ship_all, until_released, until_status
from tests.listener import listening
from tests.suite.shopify import SECRET
from tests.suite.shopify_simulator import LOCATION, TOKEN, Shop


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told in vain is told again at once."""
    monkeypatch.setattr(publications, "PAUSE_US", 50_000)


@asynccontextmanager
async def told_shop(settings: Settings, shop: Shop, stock: int = 50) -> AsyncIterator[tuple[Calls, str]]:
    """A suite whose channel is told; the proof must settle when the test is done."""
    async with listening(shop.app()) as url, running_suite(settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": stock})
        await list_item(calls, "MUG-1", item_id, 1)
        await connect(calls, f"{url}/admin/api")
        yield calls, item_id
        assert (await prove(suite.channels, settled=True)).breaks == []


async def connect(calls: Calls, api_url: str) -> None:
    await calls.connections.SetConnection(
        connections_service_pb2.SetConnectionRequest(
            request_id=new_id(), channel_id="web", dialect=connections_service_pb2.DIALECT_SHOPIFY, entity="DE01", secret=SECRET,
            api_url=api_url, api_token=TOKEN, external_location_id="77", coalesce_ms=100,
        )
    )  # fmt: skip


async def list_item(calls: Calls, channel_sku: str, item_id: str, units: int) -> None:
    await calls.sales_channels.CreateListing(
        channels_service_pb2.CreateListingRequest(
            request_id=new_id(), channel_id="web", channel_sku=channel_sku, item_id=item_id, units=units
        )
    )


async def change_listing(calls: Calls, item_id: str, **values: Any) -> None:
    meaning = channels_service_pb2.ListingMeaning(item_id=item_id, quantity=1, **values)
    await calls.sales_channels.ChangeListing(
        channels_service_pb2.ChangeListingRequest(
            request_id=new_id(), channel_id="web", channel_sku="MUG-1", meaning=meaning, reason="a test"
        )
    )


async def adjust(calls: Calls, item_id: str, quantity: int) -> None:
    await calls.stock.AdjustStock(
        stock_service_pb2.AdjustStockRequest(
            request_id=new_id(),
            location_id="BER",
            item_id=item_id,
            state=stock_pb2.STOCK_STATE_AVAILABLE,
            quantity=quantity,
            reason="found",
        )
    )


async def published(calls: Calls, sku: str = "MUG-1") -> publications_service_pb2.Publication:
    answer = await calls.publications.ListPublications(publications_service_pb2.ListPublicationsRequest(channel_id="web"))
    return next(one for one in answer.publications if one.channel_sku == sku)


async def until_shown(
    calls: Calls, shop: Shop, quantity: int, sku: str = "MUG-1", within_s: float = 30
) -> publications_service_pb2.Publication:
    """Waits until the shop shows a quantity and we know that it does."""

    async def look() -> publications_service_pb2.Publication | None:
        if shop.shown[sku] != quantity:
            return None
        found = await published(calls, sku)
        return found if not found.HasField("wanted_since") and found.acknowledged == quantity else None

    return await eventually(look, within_s)  # type: ignore[no-any-return]


async def test_a_quantity_follows_the_stock_in_the_channels_units(settings: Settings) -> None:
    shop = Shop({"MUG-1": 3, "MUG-6": 0})
    async with told_shop(settings, shop) as (calls, item_id):
        await list_item(calls, "MUG-6", item_id, 6)
        await until_shown(calls, shop, 50)
        await adjust(calls, item_id, 10)
        found = await until_shown(calls, shop, 60)
        assert (found.wanted, found.sent, found.acknowledged) == (60, 60, 60)
        # A listing that came later is found when the channel is read back.
        await calls.publications.ReconcileChannel(publications_service_pb2.ReconcileChannelRequest(request_id=new_id(), channel_id="web"))
        await until_shown(calls, shop, 10, "MUG-6")
        # An order reserves; a buffer is kept back.
        await calls.orders.CreateOrder(order("1", 2))
        await until_shown(calls, shop, 58)
        await calls.stock.SetStockPolicy(stock_service_pb2.SetStockPolicyRequest(request_id=new_id(), channel_id="web", quantity=8))
        await until_shown(calls, shop, 50)
        await until_shown(calls, shop, 8, "MUG-6")
        figures = await calls.publications.GetPublicationFigures(publications_service_pb2.GetPublicationFiguresRequest())
        assert [(one.channel_id, one.listings, one.behind, one.breaker) for one in figures.channels] == [("web", 2, 0, "CLOSED")]


async def test_a_listing_is_told_as_its_policy_says_and_paused_at_once(settings: Settings) -> None:
    shop = Shop({"MUG-1": 3, "MUG-6": 0})
    async with told_shop(settings, shop) as (calls, item_id):
        await until_shown(calls, shop, 50)
        # A listing that comes later is told without waiting for the channel to be read back.
        await list_item(calls, "MUG-6", item_id, 6)
        await until_shown(calls, shop, 8, "MUG-6", within_s=10)
        steps = listing_pb2.SyncPolicy(mode=listing_pb2.SYNC_MODE_STEPS, steps=[20, 40])
        await change_listing(calls, item_id, sync=steps)
        await until_shown(calls, shop, 40, within_s=10)
        await adjust(calls, item_id, -15)
        await until_shown(calls, shop, 20)
        await adjust(calls, item_id, -17)
        await until_shown(calls, shop, 18)
        await change_listing(calls, item_id, status=listing_pb2.LISTING_STATUS_PAUSED)
        await until_shown(calls, shop, 0, within_s=10)
        await change_listing(calls, item_id, sync=steps)
        await until_shown(calls, shop, 18, within_s=10)


async def test_many_changes_are_told_as_few(sqlite_settings: Settings) -> None:
    shop = Shop({"MUG-1": 0})
    async with told_shop(sqlite_settings, shop) as (calls, item_id):
        await until_shown(calls, shop, 50)
        before = len(shop.writes)
        for _ in range(30):
            await adjust(calls, item_id, 1)
        await until_shown(calls, shop, 80)
        assert len(shop.writes) - before < 15, "changes of one item within its window are one call"


async def test_whatever_the_channel_does_it_ends_right(sqlite_settings: Settings, impatient: None) -> None:
    shop = Shop({"MUG-1": 0})
    async with told_shop(sqlite_settings, shop) as (calls, item_id):
        await until_shown(calls, shop, 50)
        for units, mood in enumerate(("500", "429", "garbage", "nonsense", "drop answer"), 51):
            shop.moods += [mood] * 3
            await adjust(calls, item_id, 1)
            found = await until_shown(calls, shop, units)
            assert (found.repairs, found.error) == (0, ""), mood


async def test_a_channel_that_lies_is_found_out_and_repaired(sqlite_settings: Settings) -> None:
    shop = Shop({"MUG-1": 0})
    async with told_shop(sqlite_settings, shop) as (calls, item_id):
        await until_shown(calls, shop, 50)
        await eventually(lambda: read_back(calls))
        shop.moods.append("lie")
        await adjust(calls, item_id, 1)
        await eventually(lambda: acknowledged(calls, 51))
        assert shop.shown["MUG-1"] == 50, "it said yes and did nothing: only reading back finds that"
        await calls.publications.ReconcileChannel(publications_service_pb2.ReconcileChannelRequest(request_id=new_id(), channel_id="web"))
        assert (await until_shown(calls, shop, 51)).repairs == 1


async def read_back(calls: Calls) -> bool:
    """Says whether the channel was read back, as it is when it is connected."""
    figures = await calls.publications.GetPublicationFigures(publications_service_pb2.GetPublicationFiguresRequest())
    return figures.channels[0].HasField("reconciled_at")


async def acknowledged(calls: Calls, quantity: int) -> bool:
    return (await published(calls)).acknowledged == quantity


async def test_a_sale_that_we_have_not_heard_of_is_not_overwritten_unseen(sqlite_settings: Settings) -> None:
    shop = Shop({"MUG-1": 0})
    async with told_shop(sqlite_settings, shop) as (calls, item_id):
        await until_shown(calls, shop, 50)
        shop.shown["MUG-1"] = 48
        await adjust(calls, item_id, 5)
        found = await until_shown(calls, shop, 55)
        assert found.observed == 48, "the channel's own quantity was looked at before it was set"


async def test_a_channel_that_fails_is_left_alone_for_a_while(
    sqlite_settings: Settings, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "BREAK_AFTER", 2)
    monkeypatch.setattr(publisher, "OPEN_US", 1_500_000)
    shop = Shop({"MUG-1": 0})
    async with told_shop(sqlite_settings, shop) as (calls, item_id):
        await until_shown(calls, shop, 50)
        shop.moods += ["500"] * 3
        await adjust(calls, item_id, 1)

        async def is_open() -> bool:
            figures = await calls.publications.GetPublicationFigures(publications_service_pb2.GetPublicationFiguresRequest())
            return figures.channels[0].breaker == "OPEN" and figures.channels[0].behind == 1

        await eventually(is_open)
        called = shop.calls
        # An order is not slowed by it.
        placed = await calls.orders.CreateOrder(order("1"))
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_OPEN)
        assert shop.calls <= called + 1
        await until_shown(calls, shop, 50)


async def test_who_has_nothing_to_tell_asks_nothing(sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is found by the service's one look, not by each channel's own."""
    asked, closed = 0, publisher.ChannelVoice._closed

    async def counted(self: publisher.ChannelVoice) -> bool:
        nonlocal asked
        asked += 1
        return await closed(self)

    monkeypatch.setattr(publisher.ChannelVoice, "_closed", counted)
    shop = Shop({"MUG-1": 0})
    async with told_shop(sqlite_settings, shop) as (calls, item_id):
        await until_shown(calls, shop, 50)
        await asyncio.sleep(1)
        before = asked
        await asyncio.sleep(1.5)
        assert asked == before > 0
        await adjust(calls, item_id, 1)
        await until_shown(calls, shop, 51)


async def test_a_busy_shop_is_called_no_faster_than_it_allows(sqlite_settings: Settings) -> None:
    shop = Shop({f"ART-{n}": 0 for n in range(300)} | {"MUG-1": 0})
    async with told_shop(sqlite_settings, shop) as (calls, _):
        item_id = await publish_item(calls, "ART")
        await receive(calls, item_id, "BER", 7, 700)
        for number in range(300):
            await list_item(calls, f"ART-{number}", item_id, 1)
        await calls.publications.ReconcileChannel(publications_service_pb2.ReconcileChannelRequest(request_id=new_id(), channel_id="web"))
        await eventually(lambda: all_shown(shop, 7), 60)
        assert shop.throttled == 0, "what the bucket holds is known, so that nothing is asked in vain"


async def test_a_channel_is_read_back_as_soon_as_it_is_connected_and_no_other(sqlite_settings: Settings) -> None:
    async with told_shop(sqlite_settings, Shop({"MUG-1": 3})) as (calls, _):
        again = publications_service_pb2.ReconcileChannelRequest
        await calls.publications.ReconcileChannel(again(request_id=new_id(), channel_id="web"))
        with pytest.raises(NotFound, match="the channel shop is not told anything"):
            await calls.publications.ReconcileChannel(again(request_id=new_id(), channel_id="shop"))


async def test_a_pack_that_came_apart_is_told_with_the_parcel_that_completes_it(settings: Settings) -> None:
    shop = Shop({"MUG-1": 0, "MUG-6": 0}, orders={"gid://shopify/Order/1001": {"gid://shopify/LineItem/5": 2}})
    async with told_shop(settings, shop) as (calls, item_id):
        await list_item(calls, "MUG-6", item_id, 6)
        request = order("1001", 2, sku="MUG-6")
        request.lines[0].external_line_id = "5"
        placed = await calls.orders.CreateOrder(request)
        [released] = await until_released(calls, placed.order_id)
        left_to_tell = []
        for number, quantity in enumerate((3, 6, 3)):
            line = fulfillment_pb2.ParcelLine(line_id=released.lines[0].line_id, quantity=quantity)
            await calls.fulfillment.ConfirmShipment(
                fulfillment_service_pb2.ConfirmShipmentRequest(
                    request_id=new_id(), fulfillment_order_id=released.fulfillment_order_id, lines=[line], tracking_number=f"T-{number}"
                )
            )

            async def told(number: int = number) -> list[publications_service_pb2.Dispatch] | None:
                found = (await calls.publications.ListDispatches(publications_service_pb2.ListDispatchesRequest())).dispatches
                return list(found) if [one.state for one in found] == ["ACKNOWLEDGED"] * (number + 1) else None

            dispatches = await eventually(told, 30)
            left_to_tell.append(shop.orders["gid://shopify/Order/1001"]["gid://shopify/LineItem/5"])
        assert left_to_tell == [2, 1, 0]
        assert [bool(one.external_id) for one in dispatches] == [True, True, False]
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        shipped = await calls.ops("orders").ReplayEvents(
            ops_service_pb2.ReplayEventsRequest(service="orders", aggregate="order", aggregate_id=placed.order_id, from_sequence=1)
        )
        events = [orders_events_pb2.LinesShipped.FromString(one.payload) for one in shipped.events if one.type.endswith(".LinesShipped")]
        assert [one.lines[0].quantity for one in events] == [0, 1, 1]


async def all_shown(shop: Shop, quantity: int) -> bool:
    return all(shown == quantity for sku, shown in shop.shown.items() if sku.startswith("ART"))


async def test_a_parcel_is_told_once_with_its_tracking(settings: Settings) -> None:
    shop = Shop({"MUG-1": 0}, orders={"gid://shopify/Order/1001": {"gid://shopify/LineItem/5": 2}})
    async with told_shop(settings, shop) as (calls, _):
        await until_shown(calls, shop, 50)
        request = order("1001", 2)
        request.lines[0].external_line_id = "5"
        placed = await calls.orders.CreateOrder(request)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_OPEN)
        await until_shown(calls, shop, 48)
        # The parcel is taken, the answer is lost: found again by its number, it is not told twice.
        shop.moods += ["", "drop answer"]
        await ship_all(calls, placed.order_id, "T-1")

        async def told() -> publications_service_pb2.Dispatch | None:
            found = (await calls.publications.ListDispatches(publications_service_pb2.ListDispatchesRequest())).dispatches
            return found[0] if found and found[0].state == "ACKNOWLEDGED" else None

        dispatch = await eventually(told, 30)
        assert [one["id"] for one in shop.fulfilments["gid://shopify/Order/1001"]] == [dispatch.external_id]
        assert shop.orders["gid://shopify/Order/1001"] == {"gid://shopify/LineItem/5": 0}
        assert LOCATION.endswith("/77")
