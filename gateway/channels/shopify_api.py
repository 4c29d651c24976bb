"""Shopify's Admin API (GraphQL, as of 2025-10), as far as a channel is told something: quantities and parcels.

Calls cost points out of a bucket that refills; what it holds comes with every answer, and the next call waits until there
is enough. A quantity is set against the one that the channel showed last (`compareQuantity`), so that a sale that we have
not heard of yet is never overwritten unseen.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from gateway.channels.api import ApiFailure, ApiRefusal, Strict

QUANTITIES_AT_ONCE = 100
SKUS_AT_ONCE = 50
EXPECTED_COST = 50.0
LONGEST_WAIT_S = 30.0
THROTTLED = "THROTTLED"
STALE = "COMPARE_QUANTITY_STALE"

FIND = "query($query: String!, $first: Int!) { inventoryItems(first: $first, query: $query) { nodes { id sku } } }"
READ = """query($ids: [ID!]!, $location: ID!) { nodes(ids: $ids) { ... on InventoryItem {
  id inventoryLevel(locationId: $location) { quantities(names: ["available"]) { name quantity } } } } }"""
SET = """mutation($input: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $input) {
  userErrors { code field message } } }"""
ORDER = """query($id: ID!) { order(id: $id) { id fulfillments(first: 50) { id trackingInfo { number } }
  fulfillmentOrders(first: 50) { nodes { id status lineItems(first: 250) { nodes { id remainingQuantity lineItem { id } } } } } } }"""
FULFIL = """mutation($fulfillment: FulfillmentInput!) { fulfillmentCreate(fulfillment: $fulfillment) {
  fulfillment { id } userErrors { field message } } }"""


class ShopifyApi:
    """One shop's API."""

    def __init__(self, client: httpx.AsyncClient, url: str, token: str, location_id: str) -> None:
        self._client = client
        self._url = f"{url}/graphql.json"
        self._token = token
        self._location = _gid("Location", location_id)
        self._points = EXPECTED_COST
        self._rate = 50.0
        self._counted_at = 0.0

    async def find(self, skus: Sequence[str]) -> dict[str, str]:
        """Returns the inventory item of each SKU that the shop has."""
        wanted = " OR ".join(f"sku:{_quoted(sku)}" for sku in skus)
        data = await self._call(FIND, {"query": wanted, "first": 2 * len(skus)})
        return {node["sku"]: node["id"] for node in data["inventoryItems"]["nodes"] if node["sku"] in skus}

    async def read(self, ids: Sequence[str]) -> dict[str, int]:
        """Returns what the shop shows of each inventory item at our location; what is not stocked there is missing."""
        data = await self._call(READ, {"ids": list(ids), "location": self._location})
        found = {}
        for node in data["nodes"]:
            level = (node or {}).get("inventoryLevel")
            if level:
                found[node["id"]] = int(level["quantities"][0]["quantity"])
        return found

    async def set_quantities(self, wanted: Mapping[str, tuple[int, int]], reference: str) -> dict[str, str]:
        """Sets inventory items to (quantity, what it showed before) and returns those it refused, with why; STALE where it differed.

        The shop takes all or nothing, so that what it refused is taken out and the others are sent again.
        """
        left, refused = dict(wanted), {}
        while left:
            ids = list(left)
            quantities = [
                {"inventoryItemId": one, "locationId": self._location, "quantity": left[one][0], "compareQuantity": left[one][1]}
                for one in ids
            ]
            given = {"name": "available", "reason": "correction", "referenceDocumentUri": reference, "quantities": quantities}
            errors = (await self._call(SET, {"input": given}))["inventorySetQuantities"]["userErrors"]
            if not errors:
                break
            wrong = {_index(error): error["code"] or error["message"] for error in errors}
            if None in wrong or not wrong.keys() <= set(range(len(ids))):
                raise ApiRefusal("; ".join(str(error["message"]) for error in errors))
            for index, why in wrong.items():
                refused[ids[index]] = why  # type: ignore[index]
                del left[ids[index]]  # type: ignore[index]
        return refused

    async def tell_parcel(self, order_id: str, lines: Mapping[str, int], company: str, number: str) -> str:
        """Says that units of an order's lines have left, and returns the fulfilment: the one that is there where it was told before."""
        order = (await self._call(ORDER, {"id": _gid("Order", order_id)}))["order"]
        if order is None:
            raise ApiRefusal(f"the shop has no order {order_id}")
        for one in order["fulfillments"]:
            if number and any(info["number"] == number for info in one["trackingInfo"]):
                return str(one["id"])
        parts = _parts(order, lines)
        given = {"lineItemsByFulfillmentOrder": parts, "notifyCustomer": True, "trackingInfo": {"company": company, "number": number}}
        answer = (await self._call(FULFIL, {"fulfillment": given}))["fulfillmentCreate"]
        if answer["userErrors"]:
            raise ApiRefusal("; ".join(str(error["message"]) for error in answer["userErrors"]))
        return str(answer["fulfillment"]["id"])

    async def _call(self, query: str, variables: Mapping[str, Any]) -> Any:
        await self._wait_for_points()
        headers = {"X-Shopify-Access-Token": self._token}
        try:
            response = await self._client.post(self._url, json={"query": query, "variables": variables}, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise ApiFailure(str(error) or type(error).__name__) from error
        body = _json(response)
        if response.status_code in (401, 403):
            raise ApiRefusal(f"HTTP {response.status_code}: the token is not accepted")
        if response.status_code != 200 or not isinstance(body, dict):
            self._slow_down(response)
            raise ApiFailure(f"HTTP {response.status_code}" if body is not None else f"HTTP {response.status_code}: the answer is no JSON")
        self._count(body)
        errors = body.get("errors")
        if errors:
            codes = {str((one.get("extensions") or {}).get("code")) for one in errors if isinstance(one, dict)}
            if THROTTLED in codes:
                self._points = 0.0
                raise ApiFailure("throttled")
            raise ApiFailure(f"the shop answered with errors: {str(errors)[:300]}")
        if not isinstance(body.get("data"), dict):
            raise ApiFailure("the answer holds no data")
        return Strict(body["data"])

    def _count(self, body: Mapping[str, Any]) -> None:
        """Keeps what the bucket holds, as the answer says."""
        status = ((body.get("extensions") or {}).get("cost") or {}).get("throttleStatus") or {}
        try:
            self._points, self._rate = float(status["currentlyAvailable"]), max(1.0, float(status["restoreRate"]))
        except (KeyError, TypeError, ValueError):
            return
        self._counted_at = asyncio.get_running_loop().time()

    def _slow_down(self, response: httpx.Response) -> None:
        if response.status_code == 429:
            after = response.headers.get("retry-after", "2")
            wait_s = float(after) if after.replace(".", "", 1).isdecimal() else 2.0
            self._points, self._counted_at = EXPECTED_COST - self._rate * wait_s, asyncio.get_running_loop().time()

    async def _wait_for_points(self) -> None:
        now = asyncio.get_running_loop().time()
        points = self._points + (now - self._counted_at) * self._rate
        if points < EXPECTED_COST:
            await asyncio.sleep(min((EXPECTED_COST - points) / self._rate, LONGEST_WAIT_S))


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _parts(order: Mapping[str, Any], lines: Mapping[str, int]) -> list[dict[str, Any]]:
    """Returns how the units are spread over the shop's own fulfilment orders; raises ApiRefusal where they do not fit."""
    left = {_gid("LineItem", line_id): quantity for line_id, quantity in lines.items()}
    parts = []
    for fulfilment_order in order["fulfillmentOrders"]["nodes"]:
        items = []
        for node in fulfilment_order["lineItems"]["nodes"]:
            quantity = min(left.get(node["lineItem"]["id"], 0), int(node["remainingQuantity"]))
            if quantity > 0:
                left[node["lineItem"]["id"]] -= quantity
                items.append({"id": node["id"], "quantity": quantity})
        if items:
            parts.append({"fulfillmentOrderId": fulfilment_order["id"], "fulfillmentOrderLineItems": items})
    missing = {line: quantity for line, quantity in left.items() if quantity}
    if missing:
        raise ApiRefusal(f"the shop does not wait for {missing}")
    return parts


def _gid(kind: str, identity: str) -> str:
    return identity if identity.startswith("gid://") else f"gid://shopify/{kind}/{identity}"


def _quoted(sku: str) -> str:
    return "'" + sku.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _index(error: Mapping[str, Any]) -> int | None:
    """Returns which of the quantities an error is about."""
    path = [str(part) for part in error.get("field") or []]
    return next((int(part) for part in path if part.isdecimal()), None)
