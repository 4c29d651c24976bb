"""The contracts over HTTP: keys, idempotency, pages, etags, limits, and a problem document for everything refused."""

import json
from typing import Any

import httpx
import pytest

from chassis.kernel.ids import new_id
from gateway.http import transcode
from gateway.http.routes import Routes, contracts
from tests.background import Door

ROUTES = Routes(contracts())
ORDER: dict[str, Any] = {
    "channel_id": "web", "currency_code": "EUR", "entity": "DE01", "shipping_minor": 500,
    "ship_to": {"name": "A. Customer", "lines": ["Main Street 1"], "locality": "Berlin", "postal_code": "10115", "country_code": "DE"},
    "lines": [{"channel_sku": "MUG-1", "quantity": 2, "amount_minor": 2000}],
    "tenders": [{"method": "card", "state": "TENDER_STATE_CAPTURED", "amount_minor": 2975}],
}  # fmt: skip


def post(http: httpx.Client, path: str, body: Any, key: str = "") -> httpx.Response:
    return send(http, "POST", path, body, key)


def send(http: httpx.Client, verb: str, path: str, body: Any, key: str = "") -> httpx.Response:
    headers = {"Idempotency-Key": key or new_id(), "Content-Type": "application/json"}
    return http.request(verb, path, content=json.dumps(body), headers=headers)


def refused(answer: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["reason"], body["type"]) == (status, reason, f"urn:argosy:reason:{reason}")
    return body


def test_an_order_is_taken_once_and_read_back(http: httpx.Client) -> None:
    key, order = new_id(), {**ORDER, "external_order_id": "H-1"}
    first, again = post(http, "/v1/orders", order, key), post(http, "/v1/orders", order, key)
    assert (first.status_code, first.json()) == (200, again.json())
    assert [answer.headers.get("Idempotent-Replayed") for answer in (first, again)] == [None, "true"]
    reused = post(http, "/v1/orders", {**order, "shipping_minor": 1}, key)
    refused(reused, 422, "IDEMPOTENCY_KEY_REUSED")
    assert "Idempotent-Replayed" not in reused.headers
    read = http.get(f"/v1/orders/{first.json()['order_id']}").json()
    assert (read["external_order_id"], read["lines"][0]["ordered"]) == ("H-1", 2)
    assert http.get(f"/v1/orders/{read['order_id']}/shipTo").json()["address"]["country_code"] == "DE"
    by_channel = http.get("/v1/channels/web/orders/H-1").json()
    assert by_channel["order_id"] == first.json()["order_id"]


def test_a_stored_refusal_comes_marked(http: httpx.Client) -> None:
    key = new_id()
    answers = [post(http, "/v1/orders/no-such-order:cancel", {"reason": "gone"}, key) for _ in range(2)]
    first, again = (refused(answer, 404, "NO_SUCH_ORDER") for answer in answers)
    assert first == again
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [None, "true"]


def test_names_come_as_the_contract_has_them_or_in_camel_case(http: httpx.Client) -> None:
    order = {**ORDER, "external_order_id": "H-2"}
    camel = {"channelId": order.pop("channel_id"), "shippingMinor": str(order.pop("shipping_minor")), **order}
    assert post(http, "/v1/orders", camel).status_code == 200


def test_a_quoted_path_is_understood(http: httpx.Client) -> None:
    assert post(http, "/v1/orders", {**ORDER, "external_order_id": "H/3:ä"}).status_code == 200
    assert http.get("/v1/channels/web/orders/H%2F3%3A%C3%A4").json()["external_order_id"] == "H/3:ä"
    refused(http.get("/v1/channels/web/orders/%FF"), 400, "INVALID_FIELD")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"currency_code": 7}, "currency_code"), ({"lines": {}}, "lines"), ({"lines": [{"quantity": 1.5}]}, "lines[0].quantity"),
        ({"nonsense": 1}, "nonsense"), ({"shipping_minor": 2**63}, "shipping_minor"), ({"lines": []}, "lines"),
        ({"tenders": [{"state": "PAID"}]}, "tenders[0].state"), ({"placed_at": "yesterday"}, "placed_at"),
        ({"external_order_id": "a\x00"}, "external_order_id"),
        ({"ship_to": "Berlin"}, "ship_to"), ({"shipping_minor": True}, "shipping_minor"),
    ],
)  # fmt: skip
def test_bad_input_names_the_field(http: httpx.Client, change: dict[str, Any], field: str) -> None:
    body = refused(post(http, "/v1/orders", {"external_order_id": "H-4", **ORDER, **change}), 400, body_reason(field))
    assert body["errors"][0]["field"] == field


def body_reason(field: str) -> str:
    return "UNKNOWN_FIELD" if field == "nonsense" else "INVALID_FIELD"


def test_who_does_not_say_who_they_are_is_refused(door: Door) -> None:
    with httpx.Client(base_url=door.url) as nobody:
        assert refused(nobody.get("/v1/orders"), 401, "NO_CREDENTIALS")
        for credential in ("Bearer ak_1_2", "Bearer ak_", "Bearer x.y.z", "Basic eA==", "Bearer", "ak_"):
            answer = nobody.get("/v1/orders", headers={"Authorization": credential})
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_may_only_what_it_says_until_it_is_revoked(http: httpx.Client, door: Door) -> None:
    made = post(http, "/v1/keys", {"account": "reader", "permissions": ["orders.orders.read"]}).json()
    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {made['secret']}"}) as reader:
        assert reader.get("/v1/orders").status_code == 200
        body = refused(post(reader, "/v1/orders", ORDER), 403, "NOT_PERMITTED")
        assert body["metadata"]["permission"] == "orders.orders.create"
        refused(reader.post("/v1/keys:resolve", json={"key_id": made["key"]["key_id"]}), 403, "NOT_PERMITTED")


def test_a_secret_is_shown_once(http: httpx.Client) -> None:
    key = new_id()
    body = {"account": "once", "permissions": ["orders.orders.read"]}
    first, again = post(http, "/v1/keys", body, key).json(), post(http, "/v1/keys", body, key).json()
    assert first["secret"].startswith("ak_")
    assert (again["secret"], again["key"]) == ("", first["key"])


def test_pages_go_through_all_and_end(http: httpx.Client) -> None:
    for number in range(5):
        post(http, "/v1/orders", {**ORDER, "external_order_id": f"P-{number}"})
    seen: list[str] = []
    token = ""
    while True:
        page = http.get("/v1/orders", params={"page_size": 2, "page_token": token}).json()
        seen += [order["order_id"] for order in page["orders"]]
        token = page["next_page_token"]
        if not token:
            break
    assert len(seen) == len(set(seen)) >= 5
    refused(http.get("/v1/orders", params={"page_token": "nonsense"}), 400, "BAD_PAGE_TOKEN")
    refused(http.get("/v1/orders", params={"page_size": 501}), 400, "INVALID_FIELD")
    refused(http.get("/v1/orders?page_size=1&page_size=2"), 400, "INVALID_FIELD")


def test_a_stale_etag_is_refused(http: httpx.Client) -> None:
    order = post(http, "/v1/orders", {**ORDER, "external_order_id": "E-1"}).json()
    read = http.get(f"/v1/orders/{order['order_id']}")
    assert read.headers["etag"] == f'"{read.json()["etag"]}"'
    headers = {"Idempotency-Key": new_id(), "If-Match": '"0"'}
    stale = http.post(f"/v1/orders/{order['order_id']}:cancel", json={"reason": "no"}, headers=headers)
    refused(stale, 412, "ETAG_MISMATCH")


def test_what_is_no_request_of_ours_is_a_problem(http: httpx.Client) -> None:
    refused(http.get("/v1/nothing"), 404, "NO_SUCH_PATH")
    assert refused(http.delete("/v1/orders"), 405, "NO_SUCH_METHOD")["metadata"]["allow"] == "GET, POST"
    refused(http.post("/v1/orders", json=ORDER), 400, "NO_IDEMPOTENCY_KEY")
    headers = {"Idempotency-Key": new_id(), "Content-Type": "application/json"}
    for text in ("{", '{"channel_id": "\\ud800"}', "[]", "7", '{"a":' * 5000, '{"a": "\\', '{"a": 1}x'):
        assert http.post("/v1/orders", content=text, headers=headers).status_code == 400
    refused(http.post("/v1/orders", content="<a/>", headers={**headers, "Content-Type": "text/xml"}), 415, "NOT_JSON")
    refused(http.post("/v1/orders", content=b" " * (transcode.MOST_BYTES + 1), headers=headers), 413, "BODY_TOO_LARGE")
    refused(http.get("/v1/holds/kitchen"), 404, "NO_SUCH_SERVICE")


@pytest.mark.parametrize("route", ROUTES.all, ids=lambda route: f"{route.verb} {route.template}")
def test_no_route_fails_on_nonsense(http: httpx.Client, route: Any) -> None:
    path = route.template.replace("{service}", "orders").replace("{", "").replace("}", "")
    if not route.has_body:
        answers = [http.get(path, params={"page_size": -1}), http.get(path, params={"nonsense": "x"})]
        if not route.method.streams:
            answers.insert(0, http.get(path))
    else:
        answers = [send(http, route.verb, path, body) for body in ({}, {"nonsense": 1}, {"lines": 7, "requests": 7, "item_id": {}})]
    for answer in answers:
        assert answer.status_code < 500, answer.text
    assert answers[-1].status_code in (400, 404)


def test_the_document_and_its_page_are_served(door: Door) -> None:
    with httpx.Client(base_url=door.url) as nobody:
        document = nobody.get("/openapi.json").json()
        assert len(document["paths"]) >= 60
        page = nobody.get("/docs")
        assert "POST /v1/orders" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert nobody.get("/healthz").text == "ok"
