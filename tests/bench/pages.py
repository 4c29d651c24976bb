"""What pages cost: each list of the console with some orders behind it, and with a hundred times as many."""

import statistics
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from argosy.gateway.v1 import access_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from tests.bench.fill import multiply
from tests.bench.measures import TIMES, Bench, Value, ratio, trade
from tests.builders import eventually, order

ORDERS, HELD, ROUNDS = 1000, 20, 40
# Years: ten times what a day is, before it is a hundred times as much.
YEARS = 10
PASSWORD = "a password of the bench"
PAGES = {
    "orders": "/console/orders",
    "orders by state": f"/console/orders?status={order_pb2.ORDER_STATUS_SHIPPED}",
    "orders by channel and state": f"/console/orders?channel=web&status={order_pb2.ORDER_STATUS_SHIPPED}",
    "holds": "/console/holds",
    "one queue": "/console/holds?queue=payment&service=orders",
    "stock": "/console/stock",
    "fulfilment": "/console/fulfilment",
    "returns": "/console/returns",
    "account": "/console/ledger/accounts/4000",
    "trial balance": "/console/ledger",
    "integrations": "/console/integrations",
}
LISTS = {name: PAGES[name] for name in ("orders", "orders by state", "orders by channel and state", "holds", "one queue")}


async def measure_pages(bench: Bench, settings: Settings) -> list[Value]:
    """Time of each list with 100,000 orders against 1,000, in one run."""
    async with _person(bench, settings) as client:
        before = await _look(client, PAGES)
        stored = await multiply(settings, TIMES)
        after = await _look(client, PAGES)
    return [ratio(f"page of {name}, {stored} orders / {ORDERS}", after[name], before[name], "ms", ceiling=1.5) for name in PAGES]


async def measure_lists(bench: Bench, settings: Settings) -> list[Value]:
    """Time of the lists of orders and of queues with 1,000,000 orders against 10,000, in one run."""
    async with _person(bench, settings) as client:
        fewer = await multiply(settings, YEARS, "+", ("orders",))
        before = await _look(client, LISTS)
        stored = await multiply(settings, TIMES, "~", ("orders",))
        after = await _look(client, LISTS)
    return [ratio(f"page of {name}, {stored} orders / {fewer}", after[name], before[name], "ms", ceiling=1.5) for name in LISTS]


@asynccontextmanager
async def _person(bench: Bench, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Trades, and signs somebody in."""
    key = access_service_pb2.CreateKeyRequest(request_id=new_id(), account="bench", permissions=["*"])
    secret = (await bench.calls.access.CreateKey(key)).secret
    person = access_service_pb2.SetUserRequest(
        request_id=new_id(), user_id="olivia", role=access_service_pb2.ROLE_OPERATIONS, password=PASSWORD
    )
    await bench.calls.access.SetUser(person)
    await trade(bench, settings, secret, ORDERS)
    await _hold(bench)
    address = f"http://{settings.host}:{settings.http_port}"
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        await client.post("/console/sign-in", data={"user_id": "olivia", "password": PASSWORD})
        yield client


async def _hold(bench: Bench) -> None:
    """Places orders that nobody paid, so that queues are not empty."""
    unpaid = [order(f"held-{number}", paid=False) for number in range(HELD)]
    for request in unpaid:
        await bench.calls.orders.CreateOrder(request)
    asked = holds_service_pb2.ListHoldsRequest(service="orders", reason="AWAITING_PAYMENT", page_size=HELD)

    async def held() -> bool:
        return len((await bench.calls.holds("orders").ListHolds(asked)).holds) == HELD

    await eventually(held)


async def _look(client: httpx.AsyncClient, pages: Mapping[str, str]) -> dict[str, list[float]]:
    """Returns how long each page took, in milliseconds, pages in turn; the first round is not counted."""
    found: dict[str, list[float]] = {name: [] for name in pages}
    for number in range(ROUNDS + 1):
        for name, path in pages.items():
            started = time.perf_counter()
            answer = await client.get(path)
            if answer.status_code != 200 or ("<tbody>" not in answer.text and name not in ("holds", "returns", "integrations")):
                raise RuntimeError(f"{path}: {answer.status_code}")
            if number:
                found[name].append((time.perf_counter() - started) * 1000)
    return {name: [statistics.median(times)] for name, times in found.items()}
