"""Warehouses of others: given their orders once whatever happens, asked back, and believed when they say what became of them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.gateway.v1 import connections_service_pb2, deliveries_service_pb2, warehouses_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app import publications, warehouses
from gateway.app.prove import prove
from gateway.calls import Calls
from gateway.channels import x12
from gateway.channels.commands import Unreadable
from suite import x12_files
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, until_released, until_status
from tests.listener import listening
from tests.suite.reported import silent
from tests.suite.test_promises import node
from tests.suite.warehouse_simulators import SECRET, TOKEN, Mailbox, ShipBob, ShipHero, ShipStation, Warehouse

OWN, PARTNER = "ZZ:ARGOSY", "01:123456789"
Handshake = fulfillment_pb2.Handshake


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told in vain is told again at once."""
    monkeypatch.setattr(publications, "PAUSE_US", 50_000)


class House:
    """A suite whose only location is a warehouse of others."""

    def __init__(self, calls: Calls, http: httpx.AsyncClient) -> None:
        self.calls = calls
        self.http = http

    async def place(self, number: str, quantity: int = 2) -> tuple[str, fulfillment_pb2.FulfillmentOrder]:
        placed = await self.calls.orders.CreateOrder(order(number, quantity))
        (released,) = await until_released(self.calls, placed.order_id)
        return placed.order_id, released

    async def status(self, fulfillment_order_id: str) -> fulfillment_pb2.FulfillmentOrder:
        request = fulfillment_service_pb2.GetFulfillmentOrderRequest(fulfillment_order_id=fulfillment_order_id)
        return await self.calls.fulfillment.GetFulfillmentOrder(request)

    async def until(self, fulfillment_order_id: str, handshake: int) -> None:
        async def look() -> bool:
            return (await self.status(fulfillment_order_id)).handshake == handshake

        await eventually(look)

    async def messages(self, **wanted: Any) -> list[warehouses_service_pb2.WarehouseMessage]:
        request = warehouses_service_pb2.ListWarehouseMessagesRequest(**wanted)
        return list((await self.calls.warehouse_messages.ListWarehouseMessages(request)).messages)

    async def until_told(self, fulfillment_order_id: str, kind: int, *states: int) -> warehouses_service_pb2.WarehouseMessage:
        async def look() -> Any:
            found = await self.messages(fulfillment_order_id=fulfillment_order_id)
            return next((one for one in found if one.kind == kind and one.state in states), None)

        return await eventually(look)  # type: ignore[no-any-return]

    async def hold(self, reason: str) -> Any:
        async def look() -> Any:
            found = (await self.calls.holds("gateway").ListHolds(holds_service_pb2.ListHoldsRequest(service="gateway"))).holds
            return next((one for one in found if one.reason == reason), None)

        return await eventually(look)

    async def release(self, hold: Any) -> None:
        await self.calls.holds("gateway").ReleaseHold(
            holds_service_pb2.ReleaseHoldRequest(request_id=new_id(), service="gateway", hold_id=hold.hold_id, resolution="looked at")
        )

    async def cancel(self, order_id: str) -> None:
        await self.calls.orders.CancelOrder(
            orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=order_id, reason="the customer asked")
        )

    async def hook(self, content: bytes, headers: dict[str, str], query: str = "") -> int:
        return (await self.http.post(f"/webhooks/3pl{query}", content=content, headers=headers)).status_code


def connection(dialect: int, url: str, **values: Any) -> connections_service_pb2.SetConnectionRequest:
    given: dict[str, Any] = {
        "request_id": new_id(), "channel_id": "3pl", "dialect": dialect, "entity": "DE01", "secret": SECRET, "api_url": url,
        "api_token": TOKEN, "external_location_id": "11790", "location_id": "3PL",
    }  # fmt: skip
    return connections_service_pb2.SetConnectionRequest(**{**given, **values})


@asynccontextmanager
async def house(settings: Settings, warehouse: Warehouse, dialect: int, path: str = "", **values: Any) -> AsyncIterator[House]:
    """A suite with one warehouse of others, and what it holds proved when the test is done."""
    async with listening(warehouse.app()) as url, running_suite(settings) as suite:  # type: ignore[attr-defined]
        calls = Calls(suite.channels)
        await open_shop(calls, {"3PL": 20})
        await node(calls, "3PL", 0)
        await calls.connections.SetConnection(connection(dialect, f"{url}{path}", **values))
        async with httpx.AsyncClient(base_url=f"http://{settings.host}:{settings.http_port}", timeout=20) as http:
            yield House(calls, http)
        assert (await prove(suite.channels, settled=True)).breaks == []


KINDS = warehouses_service_pb2
ORDER, CHANGE = KINDS.WAREHOUSE_MESSAGE_KIND_ORDER, KINDS.WAREHOUSE_MESSAGE_KIND_CHANGE
TAKEN, SENT, READY, FAILED, NEEDLESS = (
    getattr(KINDS, f"WAREHOUSE_MESSAGE_STATE_{name}") for name in ("TAKEN", "SENT", "READY", "FAILED", "NEEDLESS")
)


async def test_shiphero_is_given_an_order_once_and_says_what_left(settings: Settings) -> None:
    warehouse = ShipHero()
    async with house(settings, warehouse, connections_service_pb2.DIALECT_SHIPHERO) as own:
        warehouse.moods = ["throttled", "away", "nonsense"]
        order_id, released = await own.place("W-1")
        told = await own.until_told(released.fulfillment_order_id, ORDER, TAKEN)
        reference = warehouses.reference_of(released.fulfillment_order_id)
        assert (told.reference, told.external_id, told.attempts) == (reference, warehouse.orders[reference]["id"], 3)
        given = warehouse.orders[reference]["data"]
        assert (given["packing_note"], given["line_items"][0]["quantity"]) == ("W-1", 2)
        assert given["shipping_address"]["city"]
        assert (await own.status(released.fulfillment_order_id)).handshake == Handshake.HANDSHAKE_SUBMITTED
        allocated = warehouse.event("Order Allocated", reference)
        assert await own.hook(allocated, {**ShipHero.headers(allocated, "m1"), "x-shiphero-hmac-sha256": "forged"}) == 401
        assert await own.hook(allocated, ShipHero.headers(allocated, "m1")) == 200
        await own.until(released.fulfillment_order_id, Handshake.HANDSHAKE_ACCEPTED)
        # Two parcels, the first told twice under two names.
        first = warehouse.ship(reference, "s1", 1)
        for name in ("m2", "m3"):
            assert await own.hook(first, ShipHero.headers(first, name)) == 200
        second = warehouse.ship(reference, "s2", 1)
        assert await own.hook(second, ShipHero.headers(second, "m4")) == 200
        await until_status(own.calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)
        asked = fulfillment_service_pb2.ListShipmentsRequest(order_id=order_id)
        shipments = (await own.calls.fulfillment.ListShipments(asked)).shipments
        assert sorted((one.tracking_number, one.carrier, one.lines[0].quantity) for one in shipments) == [
            ("1Zs1", "ups", 1),
            ("1Zs2", "ups", 1),
        ]


CALLED = pytest.mark.parametrize(
    ("kind", "dialect"),
    [
        (ShipHero, connections_service_pb2.DIALECT_SHIPHERO), (ShipBob, connections_service_pb2.DIALECT_SHIPBOB),
        (ShipStation, connections_service_pb2.DIALECT_SHIPSTATION),
    ],
)  # fmt: skip


@CALLED
async def test_what_was_done_and_not_said_is_not_done_twice(sqlite_settings: Settings, kind: type[Warehouse], dialect: int) -> None:
    warehouse = kind()
    warehouse.moods = ["done, not said"]
    async with house(sqlite_settings, warehouse, dialect) as own:
        _, released = await own.place("W-1")
        told = await own.until_told(released.fulfillment_order_id, ORDER, TAKEN)
        assert (warehouse.given, warehouse.moods, told.attempts) == (1, [], 1)
        warehouse.moods = ["done, not said"]
        await own.cancel(released.order_id)
        await own.until_told(released.fulfillment_order_id, CHANGE, TAKEN)
        await until_status(own.calls, released.order_id, order_pb2.ORDER_STATUS_CANCELLED)


async def test_shipbob_gives_back_what_it_has_not_begun_and_ships_the_rest(settings: Settings) -> None:
    warehouse = ShipBob()
    async with house(settings, warehouse, connections_service_pb2.DIALECT_SHIPBOB) as own:
        order_id, released = await own.place("W-1")
        await own.until(released.fulfillment_order_id, Handshake.HANDSHAKE_ACCEPTED)
        reference = warehouses.reference_of(released.fulfillment_order_id)
        assert warehouse.orders[reference]["given"]["products"] == [
            {"reference_id": "MUG-1", "name": "MUG-1", "quantity": 2, "external_line_id": 1}
        ]
        await own.cancel(order_id)
        await until_status(own.calls, order_id, order_pb2.ORDER_STATUS_CANCELLED)
        assert warehouse.orders[reference]["status"] == "Cancelled"
        # One that it began to ship it keeps.
        second_id, second = await own.place("W-2")
        await own.until(second.fulfillment_order_id, Handshake.HANDSHAKE_ACCEPTED)
        reference = warehouses.reference_of(second.fulfillment_order_id)
        warehouse.orders[reference]["status"] = "Exception"
        stuck = json.dumps({**warehouse.orders[reference], "given": None}).encode()
        assert await own.hook(stuck, ShipBob.headers(stuck, "b0")) == 200
        await own.release(await own.hold("WAREHOUSE_STUCK"))
        await own.cancel(second_id)
        await own.until(second.fulfillment_order_id, Handshake.HANDSHAKE_CANCELLATION_REJECTED)
        shipped = warehouse.ship(reference, 81, 2)
        assert await own.hook(shipped, {**ShipBob.headers(shipped, "b1"), "webhook-id": "another"}) == 401
        assert await own.hook(shipped, ShipBob.headers(shipped, "b1")) == 200
        await until_status(own.calls, second_id, order_pb2.ORDER_STATUS_SHIPPED)


async def test_shipstation_only_says_where_to_look(settings: Settings) -> None:
    warehouse = ShipStation()
    async with house(settings, warehouse, connections_service_pb2.DIALECT_SHIPSTATION) as own:
        order_id, released = await own.place("W-1")
        await own.until(released.fulfillment_order_id, Handshake.HANDSHAKE_ACCEPTED)
        reference = warehouses.reference_of(released.fulfillment_order_id)
        warehouse.ship(reference, 1, 2, voided=True)
        warehouse.ship(reference, 2, 2)
        found = (await own.calls.connections.ListConnections(connections_service_pb2.ListConnectionsRequest())).connections
        url = next(one.api_url for one in found if one.channel_id == "3pl")
        # Another's address is not called, whatever the webhook says.
        elsewhere = json.dumps({"resource_url": "http://169.254.169.254/shipments", "resource_type": "SHIP_NOTIFY"}).encode()
        assert await own.hook(elsewhere, {}) == 401
        assert await own.hook(elsewhere, {}, f"?key={SECRET}") == 200
        refused = await own.hold("WAREHOUSE_NOT_TOLD")
        assert "169.254.169.254 is not where" in refused.detail
        hook = json.dumps(
            {"resource_url": f"{url}/shipments?batchId=9&includeShipmentItems=False", "resource_type": "SHIP_NOTIFY"}
        ).encode()
        assert await own.hook(hook, {}, f"?key={SECRET}") == 200
        await until_status(own.calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)
        shipments = (await own.calls.fulfillment.ListShipments(fulfillment_service_pb2.ListShipmentsRequest(order_id=order_id))).shipments
        assert [(one.tracking_number, one.carrier) for one in shipments] == [("94002", "stamps_com")]


@CALLED
async def test_a_warehouse_whose_webhooks_are_lost_is_asked(
    sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: type[Warehouse], dialect: int
) -> None:
    monkeypatch.setattr(warehouses, "LOOK_AGAIN_US", 300_000)
    warehouse = kind()
    async with house(sqlite_settings, warehouse, dialect) as own:
        order_id, released = await own.place("W-1")
        await own.until_told(released.fulfillment_order_id, ORDER, TAKEN)
        warehouse.ship(warehouses.reference_of(released.fulfillment_order_id), 12, 2)  # type: ignore[attr-defined]
        await until_status(own.calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)


def answer(kind: str, group: str, segments: list[list[str]], control: int) -> deliveries_service_pb2.TakeDeliveryRequest:
    content = x12.write(PARTNER, OWN, control, group, kind, segments, datetime.now(UTC))
    return deliveries_service_pb2.TakeDeliveryRequest(
        request_id=new_id(), channel_id="3pl", provider_delivery_id=x12.name_of(content), topic="x12", content=content
    )


def receipt(document: bytes, verdict: str, control: int) -> deliveries_service_pb2.TakeDeliveryRequest:
    group = x12.read(document).groups[0]
    segments = [
        ["AK1", "OW", group.control],
        ["AK2", "940", group.transactions[0].control],
        ["AK5", verdict],
        ["AK9", verdict, "1", "1", "1"],
    ]
    return answer("997", "FA", segments, control)


def advice(reference: str, shipment: str, quantity: int, ordered: int, control: int) -> deliveries_service_pb2.TakeDeliveryRequest:
    segments = [
        ["W06", "F", reference, "20261126", shipment], ["N9", "2I", f"TR-{shipment}"], ["W27", "M", "UPSN", "UPS GROUND"], ["LX", "1"],
        ["W12", "CC", str(ordered), str(quantity), str(ordered - quantity), "EA", "", "SK", "MUG-1"], ["N9", "LI", "1"],
        ["W03", str(quantity)],
    ]  # fmt: skip
    return answer("945", "SW", segments, control)


async def test_x12_goes_out_once_is_acknowledged_and_comes_back(settings: Settings) -> None:
    box = Mailbox()
    x12_house = house(
        settings, box, connections_service_pb2.DIALECT_X12_WAREHOUSE, "/edi", edi_own_id=OWN, edi_partner_id=PARTNER, secret=""
    )
    async with x12_house as own:
        take = own.calls.deliveries.TakeDelivery
        box.moods = ["away", "done, not said"]
        order_id, released = await own.place("W-1")
        told = await own.until_told(released.fulfillment_order_id, ORDER, SENT)
        # Said again, it is the same document under the same control number.
        (document,) = box.documents
        assert told.control_number == int(x12.read(document).control) == 1
        reference = x12.at(x12.read(document).groups[0].transactions[0].first("W05"), 2)
        assert reference == told.reference
        # One that cannot be read waits for a person, and is written anew.
        await take(receipt(document, "R", 1))
        await own.release(await own.hold("WAREHOUSE_NOT_TOLD"))

        async def written_anew() -> bool:
            return len(box.documents) == 2

        await eventually(written_anew)
        await own.until_told(released.fulfillment_order_id, ORDER, SENT)
        await take(receipt(box.documents[1], "A", 2))
        await own.until(released.fulfillment_order_id, Handshake.HANDSHAKE_ACCEPTED)
        with pytest.raises(NotFound, match="was taken"):
            await own.calls.warehouse_messages.GetWarehouseDocument(
                warehouses_service_pb2.GetWarehouseDocumentRequest(message_id=told.message_id)
            )
        # It ships one and says that the other will not come: sourced anew, there it goes again.
        await take(advice(reference, "S-1", 1, 2, 3))

        async def acknowledged() -> list[list[str]] | None:
            found = [x12.read(one).groups[0] for one in box.documents]
            return next((one.transactions[0].segments for one in found if one.kind == "FA"), None)  # type: ignore[return-value]

        assert await eventually(acknowledged) == [["AK1", "SW", "3"], ["AK2", "945", "0003"], ["AK5", "A"], ["AK9", "A", "1", "1", "1"]]

        async def rejected() -> bool:
            return (await own.status(released.fulfillment_order_id)).handshake == Handshake.HANDSHAKE_REJECTED

        await eventually(rejected)
        # The same advice again is the same delivery.
        await take(advice(reference, "S-1", 1, 2, 3))
        shipments = (await own.calls.fulfillment.ListShipments(fulfillment_service_pb2.ListShipmentsRequest(order_id=order_id))).shipments
        assert [(one.tracking_number, one.lines[0].quantity) for one in shipments] == [("TR-S-1", 1)]
        # One of an order that nobody gave it is not believed.
        await take(advice("NOBODYS", "S-9", 1, 1, 4))
        assert "is called NOBODYS" in (await own.hold("DELIVERY_UNREADABLE")).detail


async def test_x12_documents_wait_where_nothing_is_called_and_a_cancellation_is_one(settings: Settings) -> None:
    box = Mailbox()
    x12_house = house(
        settings, box, connections_service_pb2.DIALECT_X12_WAREHOUSE, edi_own_id=OWN, edi_partner_id=PARTNER, secret="",
        api_url="", api_token="",
    )  # fmt: skip
    async with x12_house as own:
        order_id, released = await own.place("W-1")
        told = await own.until_told(released.fulfillment_order_id, ORDER, READY)
        messages = own.calls.warehouse_messages
        asked = warehouses_service_pb2.GetWarehouseDocumentRequest(message_id=told.message_id)
        document = (await messages.GetWarehouseDocument(asked)).content
        sent = warehouses_service_pb2.MarkWarehouseMessageSentRequest(request_id=new_id(), message_id=told.message_id)
        assert (await messages.MarkWarehouseMessageSent(sent)).state == SENT
        await own.calls.deliveries.TakeDelivery(receipt(document, "A", 1))
        await own.until(released.fulfillment_order_id, Handshake.HANDSHAKE_ACCEPTED)
        await own.cancel(order_id)
        change = await own.until_told(released.fulfillment_order_id, CHANGE, READY)
        asked = warehouses_service_pb2.GetWarehouseDocumentRequest(message_id=change.message_id)
        document = (await messages.GetWarehouseDocument(asked)).content
        assert x12.read(document).groups[0].transactions[0].first("W05")[1] == "F"
        await own.calls.deliveries.TakeDelivery(receipt(document, "A", 2))
        await until_status(own.calls, order_id, order_pb2.ORDER_STATUS_CANCELLED)
        with pytest.raises(FailedPrecondition, match="does not wait"):
            needless = await own.until_told(released.fulfillment_order_id, CHANGE, NEEDLESS)
            await messages.MarkWarehouseMessageSent(
                warehouses_service_pb2.MarkWarehouseMessageSentRequest(request_id=new_id(), message_id=needless.message_id)
            )


async def test_documents_are_files_for_who_brings_them(sqlite_settings: Settings, tmp_path: Path) -> None:
    x12_house = house(
        sqlite_settings, Mailbox(), connections_service_pb2.DIALECT_X12_WAREHOUSE, edi_own_id=OWN, edi_partner_id=PARTNER, secret="",
        api_url="", api_token="",
    )  # fmt: skip
    async with x12_house as own:
        order_id, released = await own.place("W-1")
        told = await own.until_told(released.fulfillment_order_id, ORDER, READY)
        out = tmp_path / "out"
        assert await x12_files.fetch(own.calls, "3pl", out, silent) == 1
        assert await x12_files.fetch(own.calls, "3pl", out, silent) == 0
        (written,) = out.iterdir()
        assert written.name == "3pl-000000001.x12"
        back = tmp_path / "945.x12"
        back.write_bytes(advice(told.reference, "S-1", 2, 2, 1).content)
        delivered = await x12_files.deliver(own.calls, "3pl", [back, back], silent)
        assert [one.state for one in delivered] == [deliveries_service_pb2.DELIVERY_STATE_DONE] * 2
        assert len({one.delivery_id for one in delivered}) == 1
        await until_status(own.calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert await x12_files.fetch(own.calls, "3pl", out, silent) == 1
        assert x12.read((out / "3pl-000000002.x12").read_bytes()).groups[0].kind == "FA"
        back.write_bytes(b"no document")
        with pytest.raises(Unreadable, match="does not begin with ISA"):
            await x12_files.deliver(own.calls, "3pl", [back], silent)


async def test_who_was_silent_or_is_told_no_by_a_person_is_told_to_stop(sqlite_settings: Settings) -> None:
    warehouse = ShipBob()
    async with house(sqlite_settings, warehouse, connections_service_pb2.DIALECT_SHIPBOB) as own:
        _, released = await own.place("W-1")
        await own.until(released.fulfillment_order_id, Handshake.HANDSHAKE_ACCEPTED)
        reject = fulfillment_service_pb2.RejectFulfillmentOrderRequest(
            request_id=new_id(), fulfillment_order_id=released.fulfillment_order_id, reason="it is stuck there"
        )
        await own.calls.fulfillment.RejectFulfillmentOrder(reject)
        await own.until_told(released.fulfillment_order_id, CHANGE, TAKEN)
        assert warehouse.orders[warehouses.reference_of(released.fulfillment_order_id)]["status"] == "Cancelled"


async def test_what_could_not_be_given_is_refused_when_it_is_connected(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        shiphero = connections_service_pb2.DIALECT_SHIPHERO

        async def refused(field: str, **values: Any) -> None:
            with pytest.raises(InvalidArgument) as info:
                await calls.connections.SetConnection(connection(**{"dialect": shiphero, "url": "http://127.0.0.1:9", **values}))
            assert info.value.field == field

        await refused("location_id", location_id="")
        await refused("external_location_id", external_location_id="")
        await refused("api_url", api_url="")
        await refused("api_token", api_token="")
        await refused("secret", secret="")
        await refused("edi_own_id", dialect=connections_service_pb2.DIALECT_X12_WAREHOUSE)
        await refused("location_id", dialect=connections_service_pb2.DIALECT_SHOPIFY)
        await calls.connections.SetConnection(connection(shiphero, "http://127.0.0.1:9"))
        with pytest.raises(FailedPrecondition, match="is this location already"):
            await calls.connections.SetConnection(connection(shiphero, "http://127.0.0.1:9", channel_id="another"))
        # A file is not brought by a webhook that nobody signed.
        body = json.dumps({"resource_url": "http://127.0.0.1:9/x", "resource_type": "SHIP_NOTIFY"}).encode()
        x12_connection = connection(
            connections_service_pb2.DIALECT_X12_WAREHOUSE, "", channel_id="edi", location_id="EDI", edi_own_id=OWN, edi_partner_id=PARTNER
        )
        await calls.connections.SetConnection(x12_connection)
        async with httpx.AsyncClient(base_url=f"http://{sqlite_settings.host}:{sqlite_settings.http_port}", timeout=20) as http:
            assert (await http.post("/webhooks/edi", content=body)).status_code == 401


@pytest.mark.parametrize("carry_out_first", [True, False])
async def test_what_could_be_read_is_not_done_again_when_the_rest_is(sqlite_settings: Settings, carry_out_first: bool) -> None:
    x12_house = house(
        sqlite_settings, Mailbox(), connections_service_pb2.DIALECT_X12_WAREHOUSE, edi_own_id=OWN, edi_partner_id=PARTNER, secret="",
        api_url="", api_token="",
    )  # fmt: skip
    async with x12_house as own:
        order_id, released = await own.place("W-1")
        told = await own.until_told(released.fulfillment_order_id, ORDER, READY)
        # A good advice and one of an order that nobody gave it, in one interchange.
        good, bad = (
            advice(reference, shipment, 1, 1, 7).content.decode() for reference, shipment in ((told.reference, "S-1"), ("NOBODYS", "S-2"))
        )
        start, end = bad.index("ST*945"), bad.index("GE*")
        both = (
            good[: good.index("GE*")] + bad[start:end].replace("0007", "0008") + good[good.index("GE*") :].replace("GE*1", "GE*2")
        ).encode()
        request = deliveries_service_pb2.TakeDeliveryRequest(
            request_id=new_id(), channel_id="3pl", provider_delivery_id=x12.name_of(both), topic="x12", content=both
        )
        delivery = await own.calls.deliveries.TakeDelivery(request)

        async def shipped() -> bool:
            return (await own.status(released.fulfillment_order_id)).lines[0].shipped == 1

        async def carried_out() -> deliveries_service_pb2.Delivery | None:
            kept = await own.calls.deliveries.GetDelivery(deliveries_service_pb2.GetDeliveryRequest(delivery_id=delivery.delivery_id))
            return None if kept.open_orders else kept

        if carry_out_first:
            await eventually(shipped)
            await eventually(carried_out)
        await own.release(await own.hold("DELIVERY_UNREADABLE"))
        # Read again, it is held again, and what it said of the good one is not said anew.
        await own.hold("DELIVERY_UNREADABLE")
        await eventually(shipped)
        kept = await eventually(carried_out)
        assert "is called NOBODYS" in kept.detail
        assert (kept.state, kept.orders) == (deliveries_service_pb2.DELIVERY_STATE_UNREADABLE, 1)
        shipments = (await own.calls.fulfillment.ListShipments(fulfillment_service_pb2.ListShipmentsRequest(order_id=order_id))).shipments
        assert [one.lines[0].quantity for one in shipments] == [1]
        acknowledged = [one for one in await own.messages(channel_id="3pl") if one.kind == KINDS.WAREHOUSE_MESSAGE_KIND_ACKNOWLEDGEMENT]
        assert len(acknowledged) == 1
