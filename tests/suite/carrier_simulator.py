"""A provider of labels on loopback with its own truth: shipments, rates, labels bought and given back.

It is as providers are on a bad day: it does what it is asked and then fails to say so, or is away. A mood is used once each time
it is named in `moods`. A label that was bought once is not bought again.
"""

from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

KEY = "EZ_of_the_tests"
RATES = (("USPS", "Priority", "11.01"), ("USPS", "GroundAdvantage", "8.20"), ("UPS", "Ground", "9.5"))


@dataclass
class Carriers:
    """The provider."""

    shipments: dict[str, dict[str, Any]] = field(default_factory=dict)
    bought: list[str] = field(default_factory=list)
    moods: list[str] = field(default_factory=list)
    forms: list[list[str]] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v2/shipments", self._create, methods=["POST"]),
                Route("/v2/shipments/{name}", self._get),
                Route("/v2/shipments/{name}/buy", self._buy, methods=["POST"]),
                Route("/v2/shipments/{name}/refund", self._refund, methods=["POST"]),
                Route("/v2/scan_forms", self._scan_form, methods=["POST"]),
            ]
        )

    def _answer(self, request: Request, body: dict[str, Any], status: int = 200) -> Response:
        if not request.headers.get("authorization", "").startswith("Basic "):
            return JSONResponse({"error": {"code": "APIKEY.INACTIVE", "message": "no such key"}}, 401)
        mood = self.moods.pop(0) if self.moods else ""
        if mood == "done, not said":
            return PlainTextResponse("<html>Bad Gateway</html>", 502)
        return PlainTextResponse("\x00", 200) if mood == "garbage" else JSONResponse(body, status)

    def _away(self) -> bool:
        if self.moods and self.moods[0] == "away":
            self.moods.pop(0)
            return True
        return False

    async def _create(self, request: Request) -> Response:
        if self._away():
            return PlainTextResponse("", 503)
        shipment = (await request.json())["shipment"]
        name = f"shp_{len(self.shipments) + 1}"
        if not shipment["to_address"]["zip"]:
            return self._answer(request, {"error": {"code": "ADDRESS.INVALID", "message": "no postal code"}}, 422)
        rates = [
            {"id": f"{name}/{number}", "carrier": carrier, "service": service, "rate": rate, "currency": "EUR"}
            for number, (carrier, service, rate) in enumerate(RATES)
        ]
        self.shipments[name] = {**shipment, "id": name, "rates": rates, "messages": [], "postage_label": None, "refund_status": None}
        return self._answer(request, self.shipments[name], 201)

    async def _get(self, request: Request) -> Response:
        return self._answer(request, self.shipments[request.path_params["name"]])

    async def _buy(self, request: Request) -> Response:
        if self._away():
            return PlainTextResponse("", 503)
        name, rate = request.path_params["name"], (await request.json())["rate"]["id"]
        shipment = self.shipments[name]
        if shipment["postage_label"]:
            return self._answer(request, {"error": {"code": "SHIPMENT.POSTAGE.EXISTS", "message": "bought already"}}, 422)
        self.bought.append(rate)
        shipment["postage_label"] = {"label_url": f"https://labels.example/{name}.png"}
        shipment["tracking_code"] = f"9400{len(self.bought):04d}"
        return self._answer(request, shipment)

    async def _refund(self, request: Request) -> Response:
        shipment = self.shipments[request.path_params["name"]]
        if shipment["refund_status"]:
            return self._answer(request, {"error": {"code": "SHIPMENT.REFUND.UNAVAILABLE", "message": "asked for already"}}, 422)
        shipment["refund_status"] = "submitted"
        return self._answer(request, shipment)

    async def _scan_form(self, request: Request) -> Response:
        if self._away():
            return PlainTextResponse("", 503)
        names = [one["id"] for one in (await request.json())["shipments"]]
        if any(self.shipments[name].get("scan_form") for name in names):
            return self._answer(request, {"error": {"code": "SCAN_FORM.EXISTS", "message": "a shipment is on a form already"}}, 422)
        self.forms.append(names)
        number = len(self.forms)
        slow = bool(self.moods) and self.moods[0] == "slow"
        answer = {"id": f"sf_{number}", "status": "creating" if slow else "created", "form_url": f"https://labels.example/sf_{number}.pdf"}
        for name in names:
            self.shipments[name]["scan_form"] = {**answer, "status": "created"}
        return self._answer(request, answer, 201)
