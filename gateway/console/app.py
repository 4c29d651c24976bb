"""The console's routes, and what stands in front of each: the session, the form's token, and pages for what goes wrong."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

import structlog
from jinja2 import Environment
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, compile_path
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.kernel.errors import Internal, InvalidArgument, NotFound, PermissionDenied, Refusal, Unauthenticated
from chassis.runtime.channels import Channels
from chassis.runtime.component import Component
from gateway.calls import Calls
from gateway.console.pages import (
    approvals,
    fulfilment,
    holds,
    integrations,
    ledger,
    notices,
    order,
    orders,
    overview,
    people,
    planning,
    returns,
    rules,
    sourcing,
    stock,
    stock_value,
    warehouse,
)
from gateway.console.session import COOKIE, SignIn, forget, keep, need_own_form, need_own_site
from gateway.console.visit import Visit, templates
from gateway.http.problem import status_of
from gateway.http.transcode import MOST_BYTES

STATIC = Path(__file__).with_name("static")
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
}  # fmt: skip
MOST_FIELDS = 500
SIGN_IN = "/console/sign-in"
SHOWN = {
    "/": overview.page,
    "/orders": orders.page,
    "/orders.csv": orders.as_csv,
    "/orders/new": orders.new,
    "/orders/{order_id}": order.page,
    "/holds": holds.page,
    "/approvals": approvals.page,
    "/planning": planning.page,
    "/stock": stock.page,
    "/stock/value": stock_value.page,
    "/stock/{item_id}": stock.item,
    "/fulfilment": fulfilment.page,
    "/fulfilment/{fulfillment_order_id}": fulfilment.one,
    "/warehouse": warehouse.page,
    "/warehouse/lists/{list_id}": warehouse.pick_list,
    "/returns": returns.page,
    "/returns/{return_id}": returns.one,
    "/ledger": ledger.page,
    "/ledger/accounts/{account}": ledger.account,
    "/ledger/entries/{entry_id}": ledger.entry,
    "/integrations": integrations.page,
    "/integrations/deliveries/{delivery_id}": integrations.delivery,
    "/integrations/subscriptions/{subscription_id}": integrations.subscription,
    "/integrations/notifications/{notification_id}": integrations.notification,
    "/notices": notices.page,
    "/rules": rules.page,
    "/rules/sourcing": sourcing.page,
    "/rules/sourcing/replays/{job_id}": sourcing.replay,
    "/people": people.page,
}
DONE = {
    "/prove": overview.prove_now,
    "/orders/new": orders.create,
    "/orders/{order_id}/cancel": order.cancel,
    "/orders/{order_id}/change": order.change,
    "/orders/{order_id}/contact": order.contact,
    "/orders/{order_id}/pay": order.pay,
    "/orders/{order_id}/offer": order.offer,
    "/orders/{order_id}/offers/{offer_id}/answer": order.answer_offer,
    "/orders/{order_id}/offers/{offer_id}/withdraw": order.withdraw_offer,
    "/orders/{order_id}/return": order.authorise,
    "/holds/{service}/{hold_id}/claim": holds.claim,
    "/holds/{service}/{hold_id}/release": holds.release,
    "/holds/{service}/{hold_id}/snooze": holds.snooze,
    "/holds/{service}/release": holds.release_together,
    "/approvals/{service}/{approval_id}/decide": approvals.decide,
    "/approvals/{service}/{approval_id}/withdraw": approvals.withdraw,
    "/planning/run": planning.run,
    "/planning/accept": planning.accept,
    "/planning/{proposal_id}/dismiss": planning.dismiss,
    "/stock/{item_id}/receive": stock.receive,
    "/stock/{item_id}/adjust": stock.adjust,
    "/fulfilment/{fulfillment_order_id}/pick": fulfilment.pick,
    "/fulfilment/{fulfillment_order_id}/ship": fulfilment.ship,
    "/fulfilment/{fulfillment_order_id}/left": fulfilment.ship,
    "/fulfilment/{fulfillment_order_id}/pack": fulfilment.pack,
    "/fulfilment/{fulfillment_order_id}/{what}": fulfilment.answer,
    "/fulfilment/{fulfillment_order_id}/parcels/{parcel_id}/{what}": fulfilment.handle,
    "/warehouse/waves": warehouse.make,
    "/warehouse/waves/{wave_id}/cancel": warehouse.call_off,
    "/warehouse/put": warehouse.put,
    "/warehouse/lists/{list_id}/start": warehouse.start,
    "/warehouse/lists/{list_id}/record": warehouse.record,
    "/returns/{return_id}/receive": returns.receive,
    "/returns/{return_id}/inspect": returns.inspect,
    "/returns/{return_id}/cancel": returns.cancel,
    "/integrations/dead/{service}/{event_id}/replay": integrations.replay,
    "/integrations/dead/{service}/{event_id}/discard": integrations.discard,
    "/integrations/deliveries/{delivery_id}/read": integrations.read_again,
    "/integrations/channels/{channel_id}/reconcile": integrations.reconcile,
    "/integrations/notifications/{notification_id}/send": integrations.send_again,
    "/notices/routes": notices.tell,
    "/notices/words": notices.word,
    "/notices/{notice_id}/send": notices.send,
    "/rules/draft": rules.draft,
    "/rules/try": rules.try_it,
    "/rules/propose": rules.propose,
    "/rules/back": rules.put_back,
    "/rules/sourcing/draft": sourcing.draft,
    "/rules/sourcing/try": sourcing.try_it,
    "/rules/sourcing/propose": sourcing.propose,
    "/rules/sourcing/back": sourcing.put_back,
    "/people": people.save,
}
Answer = Callable[[Visit], Awaitable[Response]]
PLACES = [compile_path("/console" + path)[0] for path in SHOWN]
log = structlog.get_logger()


def place_of(path: str) -> str:
    """Returns the path of the page that a path shows, or that shows a form again which was sent there."""
    place = path
    while place and not any(pattern.match(place) for pattern in PLACES):
        place = place.rpartition("/")[0]
    return place or path


class Console:
    """Answers people."""

    def __init__(self, component: Component, channels: Channels) -> None:
        self._authenticator = component.pipeline.authenticator
        self._calls = Calls(channels)
        self._pages = templates()
        self._sign_in = SignIn(self._calls)

    def routes(self) -> list[BaseRoute]:
        """Returns all of it, to be mounted at /console."""
        shown = [Route(path, self._door(answer), methods=["GET"]) for path, answer in SHOWN.items()]
        done = [Route(path, self._door(answer), methods=["POST"]) for path, answer in DONE.items()]
        own: list[BaseRoute] = [
            Route("/sign-in", self.sign_in, methods=["GET", "POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        return [*own, *shown, *done, Route("/{rest:path}", self._door(_nowhere), methods=["GET"])]

    def _door(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def door(request: Request) -> Response:
            secret = request.cookies.get(COOKIE, "")
            try:
                person = await self._authenticator.identify(f"Bearer {secret}")
            except Unauthenticated:
                return _to_sign_in(request)
            except Refusal as refusal:
                return _broken(self._pages, refusal)
            visit = Visit(request, place_of(request.url.path), FormData(), person, secret, self._calls, self._pages)
            try:
                if request.method == "POST":
                    visit.form = await _form(request)
                    need_own_form(request, secret, visit.field("csrf"))
                return await answer(visit)
            except Unauthenticated:
                return _to_sign_in(request)
            except Refusal as refusal:
                return visit.render("problem.html", None, status_of(refusal), refusal=refusal)
            except Exception as error:
                log.exception("a page failed", path=request.url.path, exc_info=error)
                broken = Internal("INTERNAL", "the page failed; the incident is in the gateway's log")
                return visit.render("problem.html", None, status_of(broken), refusal=broken)

        return door

    async def sign_in(self, request: Request) -> Response:
        """Shows the form, and takes it."""
        wanted = request.query_params.get("next", "")
        following = wanted if wanted.startswith("/console/") and "\\" not in wanted else "/console/"
        refusal: Refusal | None = None
        if request.method == "POST":
            try:
                need_own_site(request)
                form = await _form(request)
                secret = await self._sign_in.open(request, str(form.get("user_id", "")).strip(), str(form.get("password", "")))
            except Refusal as one:
                refusal = one
            else:
                response = RedirectResponse(following, 303)
                keep(response, request, secret)
                return response
        page = self._pages.get_template("sign_in.html").render(refusal=refusal, following=following)
        return HTMLResponse(page, status_of(refusal) if refusal is not None else 200)

    async def sign_out(self, request: Request) -> Response:
        """Ends the session, wherever it is."""
        secret = request.cookies.get(COOKIE, "")
        response = RedirectResponse(SIGN_IN, 303)
        try:
            form = await _form(request)
            need_own_form(request, secret, str(form.get("csrf", "")))
            await self._sign_in.close(secret)
        except PermissionDenied:
            return RedirectResponse("/console/", 303)
        except Refusal as refusal:
            log.warning("a session ended in the browser only", reason=refusal.reason)
        forget(response)
        return response


class Guarded:
    """Puts the policy on every answer of the console."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers."""

        async def guarded(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                named = {name for name, _ in headers}
                given = [(name, value) for name, value in message["headers"] if name.lower() not in named]  # type: ignore[attr-defined]
                message = {**message, "headers": [*given, *headers]}
            await send(message)

        await self._app(scope, receive, guarded)  # type: ignore[arg-type]


async def _nowhere(visit: Visit) -> Response:
    del visit
    raise NotFound("NO_SUCH_PAGE", "there is no such page")


async def _form(request: Request) -> FormData:
    """Reads a form; raises InvalidArgument where it is none of ours."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > MOST_BYTES:
        raise InvalidArgument("BODY_TOO_LARGE", f"a form may have {MOST_BYTES} bytes")
    if request.headers.get("content-type", "").split(";")[0] != "application/x-www-form-urlencoded":
        raise InvalidArgument("NOT_A_FORM", "send the page's own form")
    try:
        form = await request.form(max_fields=MOST_FIELDS)
    except (HTTPException, UnicodeDecodeError, ValueError) as error:
        raise InvalidArgument("NOT_A_FORM", "the form could not be read") from error
    for name, value in form.multi_items():
        if not isinstance(value, str) or "\x00" in name or "\x00" in value or not _sound(value):
            raise InvalidArgument("INVALID_FIELD", f"{name[:60]!r}: holds characters that are none", field=name[:60])
    return form


def _sound(value: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in value)


def _to_sign_in(request: Request) -> Response:
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    following = f"?next={quote(here)}" if request.method == "GET" and here != "/console/" else ""
    return RedirectResponse(SIGN_IN + following, 303)


def _broken(pages: Environment, refusal: Refusal) -> Response:
    page = pages.get_template("sign_in.html").render(refusal=refusal, following="/console/")
    return HTMLResponse(page, status_of(refusal))
