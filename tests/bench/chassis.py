"""The chassis under measurement: HTTP, telemetry and the relay, each beside the least that the same work must cost."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
from grpc import aio
from nats.js.api import StreamConfig
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from argosy.gateway.v1 import access_service_pb2
from argosy.inventory.v1 import inventory_events_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.auth import Authenticator
from chassis.runtime.bus import NatsBus
from chassis.runtime.component import Component, cancelled
from chassis.runtime.database import Database
from chassis.runtime.host import wall_clock
from chassis.runtime.relay import PAGE, record_of
from chassis.runtime.settings import Settings
from chassis.runtime.telemetry import Metrics, Telemetry
from chassis.runtime.work import Cause, Work
from suite.modules import BUILDS
from suite.up import NatsServer, environment, free_ports, listens, migrate_all, wait_for
from tests.bench.cpu import used_us
from tests.bench.measures import CALLS, IN_FLIGHT, Bench, Posts, Value, drive, ratio, reserve, reserved_units, stand_in

ROUNDS, REQUESTS = 5, 1500
EVENTS = 8 * PAGE
SAMPLED = "0.01"


async def measure_chassis(bench: Bench, settings: Settings) -> list[Value]:
    """What the gateway costs over an echo that makes the same call, what telemetry costs, and how fast the outbox is emptied."""
    return [await _gateway(bench, settings), await _telemetry(bench, settings), await _relay(bench, settings)]


async def _gateway(bench: Bench, settings: Settings) -> Value:
    """Processor time of the gateway for a Reserve over HTTP, against that of an echo which makes the same call itself."""
    request = access_service_pb2.CreateKeyRequest(request_id=new_id(), account="bench", permissions=["*"])
    secret = (await bench.calls.access.CreateKey(request)).secret
    item_id, before = bench.items[0], await reserved_units(bench)
    costs: dict[str, list[float]] = {"gateway": [], "echo": []}
    async with _echo(settings, item_id) as (port, pid):
        doors = {"gateway": (settings.http_port, bench.pids()["gateway"]), "echo": (port, pid)}
        for _ in range(ROUNDS):
            for name, (at, process) in doors.items():
                async with Posts(settings.host, at, secret) as posts:

                    async def post(_: int, posts: Posts = posts) -> None:
                        line = {"line_id": "1", "item_id": item_id, "location_id": "BER", "quantity": 1}
                        await posts.post("/v1/reservations", {"order_id": new_id(), "lines": [line]})

                    await drive(IN_FLIGHT, post)
                    used = used_us(process)
                    await drive(REQUESTS, post)
                    costs[name].append((used_us(process) - used) / REQUESTS)
    made, expected = await reserved_units(bench) - before, 2 * ROUNDS * (REQUESTS + IN_FLIGHT)
    if made != expected:
        raise RuntimeError(f"{expected} units were reserved over HTTP, inventory counts {made}")
    return ratio("gateway CPU / echo and gRPC client", costs["gateway"], costs["echo"], "µs", ceiling=1.4)


@asynccontextmanager
async def _echo(settings: Settings, item_id: str) -> AsyncIterator[tuple[int, int]]:
    """Runs the echo and says at which port, and which process it is."""
    port = free_ports(1)[0]
    env = {**os.environ, **environment(settings.model_copy(update={"http_port": port})), "ECHO_ITEM": item_id}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bench.echo_server", env=env)
    try:
        await wait_for(lambda: listens(port), "the echo")
        yield port, process.pid
    finally:
        process.terminate()
        await process.wait()


class Collector(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):
    """Takes what is sent over OTLP and counts the spans."""

    def __init__(self) -> None:
        self.spans = 0

    async def Export(self, request: Any, _: Any) -> Any:
        """Takes traces or metrics: both are sent by a method of this name."""
        if isinstance(request, metrics_service_pb2.ExportMetricsServiceRequest):
            return metrics_service_pb2.ExportMetricsServiceResponse()
        self.spans += sum(len(scope.spans) for one in request.resource_spans for scope in one.scope_spans)
        return trace_service_pb2.ExportTraceServiceResponse()


async def _telemetry(bench: Bench, settings: Settings) -> Value:
    """An empty rpc of which 1 % is traced, spans and metrics sent over OTLP, against one without."""
    collector, server, port = Collector(), aio.server(), free_ports(1)[0]
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(collector, server)
    server.add_insecure_port(f"{settings.host}:{port}")
    await server.start()
    own = {name: settings.model_copy(update={"data_dir": settings.data_dir / name}) for name in ("traced", "untraced")}
    sent = {"ARGOSY_TRACE_RATIO": SAMPLED, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{settings.host}:{port}"}
    rates: dict[str, list[float]] = {name: [] for name in own}
    async with (
        stand_in(own["traced"], "empty_server", **sent) as (traced, _),
        stand_in(own["untraced"], "empty_server", ARGOSY_TRACE_RATIO="0") as (untraced, _),
    ):
        calls = {"traced": reserve(traced, bench.items), "untraced": reserve(untraced, bench.items)}
        for call in calls.values():
            await drive(200, call)
        for _ in range(2 * ROUNDS):
            for name, call in calls.items():
                rates[name].append(await drive(CALLS, call))
        await wait_for(lambda: collector.spans > 0, "a span", 30)
    await server.stop(1)
    expected = 2 * ROUNDS * CALLS * float(SAMPLED)
    if not expected / 2 < collector.spans < 2 * expected:
        raise RuntimeError(f"{expected:.0f} calls were to be traced, {collector.spans} spans came")
    return ratio("empty rpc, 1 % traced / none", rates["traced"], rates["untraced"], "calls/s", floor=0.92)


async def _relay(bench: Bench, settings: Settings) -> Value:
    """How fast an outbox is emptied, against the same messages published as they are, so many in flight as a page has."""
    port, folder = free_ports(1)[0], settings.data_dir / "relay"
    url = settings.database_url.replace("{service}", "relay")
    own = settings.model_copy(update={"data_dir": folder, "database_url": url, "nats_url": f"nats://{settings.host}:{port}"})
    server = NatsServer(port, folder / "nats")
    await server.start()
    try:
        await migrate_all(own, ["inventory"])
        return await _emptied(bench, own)
    finally:
        await server.stop()


async def _emptied(bench: Bench, own: Settings) -> Value:
    bus, client = NatsBus(own.nats_url, "relay"), await nats.connect(own.nats_url, pending_size=0)
    await bus.connect()
    stream: Any = client.jetstream(timeout=5)
    await stream.add_stream(StreamConfig(name="RAW", subjects=["raw.>"]))
    component = Component(
        BUILDS["inventory"](bench.suite.channels, own), Database(own.database_for("inventory")), bus, bench.suite.channels,
        Authenticator(own.service_secret, _nobody), own, Telemetry("relay", 0), Metrics(), wall_clock,
    )  # fmt: skip
    writing = asyncio.ensure_future(component.writer.serve())
    rates: dict[str, list[float]] = {"relay": [], "raw": []}
    try:
        await bus.declare("inventory")
        for _ in range(ROUNDS):
            await component.writer.run(_say, Cause("bench", "bench", "bench"))
            rows = await _said(component)
            messages = [record_of(row).SerializeToString() for row in rows]
            started = time.perf_counter()
            for start in range(0, EVENTS, PAGE):
                await asyncio.gather(*(stream.publish("raw.one", message) for message in messages[start : start + PAGE]))
            rates["raw"].append(EVENTS / (time.perf_counter() - started))
            started = time.perf_counter()
            while await component.relay.publish_page():
                pass
            rates["relay"].append(EVENTS / (time.perf_counter() - started))
            if await component.relay.lag() != (0, 0) or len(rows) != EVENTS:
                raise RuntimeError(f"of {EVENTS} events {len(rows)} were said, and {(await component.relay.lag())[0]} wait")
        there = (await stream.stream_info("ARGOSY_INVENTORY")).state.messages
        if there != ROUNDS * EVENTS:
            raise RuntimeError(f"{ROUNDS * EVENTS} events were published, the stream has {there}")
    finally:
        await cancelled([writing])
        await component.database.close()
        await client.close()
        await bus.close()
    return ratio("relay / raw publish", rates["relay"], rates["raw"], "events/s", floor=0.4)


async def _say(work: Work) -> None:
    for _ in range(EVENTS):
        work.emit(inventory_events_pb2.OnHandChanged(change_id=new_id(), document_id=new_id(), location_id="BER"))


async def _said(component: Component) -> list[Any]:
    """Returns what waits in the outbox."""
    outbox = component.service.tables.outbox
    async with component.database.read() as tx:
        return list(await tx.read(outbox.select().where(outbox.c.published_at.is_(None)).order_by(outbox.c.position)))


async def _nobody(_: str, __: bytes) -> None:
    return None
