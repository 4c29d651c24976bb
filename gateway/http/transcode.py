"""HTTP to gRPC: decodes a request by its route, calls the service that owns it as the caller, encodes the answer."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from chassis.kernel.errors import InvalidArgument, NotFound, Refusal, Unauthenticated
from chassis.runtime.channels import Channels
from chassis.runtime.settings import SERVICES
from chassis.runtime.status import REPLAYED
from gateway.http.codec import Codecs
from gateway.http.problem import REPLAYED_HEADER
from gateway.http.routes import Route, Routes

MOST_BYTES = 1024 * 1024


async def body_of(request: Request) -> bytes:
    """Reads a body; raises InvalidArgument BODY_TOO_LARGE before it is all in memory."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MOST_BYTES:
            raise InvalidArgument("BODY_TOO_LARGE", f"a body may have {MOST_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


class Transcoder:
    """Answers every rpc over HTTP."""

    def __init__(self, channels: Channels, routes: Routes) -> None:
        self._channels = channels
        self._routes = routes
        self._codecs = Codecs()
        self._calls: dict[tuple[str, str], Any] = {}

    async def __call__(self, request: Request) -> Response:
        """Answers a request; raises a Refusal."""
        route, variables = self._routes.find(request.method, request.scope["raw_path"].decode("latin-1"))
        authorization = request.headers.get("authorization", "")
        if not authorization:
            raise Unauthenticated("NO_CREDENTIALS", "send an API key as 'Authorization: Bearer <key>'")
        message = await self._message(route, variables, request)
        if route.method.streams:
            return await self._stream(route, self._call(route, variables)(message, metadata=[("authorization", authorization)]))
        trailing: list[tuple[str, str]] = []
        answer = await self._call(route, variables)(message, metadata=[("authorization", authorization)], trailing=trailing)
        headers = {"ETag": f'"{answer.etag}"'} if "etag" in answer.DESCRIPTOR.fields_by_name and answer.etag else {}
        if REPLAYED in trailing:
            headers.update(REPLAYED_HEADER)
        encoded = msgspec.json.encode(self._codecs.of(route.method.response).encode(answer))
        return Response(encoded, 200, headers, "application/json")

    async def _stream(self, route: Route, answers: AsyncGenerator[Any]) -> Response:
        """Answers with server-sent events; what is refused before the first is a problem document as usual."""
        codec = self._codecs.of(route.method.response)
        first = await anext(answers)

        async def events() -> AsyncIterator[bytes]:
            async with aclosing(answers):
                yield _event(codec.encode(first))
                try:
                    async for answer in answers:
                        yield _event(codec.encode(answer)) if answer.ByteSize() else b": open\n\n"
                except Refusal as refusal:
                    yield b"event: problem\n" + _event({"reason": refusal.reason, "detail": refusal.message})

        return StreamingResponse(events(), headers={"Cache-Control": "no-store"}, media_type="text/event-stream")

    async def _message(self, route: Route, variables: Mapping[str, str], request: Request) -> Any:
        codec = self._codecs.of(route.method.request)
        data = await self._body(request) if route.has_body else _query(route, request)
        for name, value in variables.items():
            if data.get(name, value) != value:
                raise InvalidArgument("INVALID_FIELD", f"{name}: differs from the path", field=name)
            data[name] = value
        fields = route.method.request.DESCRIPTOR.fields_by_name
        if "request_id" in fields:
            key = request.headers.get("idempotency-key", "")
            data.setdefault("request_id", key)
            if not data["request_id"]:
                raise InvalidArgument("NO_IDEMPOTENCY_KEY", "send an Idempotency-Key of 16 to 255 characters", field="Idempotency-Key")
        if "etag" in fields and "if-match" in request.headers:
            data.setdefault("etag", request.headers["if-match"].removeprefix("W/").strip('"'))
        return codec.decode(data)

    async def _body(self, request: Request) -> dict[str, Any]:
        body = await body_of(request)
        if not body:
            return {}
        if request.headers.get("content-type", "application/json").split(";")[0].strip() != "application/json":
            raise InvalidArgument("NOT_JSON", "send the body as application/json")
        try:
            data = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidArgument("BAD_JSON", f"the body is no JSON: {error}", field="body") from error
        if not isinstance(data, dict):
            raise InvalidArgument("INVALID_FIELD", "body: must be an object", field="body")
        return data

    def _call(self, route: Route, variables: Mapping[str, str]) -> Any:
        method = route.method
        service = variables.get("service", "") if method.component == "ops" else method.component
        if service not in SERVICES:
            raise NotFound("NO_SUCH_SERVICE", f"there is no service {service}", field="service")
        key = (service, method.path)
        if key not in self._calls:
            channel = self._channels.to(service)
            make = channel.unary_stream if method.streams else channel.unary_unary
            self._calls[key] = make(method.path, method.request.SerializeToString, method.response.FromString)
        return self._calls[key]


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def _query(route: Route, request: Request) -> dict[str, Any]:
    """Returns the query as JSON data; each parameter is a field of the request."""
    data: dict[str, Any] = {}
    fields = route.method.request.DESCRIPTOR.fields_by_name
    for name, value in request.query_params.multi_items():
        field = fields.get(name)
        if field is not None and field.is_repeated:
            data.setdefault(name, []).append(value)
        elif name in data:
            raise InvalidArgument("INVALID_FIELD", f"{name}: stands there twice", field=name)
        elif field is not None and field.cpp_type == field.CPPTYPE_BOOL and value in ("true", "false"):
            data[name] = value == "true"
        else:
            data[name] = value
    return data
