"""Listings and prices as rows of a CSV file."""

import csv
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from argosy.catalog.v1 import channels_service_pb2, items_service_pb2, listing_pb2
from chassis.kernel.clock import from_datetime, to_timestamp
from chassis.kernel.ids import request_id
from chassis.runtime.status import from_status
from gateway.calls import Calls
from gateway.channels.amounts import decimal_text, minor
from gateway.channels.commands import Unreadable
from suite.rows import CREATED, REFUSED, CsvFile, Progress, Report, Row, RowResult, in_batches, moment, whole

PAGE = 500
WAITS = "waits for approval"


async def import_listings(calls: Calls, path: Path, progress: Progress, report: Report) -> None:
    """Lists items: columns channel_id, channel_sku, sku, and where they are not one stock unit, units and unit."""
    file = CsvFile(path, ("channel_id", "channel_sku", "sku"))

    async def send(rows: Sequence[Row]) -> list[RowResult]:
        batch = channels_service_pb2.BatchCreateListingRequest()
        found: dict[int, RowResult] = {}
        sent = []
        for line, row in rows:
            name = f"{row['channel_id']}/{row['channel_sku']}"
            try:
                units = whole(row.get("units") or "1", "units")
            except ValueError as error:
                found[line] = RowResult(line, name, REFUSED, "INVALID_FIELD", str(error))
                continue
            batch.requests.add(
                request_id=request_id("import-listings", file.digest, line), channel_id=row["channel_id"], channel_sku=row["channel_sku"],
                item_id=row["sku"], units=units, unit=row.get("unit", ""),
            )  # fmt: skip
            sent.append((line, name))
        answers = (await calls.sales_channels.BatchCreateListing(batch, timeout=60)).results if sent else []
        found.update({line: _result(line, name, one) for (line, name), one in zip(sent, answers, strict=True)})
        return [found[line] for line, _ in rows]

    await in_batches(file.rows(), send, report, lambda done: progress("listings", done, file.count))


async def export_listings(calls: Calls, channel_id: str, path: Path, progress: Progress) -> int:
    """Writes a channel's listings, page by page, as `import_listings` reads them; returns how many."""

    async def listed(token: str) -> tuple[Sequence[Any], str]:
        request = channels_service_pb2.ListListingsRequest(channel_id=channel_id, page_size=PAGE, page_token=token)
        answer = await calls.sales_channels.ListListings(request, timeout=60)
        return answer.listings, answer.next_page_token

    def cells(one: Any, sku: str) -> Iterable[Any]:
        status = listing_pb2.ListingStatus.Name(one.status).removeprefix("LISTING_STATUS_")
        return (one.channel_id, one.channel_sku, sku, one.quantity or one.units, one.unit, status, one.version, one.reason)

    columns = ("channel_id", "channel_sku", "sku", "units", "unit", "status", "version", "reason")
    return await _export(calls, path, columns, listed, cells, lambda done, total: progress("listings", done, total))


async def export_prices(calls: Calls, path: Path, progress: Progress) -> int:
    """Writes all list prices, page by page, as `import_prices` reads them; returns how many."""

    async def listed(token: str) -> tuple[Sequence[Any], str]:
        request = channels_service_pb2.ListPricesRequest(item_id="-", page_size=PAGE, page_token=token)
        answer = await calls.sales_channels.ListPrices(request, timeout=60)
        return answer.prices, answer.next_page_token

    def cells(one: Any, sku: str) -> Iterable[Any]:
        moments = (one.valid_from.ToJsonString(), one.valid_until.ToJsonString() if one.HasField("valid_until") else "")
        amount = decimal_text(one.amount_minor, one.currency_code)
        taxed = "yes" if one.includes_tax else "no"
        return (sku, one.currency_code, amount, one.channel_id, one.customer_group, one.min_quantity, taxed, *moments, one.reason)

    columns = (
        "sku",
        "currency",
        "amount",
        "channel_id",
        "customer_group",
        "min_quantity",
        "includes_tax",
        "valid_from",
        "valid_until",
        "reason",
    )
    return await _export(calls, path, columns, listed, cells, lambda done, total: progress("prices", done, total))


async def _export(
    calls: Calls,
    path: Path,
    columns: Sequence[str],
    listed: Callable[[str], Awaitable[tuple[Sequence[Any], str]]],
    cells: Callable[[Any, str], Iterable[Any]],
    progress: Callable[[int, int], None],
) -> int:
    """Writes what a list has page by page, with the SKUs of its items; returns how many rows."""
    count, token = 0, ""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        while True:
            found, token = await listed(token)
            ids = sorted({one.item_id for one in found})
            known = await calls.items.FindItems(items_service_pb2.FindItemsRequest(item_ids=ids), timeout=60) if ids else None
            skus = {item.item_id: item.sku for item in known.items} if known is not None else {}
            writer.writerows(cells(one, skus[one.item_id]) for one in found)
            count += len(found)
            progress(count, count + (PAGE if token else 0))
            if not token:
                return count


async def import_prices(calls: Calls, path: Path, progress: Progress, report: Report) -> None:
    """Sets list prices: columns sku, currency, amount (decimal), and where they are not for all and for ever, channel_id,
    customer_group, min_quantity, includes_tax, valid_from, valid_until.
    """  # fmt: skip
    file = CsvFile(path, ("sku", "currency", "amount"))

    async def send(rows: Sequence[Row]) -> list[RowResult]:
        batch = channels_service_pb2.BatchSetPriceRequest()
        found: dict[int, RowResult] = {}
        sent = []
        for line, row in rows:
            try:
                batch.requests.append(_price(row, request_id("import-prices", file.digest, line)))
                sent.append((line, row["sku"]))
            except (ValueError, Unreadable) as error:
                found[line] = RowResult(line, row["sku"], REFUSED, "INVALID_FIELD", str(error))
        answers = (await calls.sales_channels.BatchSetPrice(batch, timeout=60)).results if sent else []
        found.update({line: _result(line, sku, one) for (line, sku), one in zip(sent, answers, strict=True)})
        return [found[line] for line, _ in rows]

    await in_batches(file.rows(), send, report, lambda done: progress("prices", done, file.count))


def _price(row: dict[str, str], once: str) -> channels_service_pb2.SetPriceRequest:
    request = channels_service_pb2.SetPriceRequest(
        request_id=once, item_id=row["sku"], channel_id=row.get("channel_id", ""), currency_code=row["currency"],
        amount_minor=minor(row["amount"], row["currency"], "amount"), customer_group=row.get("customer_group", ""),
        min_quantity=whole(row.get("min_quantity") or "0", "min_quantity"),
        includes_tax=row.get("includes_tax", "").lower() in ("true", "yes", "1"), reason=row.get("reason", ""),
    )  # fmt: skip
    for name in ("valid_from", "valid_until"):
        if text := row.get(name, ""):
            getattr(request, name).CopyFrom(to_timestamp(from_datetime(moment(text, name))))
    return request


def _result(line: int, name: str, answer: Any) -> RowResult:
    if answer.HasField("error"):
        refusal = from_status(answer.error)
        return RowResult(line, name, REFUSED, refusal.reason, refusal.message)
    waits = getattr(answer.response, "approval_id", "")
    return RowResult(line, name, WAITS if waits else CREATED, "", f"approval {waits}" if waits else "")
