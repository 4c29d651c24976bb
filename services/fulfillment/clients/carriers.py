"""The carrier port: labels. A carrier without an API has a rate card, and numbers its parcels by us; others are asked over HTTP.

`MultiCarrier` has the shape of EasyPost's API (https://docs.easypost.com): a shipment is made with what each service costs, then
bought. Measures are inches and ounces, amounts are texts in the currency's own unit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any, Protocol

import httpx
from babel.numbers import get_currency_precision

from argosy.common.v1 import address_pb2
from chassis.kernel.errors import Unavailable
from chassis.runtime.settings import Settings

WITHIN_S = 10.0
# The carrier did not do it, and may if it is asked again.
AGAIN = {408, 409, 425, 429}
GRAMS_PER_OUNCE = Decimal("28.349523125")
MM_PER_INCH = Decimal("25.4")
PARTS = (("name", "name"), ("company", "company"), ("city", "locality"), ("state", "region"), ("zip", "postal_code"))


@dataclass(frozen=True)
class Declared:
    """A line of a commercial invoice."""

    description: str
    hs_code: str
    origin_country_code: str
    quantity: int
    value_minor: int
    weight_g: int
    sku: str


@dataclass(frozen=True)
class ToLabel:
    """A parcel as a carrier must know it; the addresses are not kept."""

    parcel_id: str
    weight_g: int
    size_mm: tuple[int, int, int]
    sender: address_pb2.Address
    recipient: address_pb2.Address
    currency_code: str
    declared: list[Declared] = field(default_factory=list)
    sender_tax_id: str = ""


@dataclass(frozen=True)
class RateResult:
    """What a service costs, and the carrier's name of the parcel; `failure` is empty where there is a rate."""

    reference: str = ""
    rate: str = ""
    carrier: str = ""
    service: str = ""
    freight_minor: int = 0
    currency_code: str = ""
    failure: str = ""


@dataclass(frozen=True)
class LabelResult:
    """What was bought; `failure` is empty where it was."""

    tracking_number: str = ""
    url: str = ""
    failure: str = ""


@dataclass(frozen=True)
class FormResult:
    """Where the form of a manifest is, or why there is none."""

    url: str = ""
    failure: str = ""


class CarrierPort(Protocol):
    """Sells labels. Raises Unavailable where nobody knows whether it worked: the same call again finds out."""

    async def rate(self, parcel: ToLabel, carrier: str, service: str) -> RateResult:
        """Returns the cheapest rate of those wanted."""

    async def buy(self, reference: str, rate: str) -> LabelResult:
        """Buys a label once, however often it is asked."""

    async def void(self, reference: str) -> str:
        """Gives a label back; returns why not, or nothing."""


class MultiCarrier:
    """A provider that sells the labels of many carriers."""

    def __init__(self, url: str, secret: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, auth=(secret, ""), timeout=WITHIN_S)

    async def rate(self, parcel: ToLabel, carrier: str, service: str) -> RateResult:
        """POST /v2/shipments: one that is made and not bought costs nothing."""
        status, told = await self._ask("POST", "/v2/shipments", {"shipment": _shipment(parcel)})
        if status >= httpx.codes.BAD_REQUEST:
            return RateResult(failure=_failure(told, status))
        rates = [
            (amount, one)
            for one in told.get("rates") or []
            if carrier in ("", one.get("carrier")) and service in ("", one.get("service")) and (amount := _minor(one)) is not None
        ]
        if not rates:
            messages = "; ".join(str(one.get("message", "")) for one in told.get("messages") or [])
            return RateResult(failure=messages or f"no rate of {carrier or 'any carrier'} {service}".rstrip())
        amount, best = min(rates, key=lambda one: (one[0], str(one[1].get("id"))))
        return RateResult(str(told["id"]), str(best["id"]), str(best["carrier"]), str(best["service"]), amount, str(best["currency"]))

    async def buy(self, reference: str, rate: str) -> LabelResult:
        """POST /v2/shipments/{id}/buy; what is bought already is read."""
        status, told = await self._ask("POST", f"/v2/shipments/{reference}/buy", {"rate": {"id": rate}})
        if status >= httpx.codes.BAD_REQUEST:
            said, told = told, (await self._ask("GET", f"/v2/shipments/{reference}", None))[1]
            if not told.get("postage_label"):
                return LabelResult(failure=_failure(said, status))
        label = told.get("postage_label") or {}
        return LabelResult(str(told.get("tracking_code") or ""), str(label.get("label_url") or ""))

    async def void(self, reference: str) -> str:
        """POST /v2/shipments/{id}/refund: submitted is not refunded yet, but the label is no longer ours to use."""
        status, told = await self._ask("POST", f"/v2/shipments/{reference}/refund", {})
        if status < httpx.codes.BAD_REQUEST:
            return "" if told.get("refund_status") in ("submitted", "refunded") else f"the carrier says {told.get('refund_status')}"
        said = _failure(told, status)
        now = (await self._ask("GET", f"/v2/shipments/{reference}", None))[1]
        return "" if now.get("refund_status") in ("submitted", "refunded") else said

    async def form(self, references: Sequence[str]) -> FormResult:
        """POST /v2/scan_forms; shipments that are on one already say so themselves. One that is being made is asked for again."""
        status, told = await self._ask("POST", "/v2/scan_forms", {"shipments": [{"id": one} for one in references]})
        if status >= httpx.codes.BAD_REQUEST:
            said, told = told, (await self._ask("GET", f"/v2/shipments/{references[0]}", None))[1].get("scan_form") or {}
            if not told:
                return FormResult(failure=_failure(said, status))
        match told.get("status"):
            case "created":
                return FormResult(str(told.get("form_url") or ""))
            case "failed":
                return FormResult(failure=str(told.get("message") or "the provider could not make it"))
            case other:
                raise Unavailable("FORM_NOT_READY", f"the form is {other}")

    async def _ask(self, verb: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, dict[str, Any]]:
        try:
            response = await self._client.request(verb, path, json=body)
        except httpx.HTTPError as error:
            raise Unavailable("CARRIER_AWAY", f"the carrier did not answer: {type(error).__name__}") from error
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or response.status_code in AGAIN:
            raise Unavailable("CARRIER_AWAY", f"the carrier answered {response.status_code}")
        try:
            told = response.json()
        except ValueError as error:
            raise Unavailable("CARRIER_AWAY", "the carrier answered what is no JSON") from error
        if not isinstance(told, dict):
            raise Unavailable("CARRIER_AWAY", "the carrier answered what is no object")
        return response.status_code, told

    async def close(self) -> None:
        """Ends its connections."""
        await self._client.aclose()


def _shipment(parcel: ToLabel) -> dict[str, Any]:
    length, width, height = (_places(size / MM_PER_INCH) if size else None for size in map(Decimal, parcel.size_mm))
    measures = {"length": length, "width": width, "height": height} if length and width and height else {}
    shipment: dict[str, Any] = {
        "reference": parcel.parcel_id, "from_address": _address(parcel.sender), "to_address": _address(parcel.recipient),
        "parcel": {"weight": _ounces(parcel.weight_g), **measures}, "options": {"currency": parcel.currency_code},
    }  # fmt: skip
    if parcel.declared:
        shipment["customs_info"] = {
            "contents_type": "merchandise", "customs_certify": True, "customs_signer": parcel.sender.name or parcel.sender.company,
            "eel_pfc": "NOEEI 30.37(a)", "non_delivery_option": "return", "restriction_type": "none",
            "customs_items": [
                {
                    "description": one.description, "hs_tariff_number": one.hs_code, "origin_country": one.origin_country_code,
                    "quantity": one.quantity, "value": _amount(one.value_minor, parcel.currency_code), "code": one.sku,
                    "weight": _ounces(one.weight_g), "currency": parcel.currency_code,
                }
                for one in parcel.declared
            ],
        }  # fmt: skip
        shipment["tax_identifiers"] = [
            {"entity": "SENDER", "tax_id": parcel.sender_tax_id, "issuing_country": parcel.sender.country_code, "tax_id_type": "EORI"}
        ]
    return shipment


def _address(address: address_pb2.Address) -> dict[str, str]:
    told = {theirs: getattr(address, ours) for theirs, ours in PARTS}
    street = list(address.lines)
    return {
        **told, "street1": street[0] if street else "", "street2": ", ".join(street[1:]), "country": address.country_code,
        "phone": address.phone, "email": address.email,
    }  # fmt: skip


def _places(value: Decimal) -> str:
    return str(value.quantize(Decimal("0.01")))


def _ounces(weight_g: int) -> str:
    return str(max(Decimal("0.1"), (weight_g / GRAMS_PER_OUNCE).quantize(Decimal("0.1"))))


def _amount(minor: int, currency_code: str) -> str:
    return str(Decimal(minor).scaleb(-get_currency_precision(currency_code)))


def _minor(rate: Mapping[str, Any]) -> int | None:
    """Returns a rate's amount in minor units; None for what is none."""
    try:
        return int(Decimal(str(rate["rate"])).scaleb(get_currency_precision(str(rate["currency"]))).to_integral_value())
    except (InvalidOperation, KeyError):
        return None


def _failure(told: Mapping[str, Any], status: int) -> str:
    said = told.get("error") or {}
    if not isinstance(said, dict):
        return str(said)
    return f"{said.get('code', status)}: {said.get('message', 'no reason was given')}"


class Carriers:
    """Who is asked for labels."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def provider(self) -> MultiCarrier | None:
        """The provider, where one is set up; carriers have rate cards otherwise."""
        found = self._settings
        return MultiCarrier(found.carrier_url, found.carrier_secret) if found.carrier_url else None
