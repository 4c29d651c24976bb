"""gRPC in front of a component: binds its pipeline to grpc.aio, with health and reflection, and drains at the end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

import grpc
import structlog
from google.protobuf.message import Message
from grpc import aio
from grpc_health.v1 import _async as health_aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from sqlalchemy import select

from chassis.kernel.errors import Refusal
from chassis.runtime.component import Component
from chassis.runtime.contracts import Method
from chassis.runtime.pipeline import Incoming
from chassis.runtime.status import REPLAYED, to_status

MOST_BYTES = 4 * 1024 * 1024
LIVE, READY = "live", "ready"
READY_LOOK_S = 2.0
ONE = select(1)
log = structlog.get_logger()
OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    ("grpc.max_receive_message_length", MOST_BYTES),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
]


class Server:
    """A component's gRPC server."""

    def __init__(self, component: Component, address: str) -> None:
        self._component = component
        self._server = aio.server(options=OPTIONS)
        self._health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = sorted({method.service for method in component.methods.values()})
        handlers: dict[str, dict[str, Any]] = {name: {} for name in names}
        for method in component.methods.values():
            handlers[method.service][method.name] = _handler(component, method)
        self._server.add_generic_rpc_handlers(tuple(grpc.method_handlers_generic_handler(name, bound) for name, bound in handlers.items()))
        reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self.port = self._server.add_insecure_port(address)
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts to answer, and says so: `live` while the loop turns, `ready` and the whole while the database answers too."""
        await self._server.start()
        await self._health.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
        ready = await self._database_answers()
        await self._say(ready)
        self._watch = asyncio.ensure_future(self._keep_looking(ready))

    async def _say(self, ready: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", READY):
            await self._health.set(name, status)

    async def _keep_looking(self, ready: bool) -> None:
        while True:
            await asyncio.sleep(READY_LOOK_S)
            now_ready = await self._database_answers()
            if now_ready != ready:
                ready = now_ready
                log.warning("readiness changed", service=self._component.service.name, ready=ready)
                await self._say(ready)

    async def _database_answers(self) -> bool:
        try:
            async with asyncio.timeout(READY_LOOK_S), self._component.database.read() as tx:
                await tx.read(ONE)
        except Exception as error:
            log.info("the database does not answer", service=self._component.service.name, error=repr(error))
            return False
        return True

    async def give_notice(self, notice_s: float) -> None:
        """Says that it is going, and answers on until balancers have noticed."""
        if self._watch is not None:
            self._watch.cancel()
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(notice_s)

    async def drain(self, grace_s: float) -> None:
        """Ends what watches, lets calls in flight finish, then stops."""
        self._component.pipeline.end_watches()
        stopped = asyncio.ensure_future(self._server.stop(grace_s))
        await stopped


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def _handler(component: Component, method: Method) -> Any:
    if method.streams:
        return grpc.unary_stream_rpc_method_handler(_watch(component, method), method.request.FromString, _serialize)
    return grpc.unary_unary_rpc_method_handler(_answer(component, method), method.request.FromString, _serialize)


def _incoming(context: Any, marks: list[tuple[str, str]]) -> Incoming:
    metadata = dict(context.invocation_metadata() or ())
    return Incoming(
        authorization=_text(metadata, "authorization"),
        traceparent=_text(metadata, "traceparent"),
        correlation_id=_text(metadata, "correlation-id")[:64],
        actor=_text(metadata, "argosy-actor")[:120],
        time_left_s=context.time_remaining(),
        replayed=lambda: marks.append(REPLAYED),
    )


def _refuse(context: Any, refusal: Refusal, marks: Sequence[tuple[str, str]] = ()) -> None:
    """Sets a refusal as how the call ends; to abort it would raise once more."""
    status = rpc_status.to_status(to_status(refusal))
    context.set_code(status.code)
    context.set_details(status.details)
    context.set_trailing_metadata((*status.trailing_metadata, *marks))


def _watch(component: Component, method: Method) -> Callable[[Any, Any], AsyncIterator[Any]]:
    async def answer(request: Message, context: Any) -> AsyncIterator[Message]:
        answers = component.pipeline.watch(method, request, _incoming(context, []))
        try:
            async with aclosing(answers):
                async for one in answers:
                    yield one
        except Refusal as refusal:
            _refuse(context, refusal)

    return answer


def _answer(component: Component, method: Method) -> Callable[[Any, Any], Awaitable[Any]]:
    async def answer(request: Message, context: Any) -> Message:
        marks: list[tuple[str, str]] = []
        outcome = await component.pipeline.outcome(method, request, _incoming(context, marks))
        if isinstance(outcome, Refusal):
            _refuse(context, outcome, marks)
            return method.response()
        if marks:
            context.set_trailing_metadata(marks)
        return outcome

    return answer


def _text(metadata: dict[str, Any], key: str) -> str:
    value = metadata.get(key, "")
    return value.decode() if isinstance(value, bytes) else str(value)
