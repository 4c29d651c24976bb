"""The payment port: who moves the money of a tender. The channel and a person do it outside and tell us; a provider is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import httpx

from argosy.orders.v1 import order_pb2
from chassis.kernel.clock import SECOND
from chassis.kernel.errors import Unavailable
from chassis.runtime.settings import Settings

WITHIN_S = 10.0
# The provider did not do it, and may if it is asked again under the same key.
AGAIN = {408, 409, 425, 429}


@dataclass(frozen=True)
class PaymentResult:
    """What the provider says; `failure` is empty where it worked. An authorisation may end at a moment."""

    reference: str
    failure: str = ""
    expires_at: int | None = None


class PaymentPort(Protocol):
    """Moves money. A key that was used before answers what it answered. Raises Unavailable where nobody knows whether it worked."""

    async def capture(self, reference: str, amount_minor: int, currency_code: str, key: str) -> PaymentResult:
        """Takes money that was authorised; more may be taken later."""

    async def void(self, reference: str, amount_minor: int, currency_code: str, key: str) -> PaymentResult:
        """Lets go what was authorised and not taken."""

    async def renew(self, reference: str, amount_minor: int, currency_code: str, key: str) -> PaymentResult:
        """Authorises again what was authorised and not taken."""

    async def refund(self, reference: str, amount_minor: int, currency_code: str, key: str) -> PaymentResult:
        """Gives money back to where it came from."""


class ToldPayments:
    """Money that the channel, or a person, moves by themselves: what we are told is what happened."""

    async def refund(self, reference: str, amount_minor: int, currency_code: str, key: str) -> PaymentResult:
        """Takes it as done under our key."""
        del reference, amount_minor, currency_code
        return PaymentResult(key)

    capture = void = renew = refund


class Provider:
    """A payment provider with payments that are captured, cancelled, renewed and refunded over HTTP, as the large ones have it."""

    def __init__(self, url: str, secret: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {secret}"}, timeout=WITHIN_S)

    async def capture(self, reference: str, amount_minor: int, currency_code: str, key: str) -> PaymentResult:
        """POST /v1/payment_intents/{id}/capture, keeping the rest authorised."""
        body = {"amount_to_capture": amount_minor, "currency": currency_code.lower(), "final_capture": False}
        return await self._post(f"/v1/payment_intents/{reference}/capture", body, key)

    async def void(self, reference: str, amount_minor: int, currency_code: str, key: str) -> PaymentResult:
        """POST /v1/payment_intents/{id}/cancel."""
        del amount_minor, currency_code
        return await self._post(f"/v1/payment_intents/{reference}/cancel", {"cancellation_reason": "abandoned"}, key)

    async def renew(self, reference: str, amount_minor: int, currency_code: str, key: str) -> PaymentResult:
        """POST /v1/payment_intents with the payment before as its source."""
        body = {"amount": amount_minor, "currency": currency_code.lower(), "capture_method": "manual", "renews": reference, "confirm": True}
        return await self._post("/v1/payment_intents", body, key)

    async def refund(self, reference: str, amount_minor: int, currency_code: str, key: str) -> PaymentResult:
        """POST /v1/refunds."""
        body = {"payment_intent": reference, "amount": amount_minor, "currency": currency_code.lower()}
        return await self._post("/v1/refunds", body, key)

    async def _post(self, path: str, body: Mapping[str, Any], key: str) -> PaymentResult:
        try:
            response = await self._client.post(path, json=body, headers={"Idempotency-Key": key})
        except httpx.HTTPError as error:
            raise Unavailable("PROVIDER_AWAY", f"the payment provider did not answer: {type(error).__name__}") from error
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or response.status_code in AGAIN:
            raise Unavailable("PROVIDER_AWAY", f"the payment provider answered {response.status_code}")
        try:
            told = response.json()
        except ValueError as error:
            raise Unavailable("PROVIDER_AWAY", "the payment provider answered what is no JSON") from error
        if response.is_success:
            expires_at = told.get("expires_at")
            return PaymentResult(str(told.get("id", "")), expires_at=int(expires_at) * SECOND if expires_at else None)
        said = told.get("error", {})
        return PaymentResult("", f"{said.get('code', response.status_code)}: {said.get('message', 'no reason was given')}")

    async def close(self) -> None:
        """Ends its connections."""
        await self._client.aclose()


class Payments:
    """Who moves the money of tenders."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def port_of(self, adapter: int) -> PaymentPort:
        """Returns who moves a tender's money; raises Unavailable where a provider is wanted and none is set up."""
        if adapter != order_pb2.PAYMENT_ADAPTER_PROVIDER:
            return ToldPayments()
        if not self._settings.payment_provider_url:
            raise Unavailable("NO_PROVIDER", "no payment provider is set up: set ARGOSY_PAYMENT_PROVIDER_URL")
        return self._provider

    @cached_property
    def _provider(self) -> Provider:
        return Provider(self._settings.payment_provider_url, self._settings.payment_provider_secret)
