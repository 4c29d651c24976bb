"""Where customers answer offers: a page behind a link that nobody can guess, without signing in.

The link is made from the offer's id and the installation's secret, so that no event and no table holds it. Looking changes nothing;
an answer is a form, because mail programs follow links by themselves.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from babel.dates import format_date
from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from argosy.orders.v1 import offers_service_pb2
from argosy.orders.v1.offers_service_pb2_grpc import OffersServiceStub
from chassis.kernel.errors import InvalidArgument, NotFound, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.channels import Channels
from gateway.http.problem import status_of
from gateway.voice.facts import Asker
from gateway.voice.wording import FALLBACK, LANGUAGES

PAGE = files("gateway.http") / "offer.html"
OPEN, ACCEPTED = offers_service_pb2.OFFER_STATUS_OPEN, offers_service_pb2.OFFER_STATUS_ACCEPTED
MOST_BYTES = 1000
Door = Callable[[Request], Awaitable[Response]]
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

    def routes(self, limited: Callable[[Door], Door]) -> list[Route]:
        """Returns the routes, below /offers."""
        return [Route("/{offer_id}/{token}", limited(self._answer), methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        try:
            offer = await self._offer(request)
            refusal = await self._take(request, offer) if request.method == "POST" else None
            if request.method == "POST":
                offer = await self._offer(request)
            page = self._template.render(**await self._shown(offer), refusal=refusal)
            return HTMLResponse(page, status_of(refusal) if refusal is not None else 200)
        except Refusal as refused:
            return HTMLResponse(self._template.render(words=FALLBACK, offer=None, refusal=refused), status_of(refused))

    async def _take(self, request: Request, offer: offers_service_pb2.Offer) -> Refusal | None:
        """Takes what the form answers, and returns why it could not be; raises a Refusal where it is none of ours."""
        length = request.headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal()) or int(length) > MOST_BYTES:
            raise InvalidArgument("NOT_A_FORM", "send the page's own form")
        async with request.form(max_fields=5) as form:
            word = ANSWERS.get(str(form.get("answer", "")))
        if word is None:
            raise InvalidArgument("NOT_A_FORM", "send the page's own form")
        answer = offers_service_pb2.AnswerOfferRequest(request_id=new_id(), offer_id=offer.offer_id, accepted=word)
        try:
            await self._offers.AnswerOffer(answer)
        except Refusal as refusal:
            return refusal
        return None

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
        language = about.order.language[:2] if about.order.language[:2] in LANGUAGES else FALLBACK
        line = next((one for one in about.order.lines if one.line_id == offer.line_id), None)
        before = about.articles.get(line.item_id, "") if line is not None else ""
        return {
            "words": language, "offer": offer, "number": about.order.external_order_id, "open": offer.status == OPEN,
            "accepted": offer.status == ACCEPTED, "before": before or offer.channel_sku_before,
            "name": about.articles.get(offer.item_id, "") or offer.channel_sku,
            "until": format_date(offer.answer_by.ToDatetime(), "long", locale=language),
            "cancels": offer.otherwise == offers_service_pb2.OFFER_OTHERWISE_CANCEL,
        }  # fmt: skip
