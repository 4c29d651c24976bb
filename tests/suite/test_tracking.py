"""What carriers say of parcels by themselves: signed, in any order, doubled; the order hears when the last parcel arrived."""

import hashlib
import hmac
import json
from typing import Any

import httpx

from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.gateway.v1 import connections_service_pb2, deliveries_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, until_released, until_status

SECRET = "of the webhook"
LIFE = (("pre_transit", "01T08:00"), ("in_transit", "02T09:30"), ("out_for_delivery", "03T07:00"), ("delivered", "03T12:15"))


def tracker(number: str, so_far: int, **values: Any) -> bytes:
    """Returns an event that tells so much of a parcel's life."""
    details = [
        {
            "status": status, "message": f"it is {status}", "datetime": f"2026-11-{when}:00Z",
            "tracking_location": {"city": "Erfurt", "state": None, "country": "DE"},
        }
        for status, when in LIFE[:so_far]
    ]  # fmt: skip
    result = {"object": "Tracker", "tracking_code": number, "carrier": "DHL", "status": LIFE[so_far - 1][0], "tracking_details": details}
    return json.dumps({"id": f"evt_{number}_{so_far}", "description": "tracker.updated", "result": {**result, **values}}).encode()


async def tell(http: httpx.AsyncClient, body: bytes, secret: str = SECRET) -> int:
    signature = "hmac-sha256-hex=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return (await http.post("/webhooks/labels", content=body, headers={"x-hmac-signature": signature})).status_code


async def ship(calls: Calls, number: str, tracking_number: str) -> str:
    placed = await calls.orders.CreateOrder(order(number))
    (one,) = await until_released(calls, placed.order_id)
    request = fulfillment_service_pb2.ConfirmShipmentRequest(
        request_id=new_id(), fulfillment_order_id=one.fulfillment_order_id, carrier="DHL", tracking_number=tracking_number
    )
    await calls.fulfillment.ConfirmShipment(request)
    return str(placed.order_id)


async def test_a_parcel_is_followed_however_it_is_told(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        connection = connections_service_pb2.SetConnectionRequest(
            request_id=new_id(), channel_id="labels", dialect=connections_service_pb2.DIALECT_CARRIERS, entity="DE01", secret=SECRET
        )
        await calls.connections.SetConnection(connection)
        order_id = await ship(calls, "W-1", "JJD1")
        async with httpx.AsyncClient(base_url=f"http://{settings.host}:{settings.http_port}", timeout=20) as http:
            assert await tell(http, tracker("JJD1", 2), "another") == 401
            # A printed label says nothing new; what is told late and twice changes nothing.
            for so_far in (1, 4, 2, 4, 3):
                assert await tell(http, tracker("JJD1", so_far)) == 200
            await until_status(calls, order_id, order_pb2.ORDER_STATUS_DELIVERED)
            # A parcel may be faster than who says that it left.
            assert await tell(http, tracker("JJD2", 3)) == 200
            assert (
                await tell(http, json.dumps({"id": "evt_x", "description": "batch.updated", "result": {"object": "Batch"}}).encode()) == 200
            )
            assert await tell(http, tracker("JJD3", 4, tracking_details="none")) == 200
            second = await ship(calls, "W-2", "JJD2")

            async def under_way() -> fulfillment_pb2.Shipment | None:
                request = fulfillment_service_pb2.ListShipmentsRequest(order_id=second)
                (found,) = (await calls.fulfillment.ListShipments(request)).shipments
                return found if found.tracking_status == "OUT_FOR_DELIVERY" else None

            found = await eventually(under_way)
            told = (await calls.fulfillment.ListTracking(fulfillment_service_pb2.ListTrackingRequest(shipment_id=found.shipment_id))).events
            assert [(one.status, one.place) for one in told] == [
                (status, "Erfurt, DE") for status in ("PRE_TRANSIT", "IN_TRANSIT", "OUT_FOR_DELIVERY")
            ]
            deliveries = (await calls.deliveries.ListDeliveries(deliveries_service_pb2.ListDeliveriesRequest())).deliveries
            states = {one.provider_delivery_id: deliveries_service_pb2.DeliveryState.Name(one.state) for one in deliveries}
            assert states["evt_JJD1_1"] == states["evt_x"] == "DELIVERY_STATE_IGNORED"
            assert states["evt_JJD3_4"] == "DELIVERY_STATE_UNREADABLE"
        # All that was told late is read by now, and undid nothing.
        assert "DELIVERY_STATE_RECEIVED" not in states.values()
        assert (
            await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))
        ).status == order_pb2.ORDER_STATUS_DELIVERED
        assert (await prove(suite.channels, settled=True)).breaks == []
