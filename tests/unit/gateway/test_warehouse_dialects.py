"""What ShipHero, ShipBob and ShipStation say: real webhooks, and what only looks like one."""

import json
from typing import Any

import httpx
import pytest

from gateway.channels import shipbob, shiphero, shipstation
from gateway.channels.api import ApiFailure
from gateway.channels.commands import Unreadable
from gateway.channels.shipstation import _is_own
from gateway.channels.warehouses import (
    ACCEPTED,
    REJECTED,
    SHIPPED,
    STUCK,
    Arrived,
    BackLine,
    Bill,
    BillLine,
    ComingBack,
    Parcel,
    Said,
    ShippedLine,
)
from tests.samples import need_samples, samples


def real(name: str) -> bytes:
    files = samples(f"wms/{name}.json")
    need_samples(files)
    return files[0].read_bytes()


def test_shiphero_says_that_it_has_what_is_needed() -> None:
    (said,) = shiphero.understand(real("shiphero_order_allocated")).said
    assert said == Said(ACCEPTED, "MO351", "T3JkZXI6MjA0MTU5MDYy")
    assert "Tote Complete" in shiphero.understand(b'{"webhook_type": "Tote Complete"}').ignored


def test_shiphero_names_lines_by_ours_where_it_knows_them() -> None:
    lines = [{"quantity": 2, "sku": "A", "partner_line_item_id": "l1"}, {"quantity": 1, "sku": "B"}, {"quantity": 0, "sku": "C"}]
    told = {"shipment_id": 7, "partner_order_id": "R", "line_items": lines, "shipping_carrier": None, "tracking_number": "T"}
    (said,) = shiphero.understand(json.dumps({"webhook_type": "Shipment Update", "fulfillment": told}).encode()).said
    assert said.parcels == [Parcel("7", "", "", "T", [ShippedLine(2, "l1", sku="A"), ShippedLine(1, sku="B")])]
    (said,) = shiphero.understand(b'{"webhook_type": "Order Canceled", "partner_order_id": "R"}').said
    assert (said.kind, said.reference) == (REJECTED, "R")


def test_shiphero_says_what_came_of_a_purchase_order_and_what_comes_back() -> None:
    lines = [
        {"sku": "A", "quantity": 9, "quantity_received": 2},
        {"sku": "A", "quantity_received": "1"},
        {"sku": "B", "quantity_received": 0},
    ]
    told = {"webhook_type": "PO Update", "purchase_order": {"po_number": "PO-7", "line_items": lines}}
    assert shiphero.understand(json.dumps(told).encode()).arrived == [Arrived("PO-7", "PO-7", {"A": 3})]
    told["purchase_order"] = {"po_number": "PO-7", "line_items": lines[2:]}
    assert "nothing of PO-7" in shiphero.understand(json.dumps(told).encode()).ignored
    (back,) = shiphero.understand(real("shiphero_return_update")).back
    line = BackLine(50, 0, 0, "Order #243-355933727", "CUTENESS", "Found it cheaper")
    assert back == ComingBack("UmV0dXJuOjMzOTQzMDM=", [line], "Order #243", "T3JkZXI6MjcyMjcxNzA2")


def test_shipbob_has_what_it_has_stowed() -> None:
    (arrived,) = shipbob.understand(real("shipbob_wro_1")).arrived
    assert arrived == Arrived("POTEST1", "WRO 443001", {"100": 100, "101": 100, "102": 100})
    counted = {"sku": "A", "expected_quantity": 5, "received_quantity": 5, "stowed_quantity": 0}
    told = {"id": 4, "purchase_order_number": "PO-7", "inventory_quantities": [counted]}
    assert "nothing of receiving order 4 is stowed" in shipbob.understand(json.dumps(told).encode()).ignored
    assert "no purchase order" in shipbob.understand(json.dumps({**told, "purchase_order_number": None}).encode()).ignored


def bob(**values: Any) -> bytes:
    shipment = {
        "id": 9, "order_id": 5, "reference_id": "R", "status": "Completed", "tracking": {"carrier": "USPS", "tracking_number": "T"},
        "products": [{"reference_id": "A", "quantity": 2}, {"sku": "B", "inventory_items": [{"quantity": 1}, {"quantity": 2}]}],
    }  # fmt: skip
    return json.dumps({**shipment, **values}).encode()


def test_shipbob_says_it_of_a_shipment_or_of_an_order() -> None:
    parcel = Parcel("9", "USPS", "", "T", [ShippedLine(2, sku="A"), ShippedLine(3, sku="B")])
    whole = json.dumps({"id": 5, "reference_id": "R", "status": "Fulfilled", "shipments": [json.loads(bob())]}).encode()
    assert shipbob.understand(bob()).said == shipbob.understand(whole).said == [Said(SHIPPED, "R", "5", parcels=[parcel])]
    (said,) = shipbob.understand(bob(status="OnHold", status_details=[{"name": "MissingAddress"}])).said
    assert (said.kind, said.reason) == (STUCK, "OnHold: MissingAddress")
    assert shipbob.understand(bob(status="Cancelled")).said[0].kind == REJECTED
    assert "Processing" in shipbob.understand(bob(status="Processing")).ignored


def test_shipstation_sends_us_to_look_and_says_what_was_voided() -> None:
    heard = shipstation.understand(
        b'{"resource_url": "https://ssapi6.shipstation.com/shipments?batchId=1", "resource_type": "SHIP_NOTIFY"}'
    )
    assert heard.fetch == ["https://ssapi6.shipstation.com/shipments?batchId=1"]
    assert shipstation.understand(b'{"resource_url": "https://x", "resource_type": "ORDER_NOTIFY"}').ignored
    # Fetched without what is in them, shipments are not believed.
    with pytest.raises(Unreadable, match="does not say what is in it"):
        shipstation.understand(real("shipstation_list_shipments"))
    told = json.loads(real("shipstation_list_shipments"))
    for one in told["shipments"]:
        one["shipmentItems"] = [{"quantity": 1, "sku": "A", "lineItemKey": "l1"}]
    told["shipments"][0]["voided"] = True
    said = shipstation.understand(json.dumps(told).encode()).said
    assert len(said) == len(told["shipments"]) - 1
    assert said[0].parcels[0].tracking_number == told["shipments"][1]["trackingNumber"]


@pytest.mark.parametrize(
    ("host", "own", "same"),
    [
        ("ssapi.shipstation.com", "ssapi.shipstation.com", True), ("ssapi6.shipstation.com", "ssapi.shipstation.com", True),
        ("shipstation.com", "ssapi.shipstation.com", False), ("ssapi.shipstation.com.evil.example", "ssapi.shipstation.com", False),
        ("evilshipstation.com", "ssapi.shipstation.com", False), ("10.0.0.2", "10.0.0.1", False), ("10.0.0.1:80", "10.0.0.1:81", False),
        ("other.com", "shipstation.com", False),
    ],
)  # fmt: skip
def test_only_the_service_itself_is_called(host: str, own: str, same: bool) -> None:
    assert _is_own(host, own) is same


@pytest.mark.parametrize("dialect", [shiphero, shipbob, shipstation])
@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"{}", b'{"webhook_type": "Shipment Update"}', b"\xff", b'{"shipments": 1}', b"[" * 9999]
)
def test_what_is_no_webhook_is_unreadable(dialect: Any, content: bytes) -> None:
    with pytest.raises(Unreadable):
        dialect.understand(content)


@pytest.mark.parametrize("name", ["shipbob_wro_1", "shipstation_get_order", "shipstation_list_orders", "shipbob_spec_receiving"])
def test_other_real_files_are_not_taken_for_parcels(name: str) -> None:
    for dialect in (shiphero, shipbob, shipstation):
        try:
            heard = dialect.understand(real(name))
        except Unreadable:
            continue
        assert not [one for one in heard.said if one.kind == SHIPPED]


def answering(*answers: bytes) -> httpx.AsyncClient:
    """A client that is answered with these bodies in turn, the last one again and again."""
    left = list(answers)
    return httpx.AsyncClient(
        transport=httpx.MockTransport(lambda request: httpx.Response(200, content=left.pop(0) if len(left) > 1 else left[0]))
    )


async def test_shipbob_has_its_articles_in_products_and_its_freight_in_invoices() -> None:
    async with answering(real("shipbob_products_2_0"), b"[]") as client:
        assert await shipbob.ShipBob(client, "http://bob", "token", "1").stock() == {"100": 0}
    said = json.loads(real("shipbob_spec_billing_transactions"))
    last = json.dumps({**said, "next": None, "items": []}).encode()
    async with answering(json.dumps(said).encode(), last) as client:
        bill = await shipbob.ShipBob(client, "http://bob", "token", "1").bill("12345")
    assert bill == Bill("12345", "USD", [BillLine("01AN4Z07BY79KA1307SR9X4MV3", "12345", 9)])


async def test_shipbob_counts_an_article_once_and_no_bundle() -> None:
    held = {"is_digital": False, "bundle_definition": [], "inventory": {"inventory_id": 7, "on_hand_qty": 4}}
    variants = [
        {**held, "id": 1, "sku": "A"}, {**held, "id": 2, "sku": "A"}, {**held, "id": 3, "sku": "B"}, {**held, "id": 4, "sku": ""},
        {**held, "id": 5, "sku": "C", "bundle_definition": [{"sku": "A"}]}, {**held, "id": 6, "sku": "D", "is_digital": True},
        {**held, "id": 7, "sku": "A", "inventory": {"inventory_id": 8, "on_hand_qty": 5}},
    ]  # fmt: skip
    # One that knows no pages says the same again and again.
    async with answering(json.dumps([{"variants": variants}]).encode()) as client:
        assert await shipbob.ShipBob(client, "http://bob", "token", "1").stock() == {"A": 9, "B": 4}


async def test_what_is_no_page_is_a_failure() -> None:
    circle = {"items": [{"invoice_id": 1, "invoice_type": "Shipping"}], "next": "c"}
    async with answering(json.dumps(circle).encode()) as client:
        with pytest.raises(ApiFailure, match="leads to itself"):
            await shipbob.ShipBob(client, "http://bob", "token", "1").bills("2026-01-01")
    page = {"edges": [{"node": {"on_hand": 1, "product": {"sku": "A"}}}], "pageInfo": {"hasNextPage": True, "endCursor": "c"}}
    async with answering(json.dumps({"data": {"warehouse_products": {"data": page}}}).encode()) as client:
        with pytest.raises(ApiFailure, match="leads to itself"):
            await shiphero.ShipHero(client, "http://hero", "token", "1").stock()
