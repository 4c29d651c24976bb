"""What Shopify's orders mean: amounts, payments, refunds, and the samples that the world has."""

import json
from typing import Any

import msgspec
import pytest

from gateway.channels.commands import CancelOrder, CapturePayment, CompareLines, FindOrder, GiveBack, PlaceOrder, Unreadable
from gateway.channels.shopify import is_signed, understand
from tests.samples import need_samples, samples
from tests.suite.shopify import shopify_order, shopify_refund


def commands(body: Any, topic: str = "orders/updated") -> list[Any]:
    understood = understand(topic, json.dumps(body).encode(), "DE01", "web")
    return [step.command for step in understood.orders[0].steps]


def placed(body: Any) -> dict[str, Any]:
    first = commands(body)[0]
    assert isinstance(first, PlaceOrder)
    order: dict[str, Any] = json.loads(first.order)
    return order


def test_a_paid_order_is_placed_compared_and_captured() -> None:
    found = commands(shopify_order(1))
    assert [type(one) for one in found] == [PlaceOrder, CompareLines, CapturePayment]
    order = placed(shopify_order(1))
    assert order["lines"] == [
        {"channel_sku": "MUG-1", "quantity": 2, "external_line_id": "11", "amount_minor": 2000, "discount_minor": 0, "tax_minor": 380}
    ]
    assert (order["shipping_minor"], order["shipping_tax_minor"]) == (500, 95)
    assert order["tenders"] == [{"method": "shopify_payments", "state": "TENDER_STATE_CAPTURED", "amount_minor": 2975}]


def test_tax_that_is_included_is_taken_out() -> None:
    body = shopify_order(1, taxes_included=True, total_price="25.00")
    body["line_items"][0]["tax_lines"] = [{"price": "3.19"}]
    body["shipping_lines"] = [{"price": "5.00", "tax_lines": [{"price": "0.80"}]}]
    order = placed(body)
    assert (order["lines"][0]["amount_minor"], order["lines"][0]["tax_minor"]) == (2000 - 319, 319)
    assert (order["shipping_minor"], order["shipping_tax_minor"]) == (420, 80)
    assert not commands(body)[0].review


def test_a_discount_that_no_line_bears_is_the_orders() -> None:
    body = shopify_order(1, total_discounts="5.00", total_price="24.75")
    body["line_items"][0]["discount_allocations"] = [{"amount": "3.00"}]
    order = placed(body)
    assert (order["lines"][0]["discount_minor"], order["discount_minor"]) == (300, 200)
    assert not commands(body)[0].review


def test_shop_money_counts_not_what_the_customer_sees() -> None:
    body = shopify_order(1)
    body["line_items"][0]["price_set"] = {
        "shop_money": {"amount": "10.00", "currency_code": "EUR"}, "presentment_money": {"amount": "16.90", "currency_code": "AUD"},
    }  # fmt: skip
    body["line_items"][0]["price"] = "16.90"
    assert placed(body)["lines"][0]["amount_minor"] == 2000


@pytest.mark.parametrize(
    ("status", "tenders"),
    [
        ("paid", [("CAPTURED", 2975)]), ("partially_refunded", [("CAPTURED", 2975)]), ("authorized", [("AUTHORISED", 2975)]),
        ("pending", [("PENDING", 2975)]), (None, [("PENDING", 2975)]), ("voided", []),
        ("partially_paid", [("CAPTURED", 1975), ("PENDING", 1000)]),
    ],
)  # fmt: skip
def test_payment_is_an_axis_of_its_own(status: str | None, tenders: list[tuple[str, int]]) -> None:
    order = placed(shopify_order(1, financial_status=status, total_outstanding="10.00"))
    assert [(t["state"].removeprefix("TENDER_STATE_"), t["amount_minor"]) for t in order["tenders"]] == tenders


def test_a_total_that_does_not_foot_is_looked_at() -> None:
    assert "the lines come to 2975, the order says 9999" in commands(shopify_order(1, total_price="99.99"))[0].review


def test_yen_have_no_decimals() -> None:
    body = shopify_order(1, currency="JPY", total_price="19940")
    body["line_items"] = [{"id": 1, "sku": "A", "quantity": 2, "price": "9970"}]
    body["shipping_lines"] = []
    assert placed(body)["lines"][0]["amount_minor"] == 19940
    body["line_items"][0]["price"] = "25.99"
    with pytest.raises(Unreadable, match="more decimals than JPY"):
        commands(body)


def test_a_refund_alone_finds_its_order_first() -> None:
    find, back = commands(shopify_refund(5, 92, 1, "11.90"), "refunds/create")
    assert isinstance(find, FindOrder)
    assert back == GiveBack("refund/92", "broken", {"51": 1}, 1190)


def test_what_a_cancellation_refunds_is_part_of_it() -> None:
    refund = shopify_refund(1, 9, 2, "29.75")
    refund["refund_line_items"][0]["restock_type"] = "cancel"
    cancelled = shopify_order(1, cancelled_at="2026-03-01T11:00:00Z", cancel_reason="fraud", refunds=[refund])
    assert [type(one) for one in commands(cancelled)] == [PlaceOrder, CompareLines, CapturePayment, CancelOrder]


def test_commands_survive_being_written_down() -> None:
    for command in commands(shopify_order(1, refunds=[shopify_refund(1, 9, 1, "11.90")])):
        assert msgspec.json.decode(msgspec.json.encode(command), type=type(command)) == command


def test_a_signature_fits_one_body_and_one_secret() -> None:
    # echo -n '{"id":1}' | openssl dgst -sha256 -hmac secret -binary | base64
    signature = "A971iWIMgT8Zj9A9eWfikrFj7wQ16/Qwcc4OlRl2PLc="
    assert is_signed(b'{"id":1}', signature, ["", "other", "secret"])
    assert not is_signed(b'{"id":1}', signature, ["other"])
    assert not is_signed(b'{"id":1} ', signature, ["secret"])
    assert not is_signed(b"{}", "", [""])
    assert not is_signed(b"{}", "é", ["secret"])


ORDERS = samples("shopify/*order*.json")


@pytest.mark.parametrize("path", ORDERS or [None], ids=lambda path: path.stem if path else "none")
def test_real_orders_are_understood_or_refused_with_a_reason(path: Any) -> None:
    need_samples(path)
    data = json.loads(path.read_text())
    found = data.get("orders") or [data.get("order", data)] if isinstance(data, dict) else data
    for order in found:
        if not isinstance(order, dict) or "line_items" not in order or "financial_status" not in order:
            continue
        try:
            understood = understand("orders/create", json.dumps(order).encode(), "DE01", "web")
        except Unreadable as error:
            assert str(error)
            continue
        body = json.loads(understood.orders[0].steps[0].command.order)  # type: ignore[union-attr]
        assert body["external_order_id"] == str(order["id"])
        assert sum(line["quantity"] for line in body["lines"]) == sum(line["quantity"] for line in order["line_items"])
