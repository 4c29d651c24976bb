"""A day of trade from order files: what they sell is set up with stock, short of some, then they are delivered and worked."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from argosy.gateway.v1 import connections_service_pb2, deliveries_service_pb2
from argosy.returns.v1 import returns_service_pb2
from gateway.app.read_deliveries import plain
from gateway.calls import Calls
from gateway.channels.order_file import FileOrder, Line, read_file
from suite.demo import DISPOSITIONS, DemoDay, Progress
from suite.files import connect_files, import_orders
from suite.trade import ENTITY, LOCATIONS, Article, Day

CHANNEL = "files"
SHORT_EVERY, SHORT_PERCENT = 60, 50
COST_PERCENT = 55


class FileDay(DemoDay):
    """The day under way, with what was delivered."""

    def __init__(self, calls: Calls, paths: Sequence[Path], mapping: connections_service_pb2.FileMapping, progress: Progress) -> None:
        self.paths = paths
        self.mapping = mapping
        self.delivered: list[deliveries_service_pb2.Delivery] = []
        super().__init__(calls, _day(paths, mapping), progress)

    async def run(self) -> None:
        """Carries the day out, file by file."""
        await self.set_up()
        await connect_files(self.calls, CHANNEL, ENTITY, self.mapping, LOCATIONS[0][0])
        for path in self.paths:
            self.delivered.append(await import_orders(self.calls, path, CHANNEL, self.progress))
            await self.work_warehouses("waves")
        await self.take_returns()

    async def take_returns(self) -> None:
        """What the files took back and had shipped comes in and is judged."""
        request = returns_service_pb2.ListReturnsRequest(status=returns_service_pb2.RETURN_STATUS_AUTHORIZED, page_size=500)
        found = (await self.calls.returns.ListReturns(request)).returns
        for index, one in enumerate(found):
            disposition = DISPOSITIONS[index % len(DISPOSITIONS)]
            await self.receive_and_judge(one, disposition)
            self.progress("returns", index + 1, len(found))


def _day(paths: Sequence[Path], mapping: connections_service_pb2.FileMapping) -> Day:
    """Returns what must be set up so that the files can be traded: items with stock, short of some, and untaxed countries."""
    how = plain(mapping)
    orders: list[FileOrder] = [order for path in paths for order in read_file(path.read_bytes(), how).orders]
    units: dict[str, int] = defaultdict(int)
    first: dict[str, Line] = {}
    for order in orders:
        for line in order.lines:
            sku = line.sku.strip().upper()
            units[sku] += line.quantity
            first.setdefault(sku, line)
    articles = []
    for index, (sku, sold) in enumerate(sorted(units.items())):
        line = first[sku]
        stocked = max(1, sold * SHORT_PERCENT // 100) if index % SHORT_EVERY == 0 else sold
        # Two of three articles lie in two places, so that some orders split.
        parts = (stocked - stocked // 2, stocked // 2) if index % 3 else (stocked,)
        stock = {LOCATIONS[place][0]: part for place, part in enumerate(parts) if part}
        cost = max(1, line.amount_minor * COST_PERCENT // 100 // line.quantity)
        articles.append(Article(sku, line.description or sku, 250, cost, 0, (), stock, 1))
    rates = dict.fromkeys(sorted({order.country_code for order in orders}), 0)
    return Day(articles, [], 0, mapping.currency_code, {CHANNEL: "Order files"}, rates)
