"""ShipBob (https://developer.shipbob.com): its webhooks, whose order it does not promise, and its interface for orders."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from gateway.channels.amounts import minor
from gateway.channels.api import ApiFailure, ApiRefusal, Strict, body_of, call, object_of
from gateway.channels.commands import Unreadable
from gateway.channels.warehouses import (
    REJECTED,
    SHIPPED,
    STUCK,
    Arrived,
    Bill,
    BillLine,
    Handed,
    Heard,
    Parcel,
    Said,
    ShippedLine,
)

LEFT = {"Completed", "Fulfilled"}
STOPPED = {"Exception", "OnHold", "ImportReview"}
MOST_RECEIVING = MOST_PRODUCTS = MOST_BILLED = 250
# The kind of an invoice, and of what it asks for freight.
SHIPPING = "Shipping"


def is_signed(content: bytes, name: str, signature: str, secrets: Sequence[str]) -> bool:
    """Says whether one of the secrets signed the body within the last minutes; `signature` is the time, a comma, the header."""
    moment, _, given = signature.partition(",")
    headers = {"webhook-id": name, "webhook-timestamp": moment, "webhook-signature": given}
    for secret in secrets:
        try:
            if secret:
                Webhook(secret).verify(content, headers)
                return True
        except (WebhookVerificationError, ValueError):
            continue
    return False


def understand(content: bytes) -> Heard:
    """Returns what a webhook, an order or a receiving order that was looked at means; raises Unreadable. What is not new says so."""
    try:
        told = json.loads(content)
        if "inventory_quantities" in told:
            return _arrived(told)
        shipments = told.get("shipments", [told])
        own = str(told.get("reference_id") or ""), str(told.get("order_id") or told["id"])
        parcels = [_parcel(one) for one in shipments if one["status"] in LEFT]
        if parcels:
            return Heard([Said(SHIPPED, *own, parcels=parcels)])
        states = {one["status"] for one in shipments} | {told["status"]}
        if states == {"Cancelled"}:
            return Heard([Said(REJECTED, *own, "the warehouse cancelled it")])
        if stopped := sorted(states & STOPPED):
            why = [str(detail.get("name") or "") for one in shipments for detail in one.get("status_details") or []]
            return Heard([Said(STUCK, *own, f"{', '.join(stopped)}: {', '.join(why) or 'no reason given'}")])
        return Heard(ignored=f"nothing is done for {', '.join(sorted(states))}")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"the body is no order, shipment or receiving order of ShipBob: {error!r}") from error


def _arrived(told: Mapping[str, Any]) -> Heard:
    """What it counted it may still look for a place for: what can be sold is what it has stowed."""
    number = str(told.get("purchase_order_number") or "")
    units: Counter[str] = Counter()
    for line in told["inventory_quantities"]:
        units[str(line["sku"])] += int(line["stowed_quantity"])
    came = {sku: count for sku, count in units.items() if count > 0}
    if not number or not came:
        return Heard(ignored=f"nothing of receiving order {told['id']} is stowed" if number else f"{told['id']} is of no purchase order")
    return Heard(arrived=[Arrived(number, f"WRO {told['id']}", came)])


def _parcel(shipment: Mapping[str, Any]) -> Parcel:
    tracking = shipment.get("tracking") or {}
    lines = [ShippedLine(_quantity(one), sku=str(one.get("reference_id") or one["sku"])) for one in shipment["products"]]
    return Parcel(
        str(shipment["id"]), str(tracking.get("carrier") or "")[:60], str(shipment.get("ship_option") or "")[:60],
        str(tracking.get("tracking_number") or "")[:60], [line for line in lines if line.quantity],
    )  # fmt: skip


def _quantity(product: Mapping[str, Any]) -> int:
    if product.get("quantity") is not None:
        return int(product["quantity"])
    return sum(int(one["quantity"]) for one in product["inventory_items"])


def _charged(transaction: Mapping[str, Any]) -> int:
    """Returns what is charged, below zero where it is given back."""
    where = f"transaction {transaction['transaction_id']}"
    amount = minor(transaction["amount"], str(transaction["currency_code"]), where)
    return amount if transaction["transaction_type"] == "Charge" else -abs(amount)


class ShipBob:
    """One channel's interface: what it took, it ships, or says that it is stuck."""

    accepts_by_taking = True

    def __init__(self, client: httpx.AsyncClient, url: str, token: str, channel: str) -> None:
        self._client = client
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "shipbob_channel_id": channel}

    async def give(self, order: Handed) -> str:
        """Gives it an order; one that is there under our reference is not given twice."""
        found = await self._find(order.reference)
        if found is not None:
            return str(found["id"])
        to = order.address
        street = list(to.lines)
        given = {
            "reference_id": order.reference, "order_number": order.order_number, "purchase_date": order.placed_at,
            "shipping_method": order.method or "Standard", "type": "DTC",
            "recipient": {
                "name": to.name or to.company, "email": order.email, "phone_number": to.phone,
                "address": {
                    "company_name": to.company, "address1": street[0] if street else "", "address2": ", ".join(street[1:]),
                    "city": to.locality, "state": to.region, "zip_code": to.postal_code, "country": to.country_code,
                },
            },
            "products": [
                {"reference_id": line.sku, "name": line.sku, "quantity": line.quantity, "external_line_id": line.number}
                for line in order.left
            ],
        }  # fmt: skip
        return str(object_of(await self._call("POST", "order", json=given))["id"])

    async def change(self, order: Handed) -> bool:
        """Cancels the order; it cannot take a part off, and does not give back what it began to ship."""
        if order.left:
            return False
        name = order.external_id or str((await self._find(order.reference) or {}).get("id", ""))
        if not name:
            # It was never given.
            return True
        try:
            answer = object_of(await self._call("POST", f"order/{name}/cancel"))
        except ApiRefusal:
            return str(object_of(await self._call("GET", f"order/{name}"))["status"]) == "Cancelled"
        return str(answer["status"]) == "Success"

    async def look(self, order: Handed) -> Sequence[bytes]:
        """Returns the order as it is."""
        return [(await self._call("GET", f"order/{order.external_id}")).content]

    async def arrived(self, numbers: Sequence[str]) -> Sequence[bytes]:
        """Returns the newest receiving orders that are of these purchase orders, as they are."""
        answer = body_of(await self._call("GET", "receiving", params={"SortOrder": "Newest", "Limit": MOST_RECEIVING}))
        if not isinstance(answer, list):
            raise ApiFailure("the answer is no list")
        ours = [one for one in answer if one["purchase_order_number"] in numbers]
        return [json.dumps(one, sort_keys=True).encode() for one in ours]

    async def stock(self) -> Mapping[str, int]:
        """Returns what all its places together have on hand; SKUs that are one article to it have it together."""
        found: dict[str, dict[int, int]] = {}
        seen: set[int] = set()
        page = 1
        while True:
            products = body_of(await self._call("GET", "product", params={"Page": page, "Limit": MOST_PRODUCTS}))
            if not isinstance(products, list):
                raise ApiFailure("the answer is no list")
            fresh = [variant for product in products for variant in product["variants"] if variant["id"] not in seen]
            seen.update(variant["id"] for variant in fresh)
            for variant in fresh:
                if variant["sku"] and not variant["is_digital"] and not variant["bundle_definition"]:
                    held = variant["inventory"]
                    found.setdefault(str(variant["sku"]), {})[held["inventory_id"]] = int(held["on_hand_qty"])
            if not fresh:
                return {sku: sum(held.values()) for sku, held in found.items()}
            page += 1

    async def bills(self, since: str) -> Sequence[str]:
        """Returns the numbers of its invoices for shipping."""
        found = await self._pages("invoices", FromDate=since, InvoiceTypes=SHIPPING)
        return [str(one["invoice_id"]) for one in found if one["invoice_type"] == SHIPPING]

    async def bill(self, number: str) -> Bill:
        """Returns what an invoice says of parcels' freight, before tax. What it asks for picking and storing is no freight."""
        own = [
            one for one in await self._pages(f"invoices/{number}/transactions")
            if one["reference_type"] == "Shipment" and one["transaction_fee"] == SHIPPING
        ]  # fmt: skip
        currencies = {str(one["currency_code"]) for one in own}
        if len(currencies) > 1:
            raise Unreadable(f"invoice {number} is in {' and '.join(sorted(currencies))}")
        lines = [BillLine(str(one["transaction_id"]), str(one["reference_id"]), _charged(one)) for one in own]
        return Bill(number, "".join(currencies), lines)

    async def _pages(self, path: str, **asked: str) -> list[Any]:
        """Returns the items of all pages; each page names the next."""
        items: list[Any] = []
        cursor = ""
        while True:
            given = {**asked, "PageSize": str(MOST_BILLED), **({"Cursor": cursor} if cursor else {})}
            response = await self._call("GET", path, params=given)
            page = Strict(object_of(response, parse_float=Decimal))
            items += page["items"]
            if not page.get("next") or not page["items"]:
                return items
            if page["next"] == cursor:
                raise ApiFailure(f"a page of {path} leads to itself")
            cursor = str(page["next"])

    async def fetch(self, url: str) -> bytes:
        """It says everything in its webhooks."""
        raise ApiRefusal(f"nothing is fetched from {url}")

    async def _find(self, reference: str) -> Any:
        found = body_of(await self._call("GET", "order", params={"ReferenceIds": reference}))
        if not isinstance(found, list):
            raise ApiFailure("the answer is no list")
        return next((one for one in found if one.get("reference_id") == reference), None)

    async def _call(self, method: str, path: str, **given: Any) -> httpx.Response:
        return await call(self._client, method, f"{self._url}/{path}", headers=self._headers, **given)
