"""Files brought into a running suite: opening stock row by row, order files as their channel delivers them."""

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from google.protobuf import json_format

from argosy.catalog.v1 import items_service_pb2
from argosy.gateway.v1 import connections_service_pb2, deliveries_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import request_id
from chassis.runtime.status import from_status
from gateway.calls import Calls
from gateway.channels.amounts import minor
from gateway.channels.commands import Unreadable
from suite.rows import CREATED, REFUSED, CsvFile, Progress, Report, Row, RowResult, in_batches, whole

MAPPINGS = Path(__file__).with_name("mappings")
MOST_LINES = 500
LOOK_S = 0.3
PATIENCE_S = 30.0
WAITING = (deliveries_service_pb2.DELIVERY_STATE_RECEIVED, deliveries_service_pb2.DELIVERY_STATE_UNDERSTOOD)


class _Line(NamedTuple):
    """A row that can be received."""

    row: int
    location_id: str
    sku: str
    line: stock_service_pb2.ReceiptLine


async def import_stock(calls: Calls, path: Path, currency_code: str, progress: Progress, report: Report) -> None:
    """Takes opening stock in: columns location_id, sku, quantity, value (of all of it, decimal), lot where there is one.

    Rows of a location are received together; where they are refused, each by itself, so that only the wrong ones are left out.
    """
    file = CsvFile(path, ("location_id", "sku", "quantity", "value"))

    def receipt(lines: Sequence[_Line], *named: str) -> stock_service_pb2.ReceiveStockRequest:
        first = lines[0]
        return stock_service_pb2.ReceiveStockRequest(
            request_id=request_id("import-stock", file.digest, first.location_id, first.row, *named), location_id=first.location_id,
            kind=stock_service_pb2.RECEIPT_KIND_OPENING, reference=path.name[:100], lines=[one.line for one in lines],
        )  # fmt: skip

    async def receive(groups: Sequence[Sequence[_Line]], *named: str) -> list[tuple[Sequence[_Line], Refusal | None]]:
        batch = stock_service_pb2.BatchReceiveStockRequest(requests=[receipt(lines, *named) for lines in groups])
        answers = (await calls.stock.BatchReceiveStock(batch, timeout=60)).results if groups else []
        refusals = [from_status(answer.error) if answer.HasField("error") else None for answer in answers]
        return list(zip(groups, refusals, strict=True))

    async def send(rows: Sequence[Row]) -> list[RowResult]:
        known = await item_ids(calls, sorted({row["sku"] for _, row in rows}))
        found: dict[int, RowResult] = {}
        groups: dict[str, list[_Line]] = defaultdict(list)
        for line, row in rows:
            try:
                groups[row["location_id"]].append(_Line(line, row["location_id"], row["sku"], _receipt(row, known, currency_code)))
            except (ValueError, Unreadable) as error:
                found[line] = RowResult(line, row["sku"], REFUSED, "INVALID_FIELD", str(error))
        answers = await receive([lines for lines in groups.values() if lines])
        apart = [[one] for lines, refusal in answers if refusal is not None and len(lines) > 1 for one in lines]
        answers = [(lines, refusal) for lines, refusal in answers if refusal is None or len(lines) == 1]
        for lines, refusal in (*answers, *await receive(apart, "alone")):
            outcome = (CREATED, "", "") if refusal is None else (REFUSED, refusal.reason, refusal.message)
            found.update({one.row: RowResult(one.row, one.sku, *outcome) for one in lines})
        return [found[line] for line, _ in rows]

    await in_batches(file.rows(), send, report, lambda done: progress("stock", done, file.count))


def _receipt(row: dict[str, str], known: dict[str, str], currency_code: str) -> stock_service_pb2.ReceiptLine:
    if row["sku"] not in known:
        raise ValueError("sku: there is no published item of this SKU")
    value_minor = minor(row["value"], currency_code, "value")
    return stock_service_pb2.ReceiptLine(
        item_id=known[row["sku"]], quantity=whole(row["quantity"], "quantity"), value_minor=value_minor, lot=row.get("lot", "")
    )


async def item_ids(calls: Calls, skus: Sequence[str]) -> dict[str, str]:
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
    return await until_read(calls, delivery, lambda one: progress(path.name, one.orders - one.open_orders, one.orders))


async def until_read(
    calls: Calls, delivery: deliveries_service_pb2.Delivery, moved: Callable[[deliveries_service_pb2.Delivery], None] | None = None
) -> deliveries_service_pb2.Delivery:
    """Returns a delivery when it is carried out, or when what is left of it waits for a person."""
    loop = asyncio.get_running_loop()
    left, since = -1, loop.time()
    while delivery.state in WAITING and loop.time() - since < PATIENCE_S:
        await asyncio.sleep(LOOK_S)
        delivery = await calls.deliveries.GetDelivery(deliveries_service_pb2.GetDeliveryRequest(delivery_id=delivery.delivery_id))
        if delivery.open_orders != left:
            left, since = delivery.open_orders, loop.time()
            if moved is not None:
                moved(delivery)
    return delivery
