"""ShipStation (https://www.shipstation.com/docs/api): webhooks that only say where something is to be fetched, and its interface.

Nobody signs its webhooks, so they are sent to an address that holds the secret (`?key=`), and believed no further than that
something may be new: what is new is fetched from the account's own interface, and from nowhere else.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx

from gateway.channels.api import ApiRefusal, call, object_of
from gateway.channels.commands import Unreadable
from gateway.channels.warehouses import SHIPPED, Handed, Heard, Parcel, Said, ShippedLine

NEWS = {"SHIP_NOTIFY", "FULFILLMENT_SHIPPED"}
AWAITING = "awaiting_shipment"


def is_signed(signature: str, secrets: Sequence[str]) -> bool:
    """Says whether the address that a webhook was sent to held one of the secrets."""
    return any(hmac.compare_digest(one.encode(), signature.encode()) for one in secrets if one)


def name_of(content: bytes) -> str:
    """Returns what tells a webhook from others: its content."""
    return hashlib.sha256(content).hexdigest()


def is_hook(content: bytes) -> bool:
    """Says whether a body is one of its webhooks."""
    try:
        hook = json.loads(content)
        return isinstance(hook["resource_url"], str) and isinstance(hook["resource_type"], str)
    except (ValueError, RecursionError, KeyError, TypeError):
        return False


def understand(content: bytes) -> Heard:
    """Returns where a webhook sends us, or what shipments that were fetched mean; raises Unreadable."""
    try:
        told = json.loads(content)
        if "resource_url" in told:
            if told["resource_type"] not in NEWS:
                return Heard(ignored=f"nothing is done for {told['resource_type']}")
            return Heard(fetch=[str(told["resource_url"])])
        said = [_shipped(one) for one in told["shipments"] if not one["voided"] and not one.get("isReturnLabel")]
        return Heard(said) if said else Heard(ignored="no shipment is in it that was not voided")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"the body is no webhook and no list of shipments of ShipStation: {error!r}") from error


def _shipped(shipment: Mapping[str, Any]) -> Said:
    items = shipment["shipmentItems"]
    if items is None:
        raise Unreadable(f"the shipment {shipment['shipmentId']} does not say what is in it")
    lines = [ShippedLine(int(one["quantity"]), line_id=str(one.get("lineItemKey") or ""), sku=str(one["sku"])) for one in items]
    parcel = Parcel(
        str(shipment["shipmentId"]), str(shipment.get("carrierCode") or "")[:60], str(shipment.get("serviceCode") or "")[:60],
        str(shipment.get("trackingNumber") or "")[:60], [line for line in lines if line.quantity],
    )  # fmt: skip
    return Said(SHIPPED, str(shipment.get("orderKey") or ""), str(shipment["orderId"]), parcels=[parcel])


class ShipStation:
    """One account's interface; an order is created and changed by the same call, under our key."""

    accepts_by_taking = True

    def __init__(self, client: httpx.AsyncClient, url: str, token: str, warehouse_id: str) -> None:
        self._client = client
        self._url = url
        key, _, secret = token.partition(":")
        self._auth = httpx.BasicAuth(key, secret)
        self._warehouse_id = warehouse_id

    async def give(self, order: Handed) -> str:
        """Gives it an order: the same one, where it is there under our key."""
        return str(object_of(await self._save(order, AWAITING))["orderId"])

    async def change(self, order: Handed) -> bool:
        """Takes lines off, or cancels the order; what has shipped it does not change."""
        wanted = AWAITING if order.left else "cancelled"
        try:
            answer = object_of(await self._save(order, wanted))
        except ApiRefusal:
            return False
        return str(answer["orderStatus"]) == wanted

    async def look(self, order: Handed) -> Sequence[bytes]:
        """Returns the order's shipments."""
        asked = {"orderId": order.external_id, "includeShipmentItems": "true"}
        return [(await call(self._client, "GET", f"{self._url}/shipments", params=asked, auth=self._auth)).content]

    async def arrived(self, numbers: Sequence[str]) -> Sequence[bytes]:
        """It ships, and takes nothing in."""
        del numbers
        return []

    async def fetch(self, url: str) -> bytes:
        """Fetches shipments with what is in them, from the account's own interface."""
        parts, own = urlsplit(url), urlsplit(self._url)
        if parts.scheme != own.scheme or not _is_own(parts.netloc, own.netloc):
            raise ApiRefusal(f"{parts.netloc or url} is not where {own.netloc} answers")
        query = {**dict(parse_qsl(parts.query)), "includeShipmentItems": "true"}
        whole = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(query), ""))
        return (await call(self._client, "GET", whole, auth=self._auth)).content

    async def _save(self, order: Handed, status: str) -> httpx.Response:
        to = order.address
        street = list(to.lines)
        address = {
            "name": to.name or to.company, "company": to.company, "street1": street[0] if street else "",
            "street2": street[1] if len(street) > 1 else "", "street3": ", ".join(street[2:]), "city": to.locality, "state": to.region,
            "postalCode": to.postal_code, "country": to.country_code, "phone": to.phone,
        }  # fmt: skip
        given = {
            "orderKey": order.reference, "orderNumber": order.order_number, "orderDate": order.placed_at, "orderStatus": status,
            **({"shipByDate": order.ship_by} if order.ship_by else {}), "customerEmail": order.email, "billTo": address, "shipTo": address,
            "requestedShippingService": order.method,
            "items": [
                {"lineItemKey": line.line_id, "sku": line.sku, "name": line.sku, "quantity": line.quantity} for line in order.left
            ],
            "advancedOptions": {"warehouseId": self._warehouse_id},
        }  # fmt: skip
        return await call(self._client, "POST", f"{self._url}/orders/createorder", json=given, auth=self._auth)


def _is_own(host: str, own: str) -> bool:
    """Says whether a host is the one that is called, or another of the same service: ssapi6.shipstation.com beside ssapi."""
    family = own.partition(".")[2]
    return host == own or (family.count(".") >= 1 and not own.replace(".", "").replace(":", "").isdecimal() and host.endswith(f".{family}"))
