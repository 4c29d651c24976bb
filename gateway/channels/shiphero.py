"""ShipHero (https://developer.shiphero.com): its webhooks, and its GraphQL interface as far as a warehouse is given orders.

Its webhooks are dropped while they are switched off, so what is awaited is asked for too.
"""

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from gateway.channels.api import ApiFailure, ApiRefusal, Strict, call, object_of
from gateway.channels.commands import Unreadable
from gateway.channels.warehouses import (
    ACCEPTED,
    REJECTED,
    SHIPPED,
    Arrived,
    BackLine,
    ComingBack,
    Handed,
    Heard,
    Parcel,
    Said,
    ShippedLine,
)

CREATE = "mutation($data: CreateOrderInput!) { order_create(data: $data) { order { id } } }"
FIND = """query($reference: String!) { orders(partner_order_id: $reference) { data(first: 1) { edges { node { id fulfillment_status
  line_items(first: 100) { edges { node { id sku partner_line_item_id quantity } } }
  shipments { id shipping_labels { carrier shipping_method tracking_number }
    line_items(first: 100) { edges { node { quantity line_item { sku partner_line_item_id } } } } } } } } } }"""
PURCHASE = """query($number: String!) { purchase_order(po_number: $number) { data { po_number
  line_items(first: 500) { edges { node { sku quantity quantity_received } } } } } }"""
STOCK = """query($warehouse: String!, $after: String) { warehouse_products(warehouse_id: $warehouse) { data(first: 100, after: $after) {
  edges { node { on_hand product { sku } } } pageInfo { hasNextPage endCursor } } } }"""
CANCEL = "mutation($data: CancelOrderInput!) { order_cancel(data: $data) { order { id fulfillment_status } } }"
LESSEN = "mutation($data: UpdateLineItemsInput!) { order_update_line_items(data: $data) { order { id } } }"
THROTTLED = 30


def is_signed(content: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Says whether one of the secrets signed the raw body: base64 of HMAC-SHA256."""
    made = [base64.b64encode(hmac.new(one.encode(), content, hashlib.sha256).digest()) for one in secrets if one]
    return any(hmac.compare_digest(one, signature.encode()) for one in made)


def topic_of(content: bytes) -> str:
    """Returns what a webhook is about; `unknown` where it does not say."""
    try:
        return str(json.loads(content)["webhook_type"])[:100]
    except (ValueError, RecursionError, KeyError, TypeError):
        return "unknown"


def understand(content: bytes) -> Heard:
    """Returns what a webhook means; raises Unreadable."""
    try:
        event = json.loads(content)
        own = str(event.get("partner_order_id") or ""), str(event.get("order_uuid") or "")
        match event["webhook_type"]:
            case "Order Allocated":
                return Heard([Said(ACCEPTED, *own)])
            case "Order Canceled":
                return Heard([Said(REJECTED, *own, "the warehouse cancelled it")])
            case "Shipment Update":
                return Heard([_shipped(event["fulfillment"])])
            case "PO Update":
                return _arrived(event["purchase_order"])
            case "Return Update":
                return Heard(back=[_back(event, own)])
            case other:
                return Heard(ignored=f"nothing is done for {other}")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"the body is no webhook of ShipHero: {error!r}") from error


def _shipped(told: Mapping[str, Any]) -> Said:
    lines = [
        ShippedLine(int(one["quantity"]), line_id=str(one.get("partner_line_item_id") or ""), sku=str(one["sku"]))
        for one in told["line_items"] if int(one["quantity"]) > 0
    ]  # fmt: skip
    number = str(told.get("shipment_uuid") or told["shipment_id"])
    parcel = Parcel(
        number, str(told.get("shipping_carrier") or "")[:60], str(told.get("shipping_method") or "")[:60],
        str(told.get("tracking_number") or "")[:60], lines,
    )  # fmt: skip
    return Said(SHIPPED, str(told.get("partner_order_id") or ""), str(told.get("order_uuid") or ""), parcels=[parcel])


def _arrived(told: Mapping[str, Any]) -> Heard:
    """It says the whole order again and again, with all that ever came of each line."""
    number = str(told["po_number"])
    units: Counter[str] = Counter()
    for line in told["line_items"]:
        units[str(line["sku"])] += int(line["quantity_received"])
    came = {sku: count for sku, count in units.items() if count > 0}
    return Heard(arrived=[Arrived(number, number, came)]) if came else Heard(ignored=f"nothing of {number} has come")


def _back(event: Mapping[str, Any], own: tuple[str, str]) -> ComingBack:
    """It says a return when it is made and whenever it changes; `restock` says whether what came may be sold again."""
    lines = [
        BackLine(
            int(one["quantity"]), int(one["quantity_received"]), int(one["quantity_received"]) if int(one.get("restock") or 0) else 0,
            str(one.get("partner_line_item_id") or ""), str(one["sku"]), str(one.get("item_reason") or event.get("reason") or ""),
        )
        for one in event["items"] if int(one["quantity"]) > 0
    ]  # fmt: skip
    return ComingBack(str(event.get("return_uuid") or event["return_id"]), lines, *own)


class ShipHero:
    """One account's interface. It says by itself, and later, that stock is allocated: that is when it accepts."""

    accepts_by_taking = False

    def __init__(self, client: httpx.AsyncClient, url: str, token: str, warehouse_id: str) -> None:
        self._client = client
        self._url = f"{url}/graphql"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._warehouse_id = warehouse_id

    async def give(self, order: Handed) -> str:
        """Gives it an order; one that is there under our reference is not given twice."""
        found = await self._find(order.reference)
        if found is not None:
            return str(found["id"])
        to = order.address
        first, _, last = to.name.partition(" ")
        street = list(to.lines)
        data = {
            "order_number": order.reference, "partner_order_id": order.reference, "shop_name": "Argosy", "fulfillment_status": "pending",
            "order_date": order.placed_at, **({"required_ship_date": order.ship_by} if order.ship_by else {}),
            "packing_note": order.order_number,
            "shipping_lines": {"title": order.method or "standard", "price": "0.00", "carrier": "", "method": order.method},
            "shipping_address": {
                "first_name": first, "last_name": last, "company": to.company, "address1": street[0] if street else "",
                "address2": ", ".join(street[1:]), "city": to.locality, "state": to.region, "zip": to.postal_code,
                "country": to.country_code, "phone": to.phone, "email": order.email,
            },
            "line_items": [
                {
                    "sku": line.sku, "partner_line_item_id": line.line_id, "quantity": line.quantity, "price": "0.00",
                    "product_name": line.sku, "warehouse_id": self._warehouse_id,
                }
                for line in order.left
            ],
        }  # fmt: skip
        answer = await self._call(CREATE, {"data": data})
        return str(answer["order_create"]["order"]["id"])

    async def change(self, order: Handed) -> bool:
        """Takes lines off, or the order away; what has shipped is not given back."""
        found = await self._find(order.reference)
        if found is None or found["fulfillment_status"] in ("canceled", "cancelled"):
            return True
        if found["fulfillment_status"] == "fulfilled":
            return False
        try:
            if not order.left:
                await self._call(CANCEL, {"data": {"order_id": found["id"], "reason": "no longer wanted"}})
                return True
            wanted = {line.line_id: line.quantity + line.shipped for line in order.whole}
            lines = [
                {"id": one["node"]["id"], "quantity": wanted.get(one["node"]["partner_line_item_id"], 0)}
                for one in found["line_items"]["edges"]
            ]
            await self._call(LESSEN, {"data": {"order_id": found["id"], "line_items": lines}})
        except ApiRefusal:
            return False
        return True

    async def look(self, order: Handed) -> Sequence[bytes]:
        """Returns each of its shipments as the webhook that would have told it."""
        found = await self._find(order.reference)
        return [_as_webhook(order.reference, shipment) for shipment in (found or {}).get("shipments") or []]

    async def arrived(self, numbers: Sequence[str]) -> Sequence[bytes]:
        """Returns each purchase order that it has as the webhook that would have told it."""
        found = []
        for number in numbers:
            order = (await self._call(PURCHASE, {"number": number}))["purchase_order"]["data"]
            if order is not None:
                lines = [edge["node"] for edge in order["line_items"]["edges"]]
                told = {"po_number": order["po_number"], "line_items": lines}
                found.append(json.dumps({"webhook_type": "PO Update", "purchase_order": told}, sort_keys=True).encode())
        return found

    async def stock(self) -> Mapping[str, int]:
        """Returns what the warehouse has on hand; what it has nothing of is nothing."""
        units: Counter[str] = Counter()
        after = None
        while True:
            asked = {"warehouse": self._warehouse_id, "after": after}
            page = (await self._call(STOCK, asked))["warehouse_products"]["data"]
            for edge in page["edges"]:
                units[str(edge["node"]["product"]["sku"])] += int(edge["node"]["on_hand"])
            if not page["pageInfo"]["hasNextPage"]:
                return units
            if page["pageInfo"]["endCursor"] == after:
                raise ApiFailure("a page of its stock leads to itself")
            after = page["pageInfo"]["endCursor"]

    async def fetch(self, url: str) -> bytes:
        """It says everything in its webhooks."""
        raise ApiRefusal(f"nothing is fetched from {url}")

    async def _find(self, reference: str) -> Any:
        edges = (await self._call(FIND, {"reference": reference}))["orders"]["data"]["edges"]
        return edges[0]["node"] if edges else None

    async def _call(self, query: str, variables: Mapping[str, Any]) -> Any:
        body = object_of(await call(self._client, "POST", self._url, json={"query": query, "variables": variables}, headers=self._headers))
        if errors := body.get("errors"):
            text = "; ".join(str(one.get("message")) for one in errors)
            if any(one.get("code") == THROTTLED for one in errors):
                raise ApiFailure(f"throttled: {text}")
            raise ApiRefusal(text)
        if not isinstance(body["data"], dict):
            raise ApiFailure("the answer holds no data")
        return Strict(body["data"])


def _as_webhook(reference: str, shipment: Mapping[str, Any]) -> bytes:
    label: Mapping[str, Any] = next(iter(shipment.get("shipping_labels") or []), {})
    lines = [
        {"quantity": one["node"]["quantity"], **{name: one["node"]["line_item"][name] for name in ("sku", "partner_line_item_id")}}
        for one in shipment["line_items"]["edges"]
    ]
    told = {
        "shipment_uuid": shipment["id"], "partner_order_id": reference, "tracking_number": label.get("tracking_number"),
        "shipping_carrier": label.get("carrier"), "shipping_method": label.get("shipping_method"), "line_items": lines,
    }  # fmt: skip
    return json.dumps({"webhook_type": "Shipment Update", "fulfillment": told}, sort_keys=True).encode()
