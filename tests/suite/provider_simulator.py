"""A payment provider on loopback with its own truth: payments that are authorised, taken, let go, renewed and given back.

It says so by itself too (`event`), as often and as late as a test wants.

It is as providers are on a bad day: it does what it is asked and then fails to say so, is slow, or is away. A mood is used once each
time it is named in `moods`. What it did under a key it never does again, but answers as it answered.
"""

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

SECRET = "sk_of_the_tests"
ENDPOINT_SECRET = "whsec_of_the_tests"
WEEK_S = 7 * 86_400


@dataclass
class Payment:
    """What the provider holds of a customer's money."""

    amount: int
    taken: int = 0
    given_back: int = 0
    let_go: bool = False


@dataclass
class Bank:
    """The provider."""

    payments: dict[str, Payment] = field(default_factory=dict)
    moods: list[str] = field(default_factory=list)
    answered: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    calls: int = 0
    events: int = 0
    now_s: int = 1_800_000_000

    def app(self) -> Starlette:
        paths = {
            "/v1/payment_intents/{payment}/capture": self._capture, "/v1/payment_intents/{payment}/cancel": self._cancel,
            "/v1/payment_intents": self._renew, "/v1/refunds": self._refund,
        }  # fmt: skip
        return Starlette(routes=[Route(path, answer, methods=["POST"]) for path, answer in paths.items()])

    def authorise(self, name: str, amount: int) -> str:
        """Authorises, as a checkout does, and returns the payment's id."""
        self.payments[name] = Payment(amount)
        return name

    async def _once(self, request: Request, do: Any) -> Response:
        self.calls += 1
        if request.headers.get("authorization") != f"Bearer {SECRET}":
            return JSONResponse({"error": {"code": "unauthorized", "message": "no such key"}}, 401)
        key, mood = request.headers["idempotency-key"], self.moods.pop(0) if self.moods else ""
        if mood == "away":
            return PlainTextResponse("", 503)
        if key not in self.answered:
            self.answered[key] = do(await request.json())
        if mood == "done, not said":
            return PlainTextResponse("<html>Bad Gateway</html>", 502)
        if mood == "done, slowly":
            await asyncio.sleep(0.5)
        if mood == "garbage":
            return PlainTextResponse("\x00 not json", 200)
        status, body = self.answered[key]
        return JSONResponse(body, status)

    async def _capture(self, request: Request) -> Response:
        payment = self.payments[request.path_params["payment"]]

        def do(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            if payment.let_go or payment.taken + body["amount_to_capture"] > payment.amount:
                return 402, {"error": {"code": "charge_expired", "message": "nothing is authorised any more"}}
            payment.taken += body["amount_to_capture"]
            return 200, {"id": request.path_params["payment"], "status": "succeeded"}

        return await self._once(request, do)

    async def _cancel(self, request: Request) -> Response:
        payment = self.payments[request.path_params["payment"]]

        def do(_: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            payment.let_go = True
            return 200, {"id": request.path_params["payment"], "status": "canceled"}

        return await self._once(request, do)

    async def _renew(self, request: Request) -> Response:
        def do(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            before = self.payments[body["renews"]]
            if before.let_go:
                return 402, {"error": {"code": "card_declined", "message": "the bank says no"}}
            before.let_go = True
            name = self.authorise(f"{body['renews']}+", body["amount"])
            return 200, {"id": name, "status": "requires_capture", "expires_at": self.now_s + WEEK_S}

        return await self._once(request, do)

    async def _refund(self, request: Request) -> Response:
        def do(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            payment = self.payments[body["payment_intent"]]
            if payment.given_back + body["amount"] > payment.taken:
                return 400, {"error": {"code": "charge_already_refunded", "message": "more than was taken"}}
            payment.given_back += body["amount"]
            return 200, {"id": f"re_{len(self.answered)}", "status": "succeeded"}

        return await self._once(request, do)

    def event(self, kind: str, name: str, **values: Any) -> dict[str, Any]:
        """Returns what it says of a payment, or of its charge or dispute."""
        self.events += 1
        payment = self.payments[name]
        if kind.startswith("payment_intent."):
            given = {
                "object": "payment_intent", "id": name, "amount": payment.amount, "amount_received": payment.taken, "currency": "eur",
                "amount_capturable": 0 if payment.let_go else payment.amount - payment.taken,
            }  # fmt: skip
        else:
            given = {
                "object": "charge", "id": f"ch_{name}", "payment_intent": name, "amount": payment.taken,
                "amount_refunded": payment.given_back, "currency": "eur",
            }  # fmt: skip
        return {"id": f"evt_{self.events}", "type": kind, "data": {"object": {**given, **values}}}


def signed(event: dict[str, Any], *, secret: str = ENDPOINT_SECRET, seconds_ago: int = 0) -> tuple[bytes, dict[str, str]]:
    """Returns an event's body and the header that signs it."""
    body, moment = json.dumps(event).encode(), int(time.time()) - seconds_ago
    signature = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {"stripe-signature": f"t={moment},v1={signature}"}
