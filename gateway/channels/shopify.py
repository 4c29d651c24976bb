"""Shopify's order webhooks (https://shopify.dev/docs/api/webhooks): signature, topics, and what an order says.

An order topic carries the whole order as it is at `updated_at`, so each is taken as a picture of it: it exists, is paid,
is cancelled, has refunds. A refund topic carries one refund. Amounts are the shop's, not the customer's presentment.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from chassis.kernel.clock import SECOND
from gateway.channels.amounts import minor
from gateway.channels.commands import (
    CancelOrder,
    CapturePayment,
    CompareLines,
    FindOrder,
    GiveBack,
    OrderSteps,
    PlaceOrder,
    Step,
    Understood,
    Unmapped,
    Unreadable,
)

ORDER_TOPICS = {
    "orders/create", "orders/updated", "orders/paid", "orders/cancelled", "orders/fulfilled", "orders/partially_fulfilled",
}  # fmt: skip
REFUND_TOPIC = "refunds/create"
CAPTURED = {"paid", "partially_refunded", "refunded"}
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
STATES = {"authorized": "TENDER_STATE_AUTHORISED", "pending": "TENDER_STATE_PENDING", "expired": "TENDER_STATE_PENDING"}


def is_signed(content: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Says whether one of the secrets signed the raw body: base64 of HMAC-SHA256."""
    given = signature.encode()
    made = [base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest()) for secret in secrets if secret]
    return any(hmac.compare_digest(one, given) for one in made)


def understand(topic: str, content: bytes, entity: str, channel_id: str) -> Understood:
    """Returns what a delivery means; raises Unreadable."""
    if topic != REFUND_TOPIC and topic not in ORDER_TOPICS:
        return Understood(ignored=f"nothing is done for {topic}")
    try:
        data = json.loads(content, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the body is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise Unreadable("the body is no object")
    try:
        return Understood([_refund_alone(data)] if topic == REFUND_TOPIC else [_Picture(data, entity, channel_id).steps()])
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise Unreadable(f"{topic} is not as Shopify writes it: {error!r}") from error


def _refund_alone(refund: dict[str, Any]) -> OrderSteps:
    currency = next((t["currency"] for t in refund.get("transactions") or [] if t.get("currency")), "")
    return OrderSteps(_identity(refund, "order_id"), [Step(FindOrder()), _refund(refund, currency)])


def _identity(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value):
        raise Unreadable(f"{name}: {value!r} is no id")
    return str(value)


def _refund(refund: dict[str, Any], currency: str) -> Step:
    lines: dict[str, int] = {}
    for line in refund.get("refund_line_items") or []:
        external = _identity(line, "line_item_id")
        lines[external] = lines.get(external, 0) + int(line["quantity"])
    paid = [t for t in refund.get("transactions") or [] if t.get("kind") == "refund" and t.get("status", "success") == "success"]
    amount = sum(minor(t["amount"], currency, "refunds.transactions.amount") for t in paid) if paid else -1
    key = f"refund/{_identity(refund, 'id')}"
    return Step(GiveBack(key, str(refund.get("note") or "refunded by the channel"), lines, amount), key)


class _Picture:
    """An order as Shopify shows it at a moment."""

    def __init__(self, order: dict[str, Any], entity: str, channel_id: str) -> None:
        self._order = order
        self._entity = entity
        self._channel_id = channel_id
        self._currency = str(order["currency"])
        self._tax_included = bool(order.get("taxes_included"))

    def steps(self) -> OrderSteps:
        """Returns what it says: the order, then its payment, its cancellation or its refunds."""
        order = self._order
        lines = [self._line(line) for line in order["line_items"]]
        quantities = {line["external_line_id"]: line["quantity"] for line in lines}
        placing, review = self._placing(lines)
        # The claim changes with the lines, so that one change is looked at once.
        digest = hashlib.sha256(json.dumps(quantities, sort_keys=True).encode()).hexdigest()[:16]
        steps = [Step(PlaceOrder(json.dumps(placing), review)), Step(CompareLines(quantities), f"lines/{digest}")]
        if order.get("financial_status") in CAPTURED:
            steps.append(Step(CapturePayment(), "paid"))
        cancelled = bool(order.get("cancelled_at"))
        for refund in order.get("refunds") or []:
            step = _refund(refund, self._currency)
            restocked = {line.get("restock_type") for line in refund.get("refund_line_items") or []}
            # A cancelled order gives all back at once; what it refunded for that is part of it.
            if not (cancelled and restocked <= {"cancel"}):
                steps.append(step)
        if cancelled:
            steps.append(Step(CancelOrder(str(order.get("cancel_reason") or "cancelled by the channel")), "cancel"))
        return OrderSteps(_identity(order, "id"), steps, _moment(order.get("updated_at") or order["created_at"], "updated_at"))

    def _shop(self, data: dict[str, Any], name: str) -> int:
        """Returns an amount in the shop's currency."""
        money = (data.get(f"{name}_set") or {}).get("shop_money") or {}
        if money.get("currency_code", self._currency) != self._currency:
            raise Unreadable(f"{name}: is in {money['currency_code']}, the order in {self._currency}")
        return minor(money.get("amount", data.get(name, "0")), self._currency, name)

    def _sum(self, rows: Any, name: str) -> int:
        return sum(self._shop(row, name) for row in rows or [])

    def _line(self, line: dict[str, Any]) -> dict[str, Any]:
        quantity = int(line["quantity"])
        if quantity < 1:
            raise Unreadable(f"line_items.quantity: {quantity} is not positive")
        tax = self._sum(line.get("tax_lines"), "price")
        amount = self._shop(line, "price") * quantity - (tax if self._tax_included else 0)
        discount = self._sum(line.get("discount_allocations"), "amount")
        return {
            "channel_sku": str(line.get("sku") or "") or f"variant:{line.get('variant_id')}", "quantity": quantity,
            "external_line_id": _identity(line, "id"), "amount_minor": amount, "discount_minor": discount, "tax_minor": tax,
        }  # fmt: skip

    def _placing(self, lines: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
        """Returns the order to be placed, and what a person must look at before it is."""
        order = self._order
        shipping_tax = sum(self._sum(one.get("tax_lines"), "price") for one in order.get("shipping_lines") or [])
        shipping = sum(
            self._shop(one, "price") - self._sum(one.get("discount_allocations"), "amount") for one in order.get("shipping_lines") or []
        )
        shipping -= shipping_tax if self._tax_included else 0
        spread = sum(line["discount_minor"] for line in lines)
        spread += sum(self._sum(one.get("discount_allocations"), "amount") for one in order.get("shipping_lines") or [])
        discount = max(0, self._shop(order, "total_discounts") - spread)
        total = sum(line["amount_minor"] - line["discount_minor"] + line["tax_minor"] for line in lines)
        total += shipping + shipping_tax - discount
        asked = self._shop(order, "total_price")
        review = []
        if total != asked:
            review.append(f"the lines come to {total}, the order says {asked} (minor units of {self._currency})")
        if order.get("fulfillment_status") == "fulfilled":
            review.append("it was fulfilled elsewhere before it came here")
        placing = {
            "channel_id": self._channel_id, "external_order_id": _identity(order, "id"), "currency_code": self._currency,
            "entity": self._entity, "ship_to": self._address(), "lines": lines, "tenders": self._tenders(asked),
            "shipping_minor": shipping, "shipping_tax_minor": shipping_tax, "discount_minor": discount, "tax_charged": True,
            "placed_at": _rfc3339(order["created_at"]), "note": str(order.get("note") or "")[:1000],
            "language": _language(order.get("customer_locale")),
        }  # fmt: skip
        return placing, "; ".join(review)

    def _address(self) -> dict[str, Any]:
        given = self._order.get("shipping_address") or self._order.get("billing_address") or {}
        name = given.get("name") or f"{given.get('first_name') or ''} {given.get('last_name') or ''}"
        texts = {
            "name": name.strip(), "company": given.get("company"), "locality": given.get("city"), "region": given.get("province"),
            "postal_code": given.get("zip"), "country_code": given.get("country_code"), "phone": given.get("phone"),
            "email": self._order.get("email") or self._order.get("contact_email"),
        }  # fmt: skip
        lines = [str(given[key]) for key in ("address1", "address2") if given.get(key)]
        return {**{key: str(value) for key, value in texts.items() if value}, "lines": lines}

    def _tenders(self, asked: int) -> list[dict[str, Any]]:
        order = self._order
        method = str(next(iter(order.get("payment_gateway_names") or []), "") or order.get("gateway") or "shopify")[:40]
        status = order.get("financial_status") or "pending"
        if status == "voided" or not asked:
            return []
        if status in CAPTURED:
            return [{"method": method, "state": "TENDER_STATE_CAPTURED", "amount_minor": asked}]
        if status == "partially_paid":
            open_minor = self._shop(order, "total_outstanding")
            return [
                {"method": method, "state": "TENDER_STATE_CAPTURED", "amount_minor": asked - open_minor},
                {"method": method, "state": "TENDER_STATE_PENDING", "amount_minor": open_minor},
            ]
        if status not in STATES:
            raise Unmapped(f"financial_status: {status!r} is not known")
        return [{"method": method, "state": STATES[status], "amount_minor": asked}]


def _language(value: Any) -> str:
    """Returns the customer's language; nothing where it is not told as everybody does."""
    return str(value) if LANGUAGE.match(str(value or "")) else ""


def _when(value: Any, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise Unreadable(f"{where}: {value!r} is no moment") from error
    if moment.tzinfo is None:
        raise Unreadable(f"{where}: {value!r} has no zone")
    return moment


def _moment(value: Any, where: str) -> int:
    return int(_when(value, where).timestamp()) * SECOND


def _rfc3339(value: Any) -> str:
    return _when(value, "created_at").isoformat()
