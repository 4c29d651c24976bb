"""Shopify's side in tests: orders as its webhooks carry them, signed as it signs them."""

import base64
import hashlib
import hmac
import json
from typing import Any

import httpx

SECRET = "shpss_of_the_tests"


def shopify_order(number: int, quantity: int = 2, **changes: Any) -> dict[str, Any]:
    """An order of `quantity` mugs at 10.00, with 19 % tax and 5.95 shipping, paid."""
    net, tax = 10 * quantity, 1.9 * quantity
    return {
        "id": number, "created_at": "2026-03-01T10:00:00+01:00", "updated_at": "2026-03-01T10:00:00+01:00", "currency": "EUR",
        "taxes_included": False, "financial_status": "paid", "fulfillment_status": None, "cancelled_at": None, "refunds": [],
        "email": "buyer@example.com", "total_price": f"{net + tax + 5.95:.2f}", "total_discounts": "0.00",
        "payment_gateway_names": ["shopify_payments"],
        "line_items": [
            {
                "id": number * 10 + 1, "sku": "MUG-1", "quantity": quantity, "price": "10.00",
                "tax_lines": [{"price": f"{tax:.2f}", "rate": 0.19}], "discount_allocations": [],
            }
        ],
        "shipping_lines": [{"price": "5.00", "tax_lines": [{"price": "0.95"}], "discount_allocations": []}],
        "shipping_address": {
            "name": "B. Uyer", "address1": "Main Street 1", "city": "Berlin", "zip": "10115", "country_code": "DE",
        },
        **changes,
    }  # fmt: skip


def shopify_refund(number: int, refund_id: int, quantity: int, amount: str, **changes: Any) -> dict[str, Any]:
    """A refund of some of the mugs."""
    return {
        "id": refund_id, "order_id": number, "note": "broken", "created_at": "2026-03-02T10:00:00+01:00",
        "refund_line_items": [
            {"id": 1, "line_item_id": number * 10 + 1, "quantity": quantity, "restock_type": "no_restock", "subtotal": 10.0}
        ],
        "transactions": [{"kind": "refund", "status": "success", "amount": amount, "currency": "EUR"}],
        **changes,
    }  # fmt: skip


def sign(content: bytes, secret: str = SECRET) -> str:
    """Signs a webhook as Shopify does."""
    return base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest()).decode()


async def deliver(
    http: httpx.AsyncClient, topic: str, body: Any, webhook_id: str, *, secret: str = SECRET, channel_id: str = "web"
) -> httpx.Response:
    """Delivers a webhook as Shopify does."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        "X-Shopify-Topic": topic, "X-Shopify-Webhook-Id": webhook_id, "X-Shopify-Hmac-SHA256": sign(content, secret),
        "Content-Type": "application/json",
    }  # fmt: skip
    return await http.post(f"/webhooks/{channel_id}", content=content, headers=headers)
