"""The gateway's HTTP server: Starlette under uvicorn, beside the gateway's own gRPC."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvicorn
from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount
from starlette.routing import Route as HttpRoute

from chassis.kernel.errors import Refusal, ResourceExhausted
from chassis.runtime.channels import Channels
from chassis.runtime.component import Component
from chassis.runtime.settings import Settings
from gateway.console.app import Console, Guarded
from gateway.http.offers import Door, Links, OfferPages
from gateway.http.problem import problem
from gateway.http.reading import reading_page
from gateway.http.routes import Routes, contracts
from gateway.http.transcode import Transcoder
from gateway.http.webhooks import Webhooks

OPENAPI = Path(__file__).with_name("openapi.json")
PER_SECOND = 2000
VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class HttpServer:
    """uvicorn in our loop."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        config = uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5)
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts and waits until it listens."""
        self._task = asyncio.ensure_future(self._server._serve())
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.01)

    async def stop(self, *, force: bool = False) -> None:
        """Lets requests in flight finish, then stops; at once where `force` is set."""
        self._server.should_exit = True
        self._server.force_exit = force
        if self._task is not None:
            await self._task


def make_app(component: Component, channels: Channels, links: Links) -> Starlette:
    """Returns the application."""
    limiter = MovingWindowRateLimiter(MemoryStorage())
    limit = RateLimitItemPerSecond(PER_SECOND)
    transcoder = Transcoder(channels, Routes(contracts()))
    webhooks = Webhooks(channels)

    def limited(door: Door) -> Door:
        """Puts the limit, the trace and the problem documents in front of a door."""

        async def answer(request: Request) -> Response:
            caller = request.headers.get("authorization", "") or (request.client.host if request.client else "")
            traceparent = component.telemetry.begin(request.headers.get("traceparent", ""))
            with component.telemetry.span(f"HTTP {request.method}", SpanKind.SERVER, traceparent):
                try:
                    if not await limiter.hit(limit, caller[:40]):
                        raise ResourceExhausted("RATE_LIMITED", f"at most {PER_SECOND} requests a second", retry_after_s=1)
                    return await door(request)
                except Refusal as refusal:
                    return problem(refusal, request.url.path)

        return answer

    return Starlette(
        routes=[
            HttpRoute("/", _front_page),
            Mount("/console", Guarded(Starlette(routes=Console(component, channels).routes()))),
            Mount("/offers", Guarded(Starlette(routes=OfferPages(channels, links).routes(limited)))),
            HttpRoute("/openapi.json", _openapi),
            HttpRoute("/docs", _docs),
            HttpRoute("/healthz", _health),
            HttpRoute("/webhooks/{channel_id}", limited(webhooks), methods=["POST"]),
            HttpRoute("/{path:path}", limited(transcoder), methods=VERBS),
        ]
    )


async def start(component: Component, channels: Channels, settings: Settings, links: Links) -> Callable[[], Awaitable[None]]:
    """Starts the gateway's HTTP side and returns how to stop it."""
    server = HttpServer(make_app(component, channels, links), settings.host, settings.http_port)
    await server.start()
    return server.stop


async def _front_page(_: Request) -> Response:
    return RedirectResponse("/console/")


async def _openapi(_: Request) -> Response:
    return Response(OPENAPI.read_bytes(), media_type="application/json")


async def _docs(_: Request) -> Response:
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return HTMLResponse(reading_page(OPENAPI.read_bytes()), headers=headers)


async def _health(_: Request) -> Response:
    return PlainTextResponse("ok")
