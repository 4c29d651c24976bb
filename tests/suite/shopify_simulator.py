"""A Shopify shop's Admin API on loopback, as far as we call it, with all its moods: it throttles, fails and lies.

Written to Shopify's own description of the calls; a mood is used once each time it is named in `moods`, by the next call, a lie by
the next that sets quantities.
"""

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

TOKEN = "shpat_of_the_tests"
LOCATION = "gid://shopify/Location/77"
BUCKET, REFILL, COST = 200.0, 400.0, 20.0


@dataclass
class Shop:
    """The shop's own truth: what it shows of each SKU, and which of its orders are fulfilled."""

    shown: dict[str, int]
    moods: list[str] = field(default_factory=list)
    orders: dict[str, dict[str, int]] = field(default_factory=dict)
    fulfilments: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    calls: int = 0
    throttled: int = 0
    writes: list[dict[str, int]] = field(default_factory=list)
    points: float = BUCKET
    at: float = field(default_factory=time.monotonic)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/admin/api/graphql.json", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        self.calls += 1
        if request.headers.get("x-shopify-access-token") != TOKEN:
            return JSONResponse({"errors": "[API] Invalid API key"}, 401)
        body = await request.json()
        mood = self._mood(body["query"])
        if mood == "hang":
            await asyncio.sleep(60)
        if mood == "500":
            return PlainTextResponse("<html>Internal Server Error</html>", 500)
        if mood == "429":
            return JSONResponse({"errors": "Exceeded"}, 429, {"Retry-After": "0.2"})
        if mood == "garbage":
            return PlainTextResponse("\x00\xff not json", 200)
        if mood == "nonsense":
            return JSONResponse({"data": {"somethingElse": []}})
        if not self._pay():
            self.throttled += 1
            return JSONResponse({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}], **self._cost()})
        data = self._data(body["query"], body["variables"], lie=mood == "lie")
        if mood == "drop answer":
            return PlainTextResponse("", 502)
        return JSONResponse({"data": data, **self._cost()})

    def _mood(self, query: str) -> str:
        if not self.moods or (self.moods[0] == "lie" and "inventorySetQuantities" not in query):
            return ""
        return self.moods.pop(0)

    def _pay(self) -> bool:
        now = time.monotonic()
        self.points = min(BUCKET, self.points + (now - self.at) * REFILL)
        self.at = now
        if self.points < COST:
            return False
        self.points -= COST
        return True

    def _cost(self) -> dict[str, Any]:
        status = {"maximumAvailable": BUCKET, "currentlyAvailable": self.points, "restoreRate": REFILL}
        return {"extensions": {"cost": {"requestedQueryCost": COST, "throttleStatus": status}}}

    def _data(self, query: str, variables: dict[str, Any], *, lie: bool) -> dict[str, Any]:
        if "inventoryItems(" in query:
            skus = re.findall(r"sku:'([^']*)'", variables["query"])
            return {"inventoryItems": {"nodes": [{"id": gid(sku), "sku": sku} for sku in skus if sku in self.shown]}}
        if "nodes(ids:" in query:
            return {"nodes": [self._level(one) for one in variables["ids"]]}
        if "inventorySetQuantities" in query:
            return {"inventorySetQuantities": {"userErrors": self._set(variables["input"]["quantities"], lie=lie)}}
        if "fulfillmentCreate" in query:
            return {"fulfillmentCreate": self._fulfil(variables["fulfillment"])}
        assert "order(id:" in query
        return {"order": self._order(variables["id"])}

    def _level(self, identity: str) -> dict[str, Any]:
        quantities = [{"name": "available", "quantity": self.shown[identity.rsplit("/", 1)[1]]}]
        return {"id": identity, "inventoryLevel": {"quantities": quantities}}

    def _set(self, quantities: list[dict[str, Any]], *, lie: bool) -> list[dict[str, Any]]:
        errors = []
        for index, one in enumerate(quantities):
            assert one["locationId"] == LOCATION
            if self.shown[one["inventoryItemId"].rsplit("/", 1)[1]] != one["compareQuantity"]:
                where = ["input", "quantities", str(index), "compareQuantity"]
                errors.append({"code": "COMPARE_QUANTITY_STALE", "field": where, "message": "The compareQuantity is stale."})
        if not errors:
            told = {one["inventoryItemId"].rsplit("/", 1)[1]: one["quantity"] for one in quantities}
            self.writes.append(told)
            if not lie:
                self.shown.update(told)
        return errors

    def _order(self, identity: str) -> dict[str, Any] | None:
        if identity not in self.orders:
            return None
        nodes = [
            {"id": f"{line}/fo", "remainingQuantity": quantity, "lineItem": {"id": line}}
            for line, quantity in self.orders[identity].items()
        ]
        return {
            "id": identity, "fulfillments": self.fulfilments.get(identity, []),
            "fulfillmentOrders": {"nodes": [{"id": f"{identity}/fo", "status": "OPEN", "lineItems": {"nodes": nodes}}]},
        }  # fmt: skip

    def _fulfil(self, given: dict[str, Any]) -> dict[str, Any]:
        [part] = given["lineItemsByFulfillmentOrder"]
        order = part["fulfillmentOrderId"].removesuffix("/fo")
        for item in part["fulfillmentOrderLineItems"]:
            line = item["id"].removesuffix("/fo")
            if item["quantity"] > self.orders[order][line]:
                return {"fulfillment": None, "userErrors": [{"field": ["quantity"], "message": "Invalid quantity"}]}
            self.orders[order][line] -= item["quantity"]
        found = self.fulfilments.setdefault(order, [])
        found.append({"id": f"{order}/f{len(found) + 1}", "trackingInfo": [{"number": given["trackingInfo"]["number"]}]})
        return {"fulfillment": {"id": found[-1]["id"]}, "userErrors": []}


def gid(sku: str) -> str:
    """The inventory item that a SKU is."""
    return f"gid://shopify/InventoryItem/{sku}"
