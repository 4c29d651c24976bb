"""Past demand as rows of a CSV file: what was asked for before stock was kept here."""

from collections.abc import Sequence
from pathlib import Path

from argosy.inventory.v1 import planning_service_pb2
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import request_id
from gateway.calls import Calls
from suite.files import item_ids
from suite.rows import CREATED, REFUSED, CsvFile, Progress, Report, Row, RowResult, in_batches, whole


async def import_demand(calls: Calls, path: Path, progress: Progress, report: Report) -> None:
    """Makes past demand known: columns sku, location_id, day (YYYY-MM-DD), quantity in stock units."""
    file = CsvFile(path, ("sku", "location_id", "day", "quantity"))

    async def record(rows: Sequence[tuple[int, str, planning_service_pb2.DemandDay]]) -> list[RowResult]:
        """Records rows together; where they are refused, each by itself, so that only the wrong ones are left out."""
        request = planning_service_pb2.RecordPastDemandRequest(
            request_id=request_id("import-demand", file.digest, rows[0][0], len(rows)), days=[day for _, _, day in rows]
        )
        try:
            await calls.planning.RecordPastDemand(request, timeout=60)
        except Refusal as refusal:
            if len(rows) == 1:
                return [RowResult(rows[0][0], rows[0][1], REFUSED, refusal.reason, refusal.message)]
            return [result for row in rows for result in await record([row])]
        return [RowResult(line, sku, CREATED) for line, sku, _ in rows]

    async def send(rows: Sequence[Row]) -> list[RowResult]:
        known = await item_ids(calls, sorted({row["sku"] for _, row in rows}))
        found: dict[int, RowResult] = {}
        wanted = []
        for line, row in rows:
            if row["sku"] not in known:
                found[line] = RowResult(line, row["sku"], REFUSED, "NO_SUCH_ITEM", "sku: there is no published item of this SKU")
                continue
            try:
                quantity = whole(row["quantity"], "quantity")
            except ValueError as error:
                found[line] = RowResult(line, row["sku"], REFUSED, "INVALID_FIELD", str(error))
                continue
            day = planning_service_pb2.DemandDay(
                item_id=known[row["sku"]], location_id=row["location_id"], day=row["day"], quantity=quantity
            )
            wanted.append((line, row["sku"], day))
        found.update({one.row: one for one in await record(wanted)} if wanted else {})
        return [found[line] for line, _ in rows]

    await in_batches(file.rows(), send, report, lambda done: progress("demand", done, file.count))
