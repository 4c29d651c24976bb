"""Calls to other services: real gRPC, or straight into another pipeline in a simulation. Refusals come back as such.

A channel fits the generated stubs: `OrdersServiceStub(channels.to("orders")).GetOrder(request)`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol, cast

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc import aio

from chassis.kernel.errors import Kind, Refusal, Unavailable, refusal_of
from chassis.runtime.auth import Tokens
from chassis.runtime.contracts import Method
from chassis.runtime.pipeline import Incoming, Pipeline
from chassis.runtime.settings import Settings
from chassis.runtime.status import REPLAYED, from_status
from chassis.runtime.telemetry import current_traceparent

DETAILS = "grpc-status-details-bin"
OPTIONS = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A caller that came before the other listened, and waits to try again, keeps no other caller in the process waiting.
    ("grpc.use_local_subchannel_pool", 1),
]


class Channels(Protocol):
    """Gives a channel to a service."""

    def to(self, service: str) -> aio.Channel:
        """Returns a channel that the generated stubs take."""


class GrpcChannels:
    """Channels over the network, one to each service, opened when first used."""

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self._settings = settings
        self._tokens = tokens
        self._channels: dict[str, aio.Channel] = {}

    def to(self, service: str) -> aio.Channel:
        """Returns the channel to a service."""
        if service not in self._channels:
            self._channels[service] = aio.insecure_channel(self._settings.address_of(service), options=OPTIONS)
        return cast(aio.Channel, GrpcChannel(self._channels[service], self._tokens, self._settings.deadline_s))

    async def close(self) -> None:
        """Closes all channels."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))


class GrpcChannel:
    """A channel that says who calls and turns failures into refusals."""

    def __init__(self, channel: aio.Channel, tokens: Tokens, deadline_s: float) -> None:
        self._channel = channel
        self._tokens = tokens
        self._deadline_s = deadline_s

    def unary_unary(self, path: str, request_serializer: Any, response_deserializer: Any, **_: Any) -> Callable[..., Awaitable[Any]]:
        """Returns a call as the generated stubs make it; it adds the answer's metadata to `trailing` where that is given."""
        underlying = self._channel.unary_unary(path, request_serializer, response_deserializer)

        async def call(request: Message, timeout: float | None = None, metadata: Any = None, trailing: list[Any] | None = None) -> Any:
            try:
                going = underlying(request, timeout=timeout or self._deadline_s, metadata=self._headers(metadata or ()))
                answer = await going
                if trailing is not None:
                    trailing += await going.trailing_metadata()
                return answer
            except aio.AioRpcError as error:
                raise refusal_from(error) from error

        return call

    def unary_stream(self, path: str, request_serializer: Any, response_deserializer: Any, **_: Any) -> Callable[..., AsyncIterator[Any]]:
        """Returns a call with many answers as the generated stubs make it; it has no deadline but what the caller sets."""
        underlying = self._channel.unary_stream(path, request_serializer, response_deserializer)

        async def call(request: Message, timeout: float | None = None, metadata: Any = None) -> AsyncIterator[Any]:
            going = underlying(request, timeout=timeout, metadata=self._headers(metadata or ()))
            try:
                async for answer in going:
                    yield answer
            except aio.AioRpcError as error:
                raise refusal_from(error) from error
            finally:
                going.cancel()

        return call

    def _headers(self, given: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Who calls: whoever the call names, else this service."""
        headers = [("traceparent", current_traceparent.get()), *given]
        if not any(key == "authorization" for key, _ in given):
            headers.append(("authorization", f"Bearer {self._tokens.current()}"))
        return headers


def refusal_from(error: aio.AioRpcError) -> Refusal:
    """Returns a failed call as the refusal it carries, or as unavailable."""
    trailing = tuple(error.trailing_metadata() or ())
    for key, value in trailing:
        if key == DETAILS:
            refusal = from_status(status_pb2.Status.FromString(value if isinstance(value, bytes) else value.encode()))
            refusal.replayed = REPLAYED in trailing
            return refusal
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return Unavailable("UNREACHABLE", "the service cannot be reached; try again")
    number = error.code().value[0]
    kind = Kind(number) if number in Kind._value2member_map_ else Kind.UNAVAILABLE
    return refusal_of(kind, kind.name, error.details() or kind.name)


class DirectChannels:
    """Channels of a simulation: a call is a function call into the other pipeline, messages copied as on a wire."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self.pipelines: dict[str, tuple[Pipeline, dict[str, Method]]] = {}

    def to(self, service: str) -> aio.Channel:
        """Returns the channel to a service."""
        return cast(aio.Channel, DirectChannel(self, service))

    async def call(self, service: str, path: str, request: bytes, actor: str) -> Message:
        """Runs a call; Unavailable where the service does not run."""
        pipeline, method = self._found(service, path)
        return await pipeline.call(method, method.request.FromString(request), self._incoming(actor))

    def watch(self, service: str, path: str, request: bytes, actor: str) -> AsyncIterator[Message]:
        """Runs a call with many answers; Unavailable where the service does not run."""
        pipeline, method = self._found(service, path)
        return pipeline.watch(method, method.request.FromString(request), self._incoming(actor))

    def _found(self, service: str, path: str) -> tuple[Pipeline, Method]:
        if service not in self.pipelines:
            raise Unavailable("UNREACHABLE", "the service cannot be reached; try again")
        pipeline, methods = self.pipelines[service]
        return pipeline, methods[path]

    def _incoming(self, actor: str) -> Incoming:
        return Incoming(f"Bearer {self._tokens.current()}", current_traceparent.get(), actor=actor)


class DirectChannel:
    """A channel into another pipeline."""

    def __init__(self, channels: DirectChannels, service: str) -> None:
        self._channels = channels
        self._service = service

    def unary_unary(self, path: str, request_serializer: Any, response_deserializer: Any, **_: Any) -> Callable[..., Awaitable[Any]]:
        """Returns a call as the generated stubs make it."""

        async def call(request: Message, timeout: float | None = None, metadata: Any = None) -> Any:
            del timeout
            actor = dict(metadata or ()).get("argosy-actor", "")
            answer = await self._channels.call(self._service, path, request_serializer(request), actor)
            return response_deserializer(answer.SerializeToString())

        return call

    def unary_stream(self, path: str, request_serializer: Any, response_deserializer: Any, **_: Any) -> Callable[..., AsyncIterator[Any]]:
        """Returns a call with many answers as the generated stubs make it."""

        async def call(request: Message, timeout: float | None = None, metadata: Any = None) -> AsyncIterator[Any]:
            del timeout
            actor = dict(metadata or ()).get("argosy-actor", "")
            async for answer in self._channels.watch(self._service, path, request_serializer(request), actor):
                yield response_deserializer(answer.SerializeToString())

        return call
