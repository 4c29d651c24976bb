"""Stock under measurement: promises read and made, lines of many units, feeds, and a store a hundred times as large."""

import random
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text

from argosy.inventory.v1 import feeds_service_pb2, reservations_service_pb2, stock_pb2, stock_service_pb2
from argosy.inventory.v1.reservations_service_pb2_grpc import ReservationsServiceStub
from argosy.inventory.v1.stock_service_pb2_grpc import StockServiceStub
from chassis.kernel.clock import to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database
from chassis.runtime.host import wall_clock
from chassis.runtime.settings import Settings
from tests.bench.measures import Bench, Value, drive, ratio, reserve, reserved_units

ROUNDS, CALLS = 15, 1000
# So many calls of so many orders: the first and the last of those in flight, which have few beside them, must weigh little.
TOGETHER_CALLS, TOGETHER = 500, 32
IDLE_CALLS = 200
PLACES = 20
SMALL, LARGE = 10_000, 1_000_000
FEED_LINES, PAGE = 100_000, 5_000


def lines_of(channels: Channels, items: list[str], count: int, quantity: int = 1) -> Callable[[int], Awaitable[Any]]:
    """Returns a call that reserves so many lines of so many units."""
    stub = ReservationsServiceStub(channels.to("inventory"))

    return lambda number: stub.Reserve(_request(items, number, count, quantity), timeout=60)


def _request(items: list[str], number: int, count: int, quantity: int, place: str = "BER") -> reservations_service_pb2.ReserveRequest:
    lines = [
        reservations_service_pb2.ReservationLine(
            line_id=str(index), item_id=items[(number + index) % len(items)], location_id=place, quantity=quantity
        )
        for index in range(count)
    ]
    return reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id=new_id(), lines=lines)


def together(channels: Channels, items: list[str]) -> Callable[[int], Awaitable[Any]]:
    """Returns a call that reserves for many orders at once."""
    stub = ReservationsServiceStub(channels.to("inventory"))

    def call(number: int) -> Awaitable[Any]:
        requests = [_request(items, number * TOGETHER + index, 1, 1) for index in range(TOGETHER)]
        return stub.BatchReserve(reservations_service_pb2.BatchReserveRequest(requests=requests), timeout=60)

    return call


def promise(channels: Channels, items: list[str]) -> Callable[[int], Awaitable[Any]]:
    """Returns a call that asks what can be promised of the next item."""
    stub = StockServiceStub(channels.to("inventory"))

    def call(number: int) -> Awaitable[Any]:
        return stub.GetAvailability(stock_service_pb2.GetAvailabilityRequest(item_ids=[items[number % len(items)]]), timeout=60)

    return call


async def median_us(count: int, call: Callable[[int], Awaitable[Any]]) -> float:
    """Makes calls one after the other and returns their median time in microseconds."""
    times = []
    for one in [call(number) for number in range(count)]:
        started = time.perf_counter()
        await one
        times.append(1e6 * (time.perf_counter() - started))
    return statistics.median(times)


async def measure_stock(bench: Bench) -> list[Value]:
    """Promises against an empty rpc, many together and a lone one against the classic way, many units against one."""
    real = bench.suite.channels
    calls = {
        "empty": reserve(bench.empty, bench.items), "ats": promise(real, bench.items), "three": lines_of(real, bench.items, 3),
        "empty of three": lines_of(bench.empty, bench.items, 3),
        "one": lines_of(real, bench.items, 1), "thousand": lines_of(real, bench.items, 1, 1000),
        "classic": lines_of(bench.classic, bench.items[:1], 1),
    }  # fmt: skip
    rates: dict[str, list[float]] = {name: [] for name in (*calls, "together", "lone", "lone classic")}
    before = await reserved_units(bench)
    for call in calls.values():
        await drive(200, call)
    for _ in range(ROUNDS):
        for name, call in calls.items():
            rates[name].append(await drive(CALLS, call))
        rates["together"].append(TOGETHER * await drive(TOGETHER_CALLS, together(real, bench.items[:1])))
        rates["lone"].append(await median_us(IDLE_CALLS, calls["one"]))
        rates["lone classic"].append(await median_us(IDLE_CALLS, calls["classic"]))
    each = 200 + ROUNDS * CALLS
    made, expected = await reserved_units(bench) - before, each * (3 + 1 + 1000) + ROUNDS * (TOGETHER_CALLS * TOGETHER + IDLE_CALLS)
    if made != expected:
        raise RuntimeError(f"{expected} units were reserved, inventory counts {made}")
    return [
        ratio("ATS read / empty rpc", rates["ats"], rates["empty"], "calls/s", floor=0.80),
        ratio("reserve of 3 lines / empty rpc of 3 lines", rates["three"], rates["empty of three"], "calls/s", floor=0.70),
        ratio("line of 1,000 units / of one", rates["thousand"], rates["one"], "calls/s", floor=0.90),
        ratio("reserve 32 together, hot / classic hot", rates["together"], rates["classic"], "orders/s", floor=25),
        ratio("a lone reserve / a lone classic one", rates["lone"], rates["lone classic"], "µs", ceiling=1.15),
    ]


async def measure_databases(embedded: Bench, server: Bench) -> list[Value]:
    """The same on SQLite as on PostgreSQL, in turn."""
    makes: dict[str, tuple[int, Callable[[Bench], Callable[[int], Awaitable[Any]]]]] = {
        "reserve": (1, lambda bench: lines_of(bench.suite.channels, bench.items, 1)),
        "reserve hot": (1, lambda bench: lines_of(bench.suite.channels, bench.items[:1], 1)),
        "reserve of 3 lines": (3, lambda bench: lines_of(bench.suite.channels, bench.items, 3)),
        "reserve 32 together, hot": (TOGETHER, lambda bench: together(bench.suite.channels, bench.items[:1])),
        "ATS read": (0, lambda bench: promise(bench.suite.channels, bench.items)),
    }
    values = []
    for name, (units, make) in makes.items():
        count = TOGETHER_CALLS if units == TOGETHER else CALLS
        rates: tuple[list[float], list[float]] = ([], [])
        for bench in (embedded, server):
            await drive(200, make(bench))
        before = [await reserved_units(bench) for bench in (embedded, server)]
        for _ in range(ROUNDS):
            for bench, found in zip((embedded, server), rates, strict=True):
                found.append(await drive(count, make(bench)))
        made = [await reserved_units(bench) - units_before for bench, units_before in zip((embedded, server), before, strict=True)]
        if made != [ROUNDS * count * units] * 2:
            raise RuntimeError(f"{name}: {ROUNDS * count * units} units were reserved, the inventories count {made}")
        values.append(ratio(f"sqlite / postgresql: {name}", *rates, "calls/s", floor=0.70))
    return values


async def measure_size(bench: Bench, settings: Settings) -> list[Value]:
    """Reserve with 10,000 items in 20 places, and with a hundred times as many; then a feed of 100,000 lines."""
    database = Database(settings.database_for("inventory"))
    rates = {}
    try:
        await _places(bench)
        for start, end in ((0, SMALL), (SMALL, LARGE)):
            await _fill(database, start, end)
            items = [f"i{number}" for number in random.Random(7).sample(range(end), 5000)]
            call = _anywhere(bench.suite.channels, items)
            await drive(500, call)
            rates[end] = [await drive(CALLS, call) for _ in range(ROUNDS)]
        await _value(database)
    finally:
        await database.close()
    return [
        ratio("reserve of 1,000,000 items × 20 / of 10,000 × 20", rates[LARGE], rates[SMALL], "calls/s", floor=0.80),
        *await _feed(bench),
    ]


def _anywhere(channels: Channels, items: list[str]) -> Callable[[int], Awaitable[Any]]:
    stub = ReservationsServiceStub(channels.to("inventory"))

    return lambda number: stub.Reserve(_request(items, number, 1, 1, f"P{number % PLACES:02d}"), timeout=60)


async def _places(bench: Bench) -> None:
    for number in range(PLACES):
        await bench.calls.stock.CreateLocation(
            stock_service_pb2.CreateLocationRequest(
                request_id=new_id(), location_id=f"P{number:02d}", name="place", kind=stock_pb2.LOCATION_KIND_WAREHOUSE, entity="DE01",
                country_code="DE", currency_code="EUR",
            )
        )  # fmt: skip


async def _fill(database: Database, start: int, end: int) -> None:
    """Puts stock of items into all places; a row for each."""
    step, postgres = 100_000, database.dialect == "postgresql"
    place = "'P' || lpad(p::text, 2, '0')" if postgres else "'P' || substr('0' || p, -2)"
    for first in range(start, end, step):
        numbers = _series("numbers", "n", first, min(first + step, end) - 1, postgres=postgres)
        places = _series("places", "p", 0, PLACES - 1, postgres=postgres)
        for into, chosen in (
            ("items (item_id, sku, standard_cost_minor, retired)", "'i' || n, 'I' || n, 100, 0 FROM numbers"),
            (
                "stock_balances (item_id, location_id, lot, state, quantity)",
                f"'i' || n, {place}, '', 1, 1000 FROM numbers CROSS JOIN places",
            ),
        ):
            async with database.write() as tx:
                await tx.write(text(f"INSERT INTO {into} WITH RECURSIVE {numbers}, {places} SELECT {chosen}"))


async def _value(database: Database) -> None:
    """Gives what the feed tells of its cost: a layer and a total for each."""
    which = (
        f"FROM stock_balances WHERE location_id = 'P00' AND item_id IN (SELECT item_id FROM items WHERE sku LIKE 'I%' LIMIT {LARGE}) "
        "GROUP BY item_id, location_id"
    )
    async with database.write() as tx:
        if database.dialect == "postgresql":
            # It is no statement of a service: what those may not do is best here.
            for setting in ("statement_timeout = 0", "enable_seqscan = on", "enable_hashjoin = on"):
                await tx.write(text(f"SET LOCAL {setting}"))
        for into, chosen in (
            (
                "cost_layers (layer_id, item_id, location_id, lot, held_for, line_id, quantity_in, quantity_left, value_in_minor, "
                "value_left_minor, document_id, effective_at)",
                "'l' || item_id, item_id, location_id, '', '', '', sum(quantity), sum(quantity), 100 * sum(quantity), 100 * sum(quantity), "
                "'fill', 1",
            ),
            ("valuations (item_id, location_id, quantity, value_minor)", "item_id, location_id, sum(quantity), 100 * sum(quantity)"),
        ):
            await tx.write(text(f"INSERT INTO {into} SELECT {chosen} {which}"))


def _series(name: str, column: str, first: int, last: int, *, postgres: bool) -> str:
    if postgres:
        return f"{name} AS (SELECT generate_series({first}, {last}) AS {column})"
    return f"{name}({column}) AS (SELECT {first} UNION ALL SELECT {column} + 1 FROM {name} WHERE {column} < {last})"


async def _feed(bench: Bench) -> list[Value]:
    """Takes a picture of 100,000 items in, one of ten of which differs."""
    dice = random.Random(9)
    said = [(f"I{number}", 1000 if dice.random() > 0.1 else 990) for number in range(SMALL, SMALL + FEED_LINES)]
    as_of, feed_id, started = to_timestamp(wall_clock() - 1_000_000), new_id(), time.perf_counter()
    changed = 0
    for page in range(1, FEED_LINES // PAGE + 1):
        lines = [feeds_service_pb2.FeedLine(sku=sku, quantity=quantity) for sku, quantity in said[(page - 1) * PAGE : page * PAGE]]
        answer = await bench.calls.feeds.ApplyStockFeed(
            feeds_service_pb2.ApplyStockFeedRequest(
                request_id=new_id(), source="wms", location_id="P00", feed_id=feed_id, kind=feeds_service_pb2.FEED_KIND_SNAPSHOT,
                as_of=as_of, page=page, last=page * PAGE == FEED_LINES, lines=lines,
            ),
            timeout=60,
        )  # fmt: skip
        changed = answer.changed
    took = time.perf_counter() - started
    if changed != sum(quantity != 1000 for _, quantity in said):
        raise RuntimeError(f"the feed changed {changed} lines")
    return [Value("feed of 100,000 lines, 10 % differ", FEED_LINES / took, FEED_LINES, took, "lines/s", floor=20_000)]
