"""Where customers answer offers: a page behind a link that nobody can guess, without signing in.

The link is made from the offer's id and the installation's secret, so that no event and no table holds it. Looking changes nothing;
an answer is a form, because mail programs follow links by themselves.
"""

import hashlib
import hmac
from importlib.resources import files
from typing import Any

from babel.dates import format_date
from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from argosy.orders.v1 import offers_service_pb2
from argosy.orders.v1.offers_service_pb2_grpc import OffersServiceStub
from chassis.kernel.errors import NotFound, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.channels import Channels
from gateway.http.problem import status_of
from gateway.voice.facts import Asker
from gateway.voice.wording import FALLBACK, LANGUAGES

PAGE = files("gateway.http") / "offer.html"
OPEN, ACCEPTED = offers_service_pb2.OFFER_STATUS_OPEN, offers_service_pb2.OFFER_STATUS_ACCEPTED
ANSWERS = {"yes": True, "no": False}


class Links:
    """What customers are sent to; empty where the installation does not say where it is reached."""

    def __init__(self, secret: str, public_url: str) -> None:
        self._key = hmac.new(secret.encode(), b"offers", hashlib.sha256).digest()
        self._url = public_url.rstrip("/")

    def token(self, offer_id: str) -> str:
        """Returns what the link to an offer ends with."""
        return hmac.new(self._key, offer_id.encode(), hashlib.sha256).hexdigest()[:32]

    def to_offer(self, offer_id: str) -> str:
        """Returns the link to an offer; empty where there can be none."""
        return f"{self._url}/offers/{offer_id}/{self.token(offer_id)}" if self._url else ""


class OfferPages:
    """The page, and what its form answers."""

    def __init__(self, channels: Channels, links: Links) -> None:
        self._offers = OffersServiceStub(channels.to("orders"))
        self._asker = Asker(channels)
        self._links = links
        self._template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(PAGE.read_text())

    def routes(self) -> list[Route]:
        """Returns the routes, below /offers."""
        return [Route("/{offer_id}/{token}", self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        try:
            offer = await self._offer(request)
        except Refusal as refusal:
            return HTMLResponse(self._template.render(words="en", offer=None, refusal=refusal), status_of(refusal))
        status, refusal_ = 200, None
        if request.method == "POST":
            async with request.form(max_fields=5) as form:
                word = ANSWERS.get(str(form.get("answer", "")))
            if word is not None:
                try:
                    offer = await self._offers.AnswerOffer(
                        offers_service_pb2.AnswerOfferRequest(request_id=new_id(), offer_id=offer.offer_id, accepted=word)
                    )
                except Refusal as refusal:
                    status, refusal_ = status_of(refusal), refusal
        return HTMLResponse(self._template.render(**await self._shown(offer), refusal=refusal_), status)

    async def _offer(self, request: Request) -> offers_service_pb2.Offer:
        """Returns what the link leads to; raises a Refusal, the same for what is not there and for a link that was guessed."""
        offer_id = request.path_params["offer_id"][:64]
        if not hmac.compare_digest(self._links.token(offer_id).encode(), request.path_params["token"].encode()):
            raise NotFound("NO_SUCH_OFFER", "this link leads to no offer")
        return await self._offers.GetOffer(offers_service_pb2.GetOfferRequest(offer_id=offer_id))

    async def _shown(self, offer: offers_service_pb2.Offer) -> dict[str, Any]:
        known, refused = await self._asker.ask([offer.order_id], [offer.item_id])
        if offer.order_id in refused:
            raise refused[offer.order_id]
        about = known[offer.order_id]
        language = next((one for one in (about.order.language[:2],) if one in LANGUAGES), FALLBACK)
        line = next((one for one in about.order.lines if one.line_id == offer.line_id), None)
        before = about.articles.get(line.item_id, "") if line is not None else ""
        return {
            "words": language, "offer": offer, "number": about.order.external_order_id, "open": offer.status == OPEN,
            "accepted": offer.status == ACCEPTED, "before": before or offer.channel_sku_before,
            "name": about.articles.get(offer.item_id, "") or offer.channel_sku,
            "until": format_date(offer.answer_by.ToDatetime(), "long", locale=language),
            "cancels": offer.otherwise == offers_service_pb2.OFFER_OTHERWISE_CANCEL,
        }  # fmt: skip
