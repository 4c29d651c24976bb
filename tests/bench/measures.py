"""What is measured: each measure returns named ratios of one run, after it has checked that the work was done."""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.gateway.v1 import access_service_pb2
from argosy.inventory.v1 import reservations_service_pb2, stock_service_pb2
from argosy.inventory.v1.reservations_service_pb2_grpc import ReservationsServiceStub
from argosy.orders.v1 import orders_service_pb2
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.ids import new_id
from chassis.runtime.auth import Tokens
from chassis.runtime.channels import Channels, GrpcChannels
from chassis.runtime.settings import SERVICES, Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import NatsServer, Suite, environment, free_ports
from tests.bench.cpu import used_us
from tests.bench.fill import multiply
from tests.builders import open_shop, publish_item, receive

IN_FLIGHT = 64
ROUNDS, CALLS = 15, 1000
ITEMS = 48
ORDER_ROUNDS, ORDERS = 3, 400
TIMES = 100
PAIR_CALLS = 4000
WAVE_S = 0.25


@dataclass(frozen=True)
class Value:
    """A ratio, what it was made of, and what it must reach: at least where `floor` is set, at most where `ceiling` is."""

    name: str
    value: float
    numerator: float
    denominator: float
    unit: str
    floor: float | None = None
    ceiling: float | None = None

    @property
    def met(self) -> bool:
        """Says whether it is good enough."""
        return (self.floor is None or self.value >= self.floor) and (self.ceiling is None or self.value <= self.ceiling)


def ratio(
    name: str, above: Sequence[float], below: Sequence[float], unit: str, *, floor: float | None = None, ceiling: float | None = None
) -> Value:
    """Returns the median of the rounds' ratios: what was measured side by side is compared, so that a slow minute slows both."""
    each = [a / b for a, b in zip(above, below, strict=True)]
    return Value(name, statistics.median(each), statistics.median(above), statistics.median(below), unit, floor, ceiling)


@dataclass
class Bench:
    """A suite under measurement, each service in its own process, and beside it the empty server and the classic one."""

    suite: Suite
    calls: Calls
    empty: Channels
    empty_pid: int
    classic: Channels
    database_pid: int
    items: list[str]

    def pids(self) -> dict[str, int]:
        """Returns the processes that do the work, by name."""
        assert self.suite.nats is not None
        found = {service: self.suite.processes[service].pid for service in SERVICES}
        found["nats"] = self.suite.nats.pid
        if self.database_pid:
            found["postgresql"] = self.database_pid
        return found


@asynccontextmanager
async def stand_in(settings: Settings, module: str, **environ: str) -> AsyncIterator[tuple[Channels, int]]:
    """Runs another inventory, with a port, a database and a bus of its own, so that it takes nothing from the real one."""
    port, bus = free_ports(2)
    own = settings.model_copy(
        update={
            "data_dir": settings.data_dir / module, "database_url": "", "ports": {**settings.ports, "inventory": port}, "addresses": {},
            "nats_url": f"nats://127.0.0.1:{bus}",
        }
    )  # fmt: skip
    nats = NatsServer(bus, own.data_dir / "nats")
    await nats.start()
    env = {**os.environ, **environment(own), **environ}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", f"tests.bench.{module}", env=env)
    channels = GrpcChannels(own, Tokens("suite", own.service_secret))
    try:
        await Suite(own, None, channels).serving("inventory")
        yield channels, process.pid
    finally:
        await channels.close()
        process.terminate()
        await process.wait()
        await nats.stop()


async def set_up(suite: Suite, empty: tuple[Channels, int], classic: Channels, database_pid: int) -> Bench:
    """A shop with many items, each with much stock."""
    calls = Calls(suite.channels)
    first = await open_shop(calls, {"BER": 10_000_000})
    items = [first]
    for index in range(2, ITEMS + 1):
        item_id = await publish_item(calls, f"MUG-{index}")
        await receive(calls, item_id, "BER", 10_000_000, 4_000_000_000)
        items.append(item_id)
    return Bench(suite, calls, *empty, classic, database_pid, items)


async def drive(count: int, call: Callable[[int], Awaitable[Any]], in_flight: int = IN_FLIGHT) -> float:
    """Makes calls with so many in flight and returns how many a second were answered.

    What a call sends is made before the clock runs, since who makes it shares the cores with what is measured.
    """
    calls = iter([call(number) for number in range(count)])

    async def work() -> None:
        for one in calls:
            await one

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    return count / (time.perf_counter() - started)


def reserve(channels: Channels, items: Sequence[str]) -> Callable[[int], Awaitable[Any]]:
    """Returns a call that reserves one unit of the next item."""
    stub = ReservationsServiceStub(channels.to("inventory"))

    def call(number: int) -> Awaitable[Any]:
        line = reservations_service_pb2.ReservationLine(line_id=new_id(), item_id=items[number % len(items)], location_id="BER", quantity=1)
        return stub.Reserve(reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id=new_id(), lines=[line]), timeout=60)

    return call


def refused(channels: Channels, item_id: str) -> Callable[[int], Awaitable[Any]]:
    """Returns a call that asks for a unit of an item of which nothing is left."""
    ask = reserve(channels, [item_id])

    async def refusal(answer: Awaitable[Any]) -> None:
        try:
            await answer
        except FailedPrecondition as refused:
            if refused.reason == "INSUFFICIENT_STOCK":
                return
        raise RuntimeError("what is sold out was sold")

    return lambda number: refusal(ask(number))


async def sold_out(bench: Bench) -> str:
    """Returns an item whose only unit is reserved."""
    item_id = await publish_item(bench.calls, "LAST")
    await receive(bench.calls, item_id, "BER", 1, 400)
    await reserve(bench.suite.channels, [item_id])(0)
    return item_id


async def reserved_units(bench: Bench) -> int:
    """Returns what inventory counts as reserved."""
    answer = await bench.calls.stock.ListBalances(stock_service_pb2.ListBalancesRequest(location_id="BER", page_size=500))
    return sum(one.quantity for one in answer.balances if one.state == 3)


async def measure_reserve(bench: Bench) -> list[Value]:
    """Reserve against an empty rpc, hot against spread, a no against a yes, and against the classic way, slices interleaved."""
    calls = {
        "empty": reserve(bench.empty, bench.items), "spread": reserve(bench.suite.channels, bench.items),
        "hot": reserve(bench.suite.channels, bench.items[:1]), "classic hot": reserve(bench.classic, bench.items[:1]),
        "classic spread": reserve(bench.classic, bench.items),
        "refused": refused(bench.suite.channels, await sold_out(bench)),
    }  # fmt: skip
    rates: dict[str, list[float]] = {name: [] for name in calls}
    before = await reserved_units(bench)
    for call in calls.values():
        await drive(200, call)
    for _ in range(ROUNDS):
        for name, call in calls.items():
            rates[name].append(await drive(CALLS, call))
    made = await reserved_units(bench) - before
    if made != 2 * (200 + ROUNDS * CALLS):
        raise RuntimeError(f"{2 * (200 + ROUNDS * CALLS)} units were reserved, inventory counts {made}")
    return [
        ratio("reserve / empty rpc", rates["spread"], rates["empty"], "calls/s", floor=0.70),
        ratio("hot / spread", rates["hot"], rates["spread"], "calls/s", floor=0.90),
        ratio("refused / hot", rates["refused"], rates["hot"], "calls/s", floor=0.90),
        ratio("reserve hot / classic hot", rates["hot"], rates["classic hot"], "calls/s", floor=4.5),
        ratio("reserve spread / classic spread", rates["spread"], rates["classic spread"], "calls/s"),
    ]


async def measure_orders(bench: Bench, settings: Settings) -> list[Value]:
    """CPU of the whole suite for an order of three lines, from HTTP to posted, against an empty rpc pair; then with 100 × the orders."""
    secret = (
        await bench.calls.access.CreateKey(access_service_pb2.CreateKeyRequest(request_id=new_id(), account="bench", permissions=["*"]))
    ).secret
    await trade(bench, settings, secret, ORDERS)
    pairs, small = await order_rounds(bench, settings, secret)
    proof = await prove(bench.suite.channels, settled=True)
    if [one for one in proof.breaks if not (one.check == "P2" and one.service == "inventory")]:
        raise RuntimeError(f"the books are not clean: {proof.breaks[:3]}")
    stored = await multiply(settings, TIMES)
    await trade(bench, settings, secret, ORDERS)
    pairs_large, large = await order_rounds(bench, settings, secret)
    totals = [sum(costs) for costs in zip(*small.values(), strict=True)]
    totals_large = [sum(costs) for costs in zip(*large.values(), strict=True)]
    values = [ratio("order CPU / empty rpc pair", totals, pairs, "µs", ceiling=16)]
    dearest = sorted(small.items(), key=lambda one: -sum(one[1]))
    values += [ratio(f"  of that, {name}", costs, pairs, "µs") for name, costs in dearest]
    # Each against the pair beside it, because minutes lie between them.
    before = [cost / pair for cost, pair in zip(totals, pairs, strict=True)]
    after = [cost / pair for cost, pair in zip(totals_large, pairs_large, strict=True)]
    values.append(ratio(f"order CPU with {stored} stored / before", after, before, "pairs", ceiling=1.5))
    return values


async def order_rounds(bench: Bench, settings: Settings, secret: str) -> tuple[list[float], dict[str, list[float]]]:
    """Returns what an empty pair and an order cost, the order by process, once a round."""
    pairs: list[float] = []
    costs: dict[str, list[float]] = {name: [] for name in bench.pids()}
    for _ in range(ORDER_ROUNDS):
        pairs.append(await empty_pair(bench))
        for name, cost in (await trade(bench, settings, secret, ORDERS)).items():
            costs[name].append(cost)
    return pairs, costs


async def empty_pair(bench: Bench) -> float:
    """Returns the CPU of an empty rpc, in its server and in its client."""
    call = reserve(bench.empty, bench.items)
    await drive(500, call)
    server, client = used_us(bench.empty_pid), time.process_time()
    await drive(PAIR_CALLS, call)
    return (used_us(bench.empty_pid) - server + (time.process_time() - client) * 1e6) / PAIR_CALLS


class Posts:
    """Keeps connections alive and posts over them; a client library would use more time than what is measured."""

    def __init__(self, host: str, port: int, secret: str) -> None:
        self._address = (host, port)
        self._head = f"Host: {host}\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\n"
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> "Posts":
        self._free = [await asyncio.open_connection(*self._address) for _ in range(IN_FLIGHT)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for _, writer in self._free:
            writer.close()

    async def post(self, path: str, body: object) -> None:
        """Posts under a key of its own; raises where the answer is no 2xx."""
        content = json.dumps(body)
        head = f"POST {path} HTTP/1.1\r\n{self._head}Idempotency-Key: {new_id()}\r\nContent-Length: {len(content)}\r\n\r\n"
        reader, writer = self._free.pop()
        writer.write((head + content).encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line.split(":")[1]) for line in answer.lower().split("\r\n") if line.startswith("content-length:"))
        content = (await reader.readexactly(length)).decode()
        if not answer.startswith("HTTP/1.1 2"):
            raise RuntimeError(f"{answer.splitlines()[0]}: {content}")
        self._free.append((reader, writer))


async def trade(bench: Bench, settings: Settings, secret: str, count: int) -> dict[str, float]:
    """Takes orders over HTTP, ships them, waits until all is posted; returns CPU per order by process."""
    pids = bench.pids()
    before = {name: used_us(pid) for name, pid in pids.items()}
    shipped_before = (await bench.calls.orders.GetFigures(orders_service_pb2.GetFiguresRequest())).by_status["SHIPPED"]
    async with Posts(settings.host, settings.http_port, secret) as posts:

        async def place(number: int) -> None:
            lines = [
                {"channel_sku": f"MUG-{1 + (number * 3 + offset) % ITEMS}", "quantity": 1, "amount_minor": 1000} for offset in range(3)
            ]
            body = {
                "channel_id": "web", "external_order_id": new_id(), "currency_code": "EUR", "entity": "DE01", "shipping_minor": 500,
                "ship_to": {"name": "A", "lines": [f"St {new_id()}"], "locality": "Berlin", "postal_code": "10115", "country_code": "DE"},
                "lines": lines, "tenders": [{"method": "card", "state": "TENDER_STATE_CAPTURED", "amount_minor": 3570 + 595}],
            }  # fmt: skip
            await posts.post("/v1/orders", body)

        placing = asyncio.ensure_future(drive(count, place))
        shipped = 0
        while shipped < count:
            shipped += await _ship_released(bench)
            await asyncio.sleep(WAVE_S)
            if placing.done():
                placing.result()
        await placing
    while True:
        figures = await bench.calls.orders.GetFigures(orders_service_pb2.GetFiguresRequest())
        if figures.by_status["SHIPPED"] - shipped_before == count:
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.5)
    return {name: (used_us(pid) - before[name]) / count for name, pid in pids.items()}


async def _ship_released(bench: Bench) -> int:
    request = fulfillment_service_pb2.ListFulfillmentOrdersRequest(status=fulfillment_pb2.FULFILLMENT_STATUS_RELEASED, page_size=200)
    found = (await bench.calls.fulfillment.ListFulfillmentOrders(request)).fulfillment_orders
    if found:
        batch = fulfillment_service_pb2.BatchConfirmShipmentRequest(
            requests=[
                fulfillment_service_pb2.ConfirmShipmentRequest(request_id=new_id(), fulfillment_order_id=one.fulfillment_order_id)
                for one in found
            ]
        )
        answer = await bench.calls.fulfillment.BatchConfirmShipment(batch, timeout=60)
        return sum(result.HasField("response") for result in answer.results)
    return 0
