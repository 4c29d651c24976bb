"""Files brought into a running suite: opening stock row by row, order files as their channel delivers them."""

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from google.protobuf import json_format

from argosy.catalog.v1 import items_service_pb2
from argosy.gateway.v1 import connections_service_pb2, deliveries_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from chassis.kernel.ids import request_id
from chassis.runtime.status import from_status
from gateway.calls import Calls
from gateway.channels.amounts import minor
from gateway.channels.commands import Unreadable
from suite.rows import CREATED, REFUSED, CsvFile, Progress, Report, Row, RowResult, in_batches

MAPPINGS = Path(__file__).with_name("mappings")
MOST_LINES = 500
LOOK_S = 0.3
PATIENCE_S = 30.0
WAITING = (deliveries_service_pb2.DELIVERY_STATE_RECEIVED, deliveries_service_pb2.DELIVERY_STATE_UNDERSTOOD)


async def import_stock(calls: Calls, path: Path, currency_code: str, progress: Progress, report: Report) -> None:
    """Takes opening stock in: columns location_id, sku, quantity, value (of all of it, decimal), lot where there is one."""
    file = CsvFile(path, ("location_id", "sku", "quantity", "value"))

    async def send(rows: Sequence[Row]) -> list[RowResult]:
        known = await item_ids(calls, sorted({row["sku"] for _, row in rows}))
        found: dict[int, RowResult] = {}
        requests: dict[str, stock_service_pb2.ReceiveStockRequest] = {}
        lines: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for line, row in rows:
            location_id = row["location_id"]
            try:
                receipt = _receipt(row, known, currency_code)
            except (ValueError, Unreadable) as error:
                found[line] = RowResult(line, row["sku"], REFUSED, "INVALID_FIELD", str(error))
                continue
            if location_id not in requests:
                requests[location_id] = stock_service_pb2.ReceiveStockRequest(
                    request_id=request_id("import-stock", file.digest, location_id, line), location_id=location_id,
                    kind=stock_service_pb2.RECEIPT_KIND_OPENING, reference=path.name[:100],
                )  # fmt: skip
            requests[location_id].lines.append(receipt)
            lines[location_id].append((line, row["sku"]))
        batch = stock_service_pb2.BatchReceiveStockRequest(requests=requests.values())
        answers = (await calls.stock.BatchReceiveStock(batch, timeout=60)).results if requests else []
        for location_id, answer in zip(requests, answers, strict=True):
            refusal = from_status(answer.error) if answer.HasField("error") else None
            outcome = (CREATED, "", "") if refusal is None else (REFUSED, refusal.reason, refusal.message)
            found.update({line: RowResult(line, sku, *outcome) for line, sku in lines[location_id]})
        return [found[line] for line, _ in rows]

    await in_batches(file.rows(), send, report, lambda done: progress("stock", done, file.count))


def _receipt(row: dict[str, str], known: dict[str, str], currency_code: str) -> stock_service_pb2.ReceiptLine:
    if row["sku"] not in known:
        raise ValueError("sku: there is no published item of this SKU")
    value_minor = minor(row["value"], currency_code, "value")
    return stock_service_pb2.ReceiptLine(
        item_id=known[row["sku"]], quantity=int(row["quantity"]), value_minor=value_minor, lot=row.get("lot", "")
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
