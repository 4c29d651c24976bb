"""The promise in the whole suite: told, kept with the order, moved where a location says no, and told anew where it is late."""

from argosy.common.v1 import address_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2, promise_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, ship_all, until_released, until_status

ALWAYS = [holds_service_pb2.WorkingHours(weekday=day, opens="00:00", closes="24:00") for day in range(1, 8)]


async def node(calls: Calls, location_id: str, handling_days: int) -> None:
    calendar = holds_service_pb2.WorkingCalendar(time_zone="UTC", hours=ALWAYS)
    request = promise_service_pb2.SetNodeRequest(
        request_id=new_id(),
        location_id=location_id,
        calendar=calendar,
        cut_off="24:00",
        handling_days=handling_days,
        acknowledge_within_s=600,
    )
    await calls.promises.SetNode(request)


async def test_what_the_checkout_quotes_is_kept_and_a_location_that_says_no_makes_it_late(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 10, "HAM": 5})
        await node(calls, "BER", 0)
        await node(calls, "HAM", 4)
        transit = promise_service_pb2.SetTransitRequest(request_id=new_id(), least_days=1, most_days=1, saturdays=True)
        await calls.promises.SetTransit(transit)
        asked = promise_service_pb2.QuotePromiseRequest(
            channel_id="web", entity="DE01", currency_code="EUR",
            destination=address_pb2.Destination(country_code="DE", postal_prefix="101"),
            lines=[fulfillment_service_pb2.PlanLine(line_id="1", item_id=item_id, quantity=2, weight_g=500)],
        )  # fmt: skip
        (quote,) = (await calls.promises.QuotePromise(asked)).quotes
        assert list(quote.location_ids) == ["BER"]

        placed = await calls.orders.CreateOrder(order("W-1", quantity=2, promised_by=quote.deliver_by))
        (first,) = await until_released(calls, placed.order_id)
        assert (first.location_id, first.handshake) == ("BER", fulfillment_pb2.HANDSHAKE_SUBMITTED)
        assert first.deliver_by == quote.deliver_by
        read = orders_service_pb2.GetOrderRequest(order_id=placed.order_id)
        found = await calls.orders.GetOrder(read)
        assert found.promised_by == found.expected_by == quote.deliver_by

        reject = fulfillment_service_pb2.RejectFulfillmentOrderRequest(
            request_id=new_id(), fulfillment_order_id=first.fulfillment_order_id, reason="the line is down"
        )
        await calls.fulfillment.RejectFulfillmentOrder(reject)

        async def moved() -> fulfillment_pb2.FulfillmentOrder | None:
            own = await until_released(calls, placed.order_id)
            return next((one for one in own if one.location_id == "HAM"), None)

        assert (await eventually(moved)).ship_by.ToMicroseconds() > first.ship_by.ToMicroseconds()

        async def late() -> order_pb2.Order | None:
            told = await calls.orders.GetOrder(read)
            return told if told.expected_by.ToMicroseconds() > told.promised_by.ToMicroseconds() else None

        assert (await eventually(late)).promised_by == quote.deliver_by
        history = (await calls.orders.ListHistory(orders_service_pb2.ListHistoryRequest(order_id=placed.order_id))).entries
        assert {"REJECTED", "DELAYED"} <= {one.kind for one in history}

        # What Berlin gave back can be sold again.
        async def free() -> bool:
            request = stock_service_pb2.GetAvailabilityRequest(item_ids=[item_id], location_ids=["BER"])
            return (await calls.stock.GetAvailability(request)).items[0].available_to_sell == 10

        await eventually(free)
        for one in await until_released(calls, placed.order_id):
            if one.status == fulfillment_pb2.FULFILLMENT_STATUS_RELEASED:
                accept = fulfillment_service_pb2.AcceptFulfillmentOrderRequest(
                    request_id=new_id(), fulfillment_order_id=one.fulfillment_order_id
                )
                await calls.fulfillment.AcceptFulfillmentOrder(accept)
                ship = fulfillment_service_pb2.ConfirmShipmentRequest(request_id=new_id(), fulfillment_order_id=one.fulfillment_order_id)
                await calls.fulfillment.ConfirmShipment(ship)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)

        timeline = await calls.orders.GetTimeline(orders_service_pb2.GetTimelineRequest(order_id=placed.order_id))
        named = {entry.entry_id for entry in timeline.entries}
        assert all(set(sentence.entry_ids) <= named for sentence in timeline.story)
        assert {entry.service for entry in timeline.entries} == {"orders", "fulfillment"}
        text = " ".join(sentence.text for sentence in timeline.story)
        assert "a location would not ship it: BER: REJECTED: the line is down" in text
        assert "A parcel with 2 units left HAM" in text
        assert timeline.story[-1].text == "It is SHIPPED."

        # An order without a quote is promised what was planned first.
        other = await calls.orders.CreateOrder(order("W-2"))
        await ship_all(calls, other.order_id)
        assert (await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=other.order_id))).HasField("promised_by")
        await until_status(calls, other.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        proof = await prove(calls.channels, settled=True)
        assert not proof.breaks
