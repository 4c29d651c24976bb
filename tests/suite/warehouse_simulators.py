"""Warehouses of others on loopback, each with its own truth: ShipHero, ShipBob, ShipStation, and a mailbox for X12 documents.

They are as such services are on a bad day: away, or done and not said. A mood is used once each time it is named in `moods`.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

TOKEN = "key:of the tests"
SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, long enough").decode()


@dataclass
class Warehouse:
    """What all have in common: orders by our reference, and moods."""

    moods: list[str] = field(default_factory=list)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    given: int = 0
    # Purchase orders by our number: what came of each, by article.
    purchases: dict[str, dict[str, int]] = field(default_factory=dict)
    # What it has on hand, by article, and how often it was asked.
    stock: dict[str, int] = field(default_factory=dict)
    asked: int = 0

    def bad_day(self, request: Request) -> Response | None:
        """Returns what it answers without having done anything; None where it does what it is asked."""
        if not request.headers.get("authorization"):
            return JSONResponse({"message": "no token"}, 401)
        if self.moods and self.moods[0] == "away":
            self.moods.pop(0)
            return PlainTextResponse("", 503)
        return None

    def said(self, body: Any, status: int = 200) -> Response:
        """Answers to what was done, or forgets to."""
        if self.moods and self.moods[0] == "done, not said":
            self.moods.pop(0)
            return PlainTextResponse("<html>Bad Gateway</html>", 502)
        return JSONResponse(body, status)


class ShipHero(Warehouse):
    """Its GraphQL interface, and the webhooks that it would send."""

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/graphql", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        if bad := self.bad_day(request):
            return bad
        body = await request.json()
        query, variables = body["query"], body["variables"]
        if self.moods and self.moods[0] == "throttled":
            self.moods.pop(0)
            return JSONResponse({"errors": [{"code": 30, "message": "not enough credits"}]})
        if self.moods and self.moods[0] == "nonsense":
            self.moods.pop(0)
            return JSONResponse({"data": {"orders": {"data": {"edges": [{"other": 1}]}}}})
        if "orders(" in query:
            found = self.orders.get(variables["reference"])
            return JSONResponse({"data": {"orders": {"data": {"edges": [{"node": found}] if found else []}}}})
        if "purchase_order(" in query:
            came = self.purchases.get(variables["number"])
            return JSONResponse({"data": {"purchase_order": {"data": self._purchase(variables["number"]) if came is not None else None}}})
        if "warehouse_products(" in query:
            return JSONResponse({"data": {"warehouse_products": {"data": self._products(variables["after"])}}})
        data = variables["data"]
        if "order_create" in query:
            self.given += 1
            order = {"id": f"T3JkZXI6{self.given}", "fulfillment_status": "pending", "shipments": [], "data": data}
            order["line_items"] = {
                "edges": [{"node": {"id": f"L{index}", **{name: line[name] for name in ("sku", "partner_line_item_id", "quantity")}}}
                          for index, line in enumerate(data["line_items"])]
            }  # fmt: skip
            self.orders[data["partner_order_id"]] = order
            return self.said({"data": {"order_create": {"order": {"id": order["id"]}}}})
        order = next(one for one in self.orders.values() if one["id"] == data["order_id"])
        if order["fulfillment_status"] == "packing":
            return self.said({"errors": [{"code": 3, "message": "the order is being packed"}]})
        if "order_cancel" in query:
            order["fulfillment_status"] = "canceled"
        else:
            wanted = {line["id"]: line["quantity"] for line in data["line_items"]}
            for edge in order["line_items"]["edges"]:
                edge["node"]["quantity"] = wanted[edge["node"]["id"]]
        return self.said({"data": {"order_cancel": {"order": order}, "order_update_line_items": {"order": order}}})

    def ship(self, reference: str, number: str, quantity: int) -> bytes:
        """Ships of the first line, and returns the webhook that says so."""
        order = self.orders[reference]
        line = order["line_items"]["edges"][0]["node"]
        item = {"sku": line["sku"], "partner_line_item_id": line["partner_line_item_id"]}
        label = {"carrier": "ups", "shipping_method": "Ground", "tracking_number": f"1Z{number}"}
        order["shipments"].append(
            {"id": number, "shipping_labels": [label], "line_items": {"edges": [{"node": {"quantity": quantity, "line_item": item}}]}}
        )
        told = {
            "shipment_id": 1, "shipment_uuid": number, "partner_order_id": reference, "order_uuid": order["id"],
            "tracking_number": f"1Z{number}", "shipping_carrier": "ups", "shipping_method": "Ground",
            "line_items": [{**item, "id": 7, "quantity": quantity}],
        }  # fmt: skip
        return json.dumps({"webhook_type": "Shipment Update", "fulfillment": told}).encode()

    def _products(self, after: str | None) -> dict[str, Any]:
        """Returns an article a page."""
        self.asked += not after
        skus, position = sorted(self.stock), int(after or 0)
        nodes = [{"node": {"on_hand": self.stock[sku], "product": {"sku": sku}}} for sku in skus[position : position + 1]]
        return {"edges": nodes, "pageInfo": {"hasNextPage": position + 1 < len(skus), "endCursor": str(position + 1)}}

    def _purchase(self, number: str) -> dict[str, Any]:
        lines = [{"node": {"sku": sku, "quantity": 10, "quantity_received": count}} for sku, count in self.purchases[number].items()]
        return {"po_number": number, "line_items": {"edges": lines}}

    def come(self, number: str, sku: str, count: int) -> bytes:
        """Takes in so many of an article, and returns the webhook that says all that ever came of the order."""
        came = self.purchases.setdefault(number, {})
        came[sku] = came.get(sku, 0) + count
        lines = [edge["node"] for edge in self._purchase(number)["line_items"]["edges"]]
        return json.dumps({"webhook_type": "PO Update", "purchase_order": {"po_number": number, "line_items": lines}}).encode()

    def back(self, reference: str, number: str, quantity: int, received: int, *, restock: bool) -> bytes:
        """Returns the webhook about what a customer sends back of the first line."""
        line = self.orders[reference]["line_items"]["edges"][0]["node"]
        item = {
            "sku": line["sku"], "partner_line_item_id": line["partner_line_item_id"], "quantity": quantity, "quantity_received": received,
            "restock": int(restock), "item_reason": "Found it cheaper",
        }  # fmt: skip
        told = {"webhook_type": "Return Update", "return_id": 1, "return_uuid": number, "partner_order_id": reference, "items": [item]}
        return json.dumps({**told, "order_uuid": self.orders[reference]["id"]}).encode()

    def event(self, kind: str, reference: str) -> bytes:
        """Returns a webhook about an order."""
        return json.dumps({"webhook_type": kind, "partner_order_id": reference, "order_uuid": self.orders[reference]["id"]}).encode()

    @staticmethod
    def headers(content: bytes, name: str) -> dict[str, str]:
        made = base64.b64encode(hmac.new(SECRET.encode(), content, hashlib.sha256).digest()).decode()
        return {"x-shiphero-hmac-sha256": made, "x-shiphero-message-id": name}


class ShipBob(Warehouse):
    """Its orders, the webhooks that it would send, and its invoices: transactions by number."""

    def __init__(self) -> None:
        super().__init__()
        self.invoices: dict[int, list[dict[str, Any]]] = {}

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/order", self._list, methods=["GET"]), Route("/order", self._create, methods=["POST"]),
                Route("/order/{name}", self._get, methods=["GET"]), Route("/order/{name}/cancel", self._cancel, methods=["POST"]),
                Route("/receiving", self._receiving, methods=["GET"]), Route("/product", self._products, methods=["GET"]),
                Route("/invoices", self._list_invoices, methods=["GET"]),
                Route("/invoices/{number}/transactions", self._transactions, methods=["GET"]),
            ]
        )  # fmt: skip

    def _own(self, request: Request) -> dict[str, Any]:
        return next(one for one in self.orders.values() if str(one["id"]) == request.path_params["name"])

    async def _list(self, request: Request) -> Response:
        if bad := self.bad_day(request):
            return bad
        found = self.orders.get(request.query_params["ReferenceIds"])
        return JSONResponse([found] if found else [])

    async def _create(self, request: Request) -> Response:
        if bad := self.bad_day(request):
            return bad
        given = await request.json()
        if not given["recipient"]["address"]["zip_code"]:
            return JSONResponse({"recipient.address.zip_code": ["is required"]}, 422)
        self.given += 1
        self.orders[given["reference_id"]] = {
            "id": 5000 + self.given, "reference_id": given["reference_id"], "status": "Processing", "shipments": [], "given": given,
        }  # fmt: skip
        return self.said(self.orders[given["reference_id"]], 201)

    async def _get(self, request: Request) -> Response:
        return self.bad_day(request) or JSONResponse(self._own(request))

    async def _cancel(self, request: Request) -> Response:
        if bad := self.bad_day(request):
            return bad
        order = self._own(request)
        if order["status"] != "Processing":
            return JSONResponse({"message": f"an order that is {order['status']} cannot be cancelled"}, 422)
        order["status"] = "Cancelled"
        return self.said({"order_id": order["id"], "status": "Success"})

    async def _products(self, request: Request) -> Response:
        if bad := self.bad_day(request):
            return bad
        page = int(request.query_params["Page"])
        self.asked += page == 1
        return JSONResponse([self._product(page, sku) for sku in sorted(self.stock)[page - 1 : page]])

    def _product(self, number: int, sku: str) -> dict[str, Any]:
        variant = {
            "id": number, "sku": sku, "is_digital": False, "bundle_definition": [],
            "inventory": {"inventory_id": 100 + number, "on_hand_qty": self.stock[sku]},
        }  # fmt: skip
        return {"id": number, "type": "Regular", "variants": [variant]}

    async def _list_invoices(self, request: Request) -> Response:
        if bad := self.bad_day(request):
            return bad
        items = [{"invoice_id": number, "invoice_type": "Shipping", "invoice_date": "2026-01-05"} for number in self.invoices]
        return JSONResponse({"items": items, "next": None})

    async def _transactions(self, request: Request) -> Response:
        """Answers with a transaction a page."""
        if bad := self.bad_day(request):
            return bad
        found, position = self.invoices[int(request.path_params["number"])], int(request.query_params.get("Cursor", "0"))
        following = str(position + 1) if position + 1 < len(found) else None
        return JSONResponse({"items": found[position : position + 1], "next": following})

    def charge(self, invoice: int, shipment: int, amount: str, **values: Any) -> None:
        """Puts a transaction for a parcel's freight on an invoice."""
        transactions = self.invoices.setdefault(invoice, [])
        transactions.append(
            {
                "amount": float(amount), "currency_code": "EUR", "transaction_id": f"T{invoice}.{len(transactions)}",
                "transaction_type": "Charge", "transaction_fee": "Shipping", "reference_id": str(shipment), "reference_type": "Shipment",
                "invoice_id": invoice, "invoice_type": "Shipping", "taxes": [], **values,
            }
        )  # fmt: skip

    async def _receiving(self, request: Request) -> Response:
        return self.bad_day(request) or JSONResponse([self._received(number) for number in self.purchases])

    def _received(self, number: str) -> dict[str, Any]:
        counts = [
            {"inventory_id": 1, "sku": sku, "expected_quantity": 10, "received_quantity": count + 1, "stowed_quantity": count}
            for sku, count in self.purchases[number].items()
        ]
        return {"id": 443, "status": "Processing", "purchase_order_number": number, "inventory_quantities": counts}

    def come(self, number: str, sku: str, count: int) -> bytes:
        """Stows so many of an article, and returns the receiving order as it is."""
        came = self.purchases.setdefault(number, {})
        came[sku] = came.get(sku, 0) + count
        return json.dumps(self._received(number)).encode()

    def ship(self, reference: str, number: int, quantity: int) -> bytes:
        """Ships of the first product, and returns the webhook that says so."""
        order = self.orders[reference]
        sku = order["given"]["products"][0]["reference_id"]
        shipment = {
            "id": number, "order_id": order["id"], "reference_id": reference, "status": "Completed", "ship_option": "Standard",
            "tracking": {"carrier": "USPS", "tracking_number": f"9400{number}"},
            "products": [{"reference_id": sku, "sku": sku, "inventory_items": [{"quantity": quantity}]}],
        }  # fmt: skip
        order["shipments"].append(shipment)
        order["status"] = "Fulfilled"
        return json.dumps(shipment).encode()

    @staticmethod
    def headers(content: bytes, name: str) -> dict[str, str]:
        now = datetime.now(UTC)
        signature = Webhook(SECRET).sign(name, now, content.decode())
        return {"webhook-id": name, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


class ShipStation(Warehouse):
    """Its orders and shipments; `shipped` holds the latter."""

    def __init__(self) -> None:
        super().__init__()
        self.shipped: list[dict[str, Any]] = []

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/orders/createorder", self._save, methods=["POST"]), Route("/shipments", self._shipments)])

    async def _save(self, request: Request) -> Response:
        if bad := self.bad_day(request):
            return bad
        given = await request.json()
        known = self.orders.get(given["orderKey"])
        if known is None:
            self.given += 1
            known = {"orderId": 700 + self.given, "orderStatus": ""}
        elif known["orderStatus"] == "shipped":
            return JSONResponse({"Message": "the order has shipped"}, 400)
        self.orders[given["orderKey"]] = {**given, "orderId": known["orderId"]}
        return self.said(self.orders[given["orderKey"]])

    async def _shipments(self, request: Request) -> Response:
        if bad := self.bad_day(request):
            return bad
        wanted = request.query_params.get("orderId")
        found = [one for one in self.shipped if wanted in (None, str(one["orderId"]))]
        if request.query_params.get("includeShipmentItems") != "true":
            found = [{**one, "shipmentItems": None} for one in found]
        return JSONResponse({"shipments": found, "total": len(found), "page": 1, "pages": 1})

    def ship(self, reference: str, number: int, quantity: int, *, voided: bool = False) -> None:
        """Ships of the first item; one that is voided does not leave."""
        order = self.orders[reference]
        item = order["items"][0]
        self.shipped.append(
            {
                "shipmentId": number, "orderId": order["orderId"], "orderKey": reference, "carrierCode": "stamps_com",
                "serviceCode": "usps_first_class_mail", "trackingNumber": f"9400{number}", "voided": voided,
                "shipmentItems": [{"sku": item["sku"], "lineItemKey": item["lineItemKey"], "quantity": quantity}],
            }
        )  # fmt: skip


class Mailbox(Warehouse):
    """Where documents are posted."""

    def __init__(self) -> None:
        super().__init__()
        self.documents: list[bytes] = []

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/edi", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        if bad := self.bad_day(request):
            return bad
        content = await request.body()
        if content not in self.documents:
            self.documents.append(content)
        return self.said({"ok": True})
