"""Files brought into a running suite: items and opening stock row by row, order files as their channel delivers them."""

import asyncio
import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from argosy.catalog.v1 import item_pb2, items_service_pb2
from argosy.gateway.v1 import connections_service_pb2, deliveries_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from chassis.kernel.ids import request_id
from chassis.runtime.status import from_status
from gateway.calls import Calls
from gateway.channels.amounts import minor
from gateway.channels.commands import Unreadable

MAPPINGS = Path(__file__).with_name("mappings")
BATCH = 128
MOST_LINES = 500
LOOK_S = 0.3
PATIENCE_S = 30.0
Progress = Callable[[str, int, int], None]
WAITING = (deliveries_service_pb2.DELIVERY_STATE_RECEIVED, deliveries_service_pb2.DELIVERY_STATE_UNDERSTOOD)


@dataclass(frozen=True)
class RowResult:
    """What became of a row: its line in the file, what it names, and why it was refused (empty where it was taken)."""

    row: int
    subject: str
    refusal: str
    detail: str = ""


@dataclass(frozen=True)
class _Rows:
    """The rows of a CSV file with a header; `digest` names the file, so that the same one again sends the same ids."""

    rows: list[tuple[int, dict[str, str]]]
    digest: str


def read_rows(path: Path, needed: Iterable[str]) -> _Rows:
    """Reads a CSV file in UTF-8; raises ValueError where its header lacks a column."""
    content = path.read_bytes()
    lines = content.decode("utf-8-sig").splitlines(keepends=True)
    reader = csv.DictReader(lines)
    missing = sorted(set(needed) - set(reader.fieldnames or ()))
    if missing:
        raise ValueError(f"{path}: the header lacks {', '.join(missing)}")
    rows = [(reader.line_num, {key: (value or "").strip() for key, value in row.items() if key}) for row in reader]
    return _Rows(rows, hashlib.sha256(content).hexdigest()[:16])


async def import_items(calls: Calls, path: Path, progress: Progress) -> list[RowResult]:
    """Sets items up as drafts, one for each row; columns are the fields of ItemInput, countries separated by blanks."""
    file = read_rows(path, ("sku", "name"))
    results = []
    for start in range(0, len(file.rows), BATCH):
        chunk = file.rows[start : start + BATCH]
        batch = items_service_pb2.BatchCreateItemRequest()
        asked = []
        for line, row in chunk:
            try:
                item = _item(row)
            except ValueError as error:
                results.append(RowResult(line, row["sku"], "INVALID_FIELD", str(error)))
                continue
            batch.requests.add(request_id=request_id("import-items", file.digest, line), item=item)
            asked.append((line, row["sku"]))
        if asked:
            answer = await calls.items.BatchCreateItem(batch, timeout=60)
            results += [_item_result(line, sku, one) for (line, sku), one in zip(asked, answer.results, strict=True)]
        progress("items", start + len(chunk), len(file.rows))
    return sorted(results, key=lambda result: result.row)


def _item(row: dict[str, str]) -> item_pb2.ItemInput:
    values: dict[str, Any] = {}
    for field in item_pb2.ItemInput.DESCRIPTOR.fields:
        text = row.get(field.name, "")
        if not text:
            continue
        if field.is_repeated:
            values[field.name] = text.split()
        elif field.cpp_type == field.CPPTYPE_INT64:
            try:
                values[field.name] = int(text)
            except ValueError as error:
                raise ValueError(f"{field.name}: {text!r} is no whole number") from error
        else:
            values[field.name] = text
    return item_pb2.ItemInput(**values)


def _item_result(line: int, sku: str, result: items_service_pb2.CreateItemResult) -> RowResult:
    if result.HasField("error"):
        refusal = from_status(result.error)
        return RowResult(line, sku, refusal.reason, refusal.message)
    missing = result.response.missing_attributes
    return RowResult(line, sku, "", f"lacks {', '.join(missing)}" if missing else "")


async def import_stock(calls: Calls, path: Path, currency_code: str, progress: Progress) -> list[RowResult]:
    """Takes opening stock in: columns location_id, sku, quantity, value (of all of it, decimal), lot where there is one."""
    file = read_rows(path, ("location_id", "sku", "quantity", "value"))
    known = await _item_ids(calls, sorted({row["sku"] for _, row in file.rows}))
    results = []
    lines: dict[str, list[tuple[int, str, stock_service_pb2.ReceiptLine]]] = defaultdict(list)
    for line, row in file.rows:
        try:
            if row["sku"] not in known:
                raise ValueError("sku: there is no published item of this SKU")
            receipt = stock_service_pb2.ReceiptLine(
                item_id=known[row["sku"]], quantity=int(row["quantity"]), value_minor=minor(row["value"], currency_code, "value"),
                lot=row.get("lot", ""),
            )  # fmt: skip
        except (ValueError, Unreadable) as error:
            results.append(RowResult(line, row["sku"], "INVALID_FIELD", str(error)))
            continue
        lines[row["location_id"]].append((line, row["sku"], receipt))
    for location_id, found in lines.items():
        for start in range(0, len(found), MOST_LINES):
            chunk = found[start : start + MOST_LINES]
            request = stock_service_pb2.ReceiveStockRequest(
                request_id=request_id("import-stock", file.digest, location_id, start), location_id=location_id,
                kind=stock_service_pb2.RECEIPT_KIND_OPENING, reference=path.name[:100], lines=[receipt for _, _, receipt in chunk],
            )  # fmt: skip
            answer = await calls.stock.BatchReceiveStock(stock_service_pb2.BatchReceiveStockRequest(requests=[request]), timeout=60)
            refusal = from_status(answer.results[0].error) if answer.results[0].HasField("error") else None
            for line, sku, _ in chunk:
                reason = (refusal.reason, refusal.message) if refusal is not None else ("", "")
                results.append(RowResult(line, sku, *reason))
            progress("stock", len(results), len(file.rows))
    return sorted(results, key=lambda result: result.row)


async def _item_ids(calls: Calls, skus: Sequence[str]) -> dict[str, str]:
    """Returns the ids of published items by SKU."""
    known = {}
    for start in range(0, len(skus), MOST_LINES):
        chunk = skus[start : start + MOST_LINES]
        asked = items_service_pb2.OrderSkus(channel_id="import", channel_skus=chunk, currency_code="XXX")
        answer = await calls.items.ResolveLines(items_service_pb2.ResolveLinesRequest(orders=[asked]))
        known.update({sku: line.item_id for sku, line in zip(chunk, answer.orders[0].lines, strict=True) if line.item_id})
    return known


def load_mapping(path: Path) -> connections_service_pb2.FileMapping:
    """Returns a mapping written as JSON, as PUT /v1/fileMappings takes it; raises ValueError."""
    try:
        return json_format.Parse(path.read_text(), connections_service_pb2.FileMapping())
    except (json_format.ParseError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: is no mapping: {error}") from error


async def connect_files(
    calls: Calls, channel_id: str, entity: str, mapping: connections_service_pb2.FileMapping, returns_location_id: str
) -> None:
    """Connects a channel whose orders come in files; the mapping is named after it."""
    digest = hashlib.sha256(mapping.SerializeToString(deterministic=True)).hexdigest()[:16]
    await calls.connections.SetFileMapping(
        connections_service_pb2.SetFileMappingRequest(
            request_id=request_id("mapping", channel_id, digest), mapping_id=channel_id, mapping=mapping
        )
    )
    await calls.connections.SetConnection(
        connections_service_pb2.SetConnectionRequest(
            request_id=request_id("connection", channel_id, entity, digest, returns_location_id), channel_id=channel_id,
            dialect=connections_service_pb2.DIALECT_ORDER_FILE, entity=entity, mapping_id=channel_id,
            returns_location_id=returns_location_id,
        )
    )  # fmt: skip


async def import_orders(calls: Calls, path: Path, channel_id: str, progress: Progress) -> deliveries_service_pb2.Delivery:
    """Delivers an order file and waits until it is carried out, or until what is left waits for a person."""
    content = path.read_bytes()
    name = f"{path.name[:100]}:{hashlib.sha256(content).hexdigest()[:16]}"
    request = deliveries_service_pb2.TakeDeliveryRequest(
        request_id=request_id("import-orders", channel_id, name), channel_id=channel_id, provider_delivery_id=name, topic="order-file",
        content=content,
    )  # fmt: skip
    delivery = await calls.deliveries.TakeDelivery(request, timeout=60)
    loop = asyncio.get_running_loop()
    left, since = -1, loop.time()
    while delivery.state in WAITING and loop.time() - since < PATIENCE_S:
        await asyncio.sleep(LOOK_S)
        delivery = await calls.deliveries.GetDelivery(deliveries_service_pb2.GetDeliveryRequest(delivery_id=delivery.delivery_id))
        if delivery.open_orders != left:
            left, since = delivery.open_orders, loop.time()
            progress(path.name, delivery.orders - left, delivery.orders)
    return delivery
