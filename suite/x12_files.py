"""X12 documents between files and a running suite: what warehouses write is delivered, what waits for them is fetched."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from argosy.gateway.v1 import deliveries_service_pb2, warehouses_service_pb2
from chassis.kernel.ids import request_id
from gateway.calls import Calls
from gateway.channels import x12
from suite.files import until_read
from suite.rows import Progress

READY = warehouses_service_pb2.WAREHOUSE_MESSAGE_STATE_READY
PAGE = 100


async def deliver(calls: Calls, channel_id: str, paths: Sequence[Path], progress: Progress) -> list[deliveries_service_pb2.Delivery]:
    """Delivers documents and waits until each is carried out; raises Unreadable where one is no interchange."""
    found = []
    for done, path in enumerate(paths, start=1):
        content = path.read_bytes()
        name = x12.name_of(content)
        request = deliveries_service_pb2.TakeDeliveryRequest(
            request_id=request_id("x12", channel_id, name, hashlib.sha256(content).hexdigest()), channel_id=channel_id,
            provider_delivery_id=name, topic="x12", content=content,
        )  # fmt: skip
        found.append(await until_read(calls, await calls.deliveries.TakeDelivery(request, timeout=60)))
        progress("documents", done, len(paths))
    return found


async def fetch(calls: Calls, channel_id: str, folder: Path, progress: Progress) -> int:
    """Writes the documents that wait for a warehouse, a file each, marks them as sent, and returns how many there were.

    A file is written whole before its document is marked: cut off in between, it is written again, the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    while True:
        asked = warehouses_service_pb2.ListWarehouseMessagesRequest(channel_id=channel_id, state=READY, page_size=PAGE)
        messages = (await calls.warehouse_messages.ListWarehouseMessages(asked)).messages
        if not messages:
            return count
        for message in reversed(messages):
            document = await calls.warehouse_messages.GetWarehouseDocument(
                warehouses_service_pb2.GetWarehouseDocumentRequest(message_id=message.message_id)
            )
            written = folder / f".{message.control_number:09}"
            written.write_bytes(document.content)
            written.rename(folder / f"{channel_id}-{message.control_number:09}.x12")
            await calls.warehouse_messages.MarkWarehouseMessageSent(
                warehouses_service_pb2.MarkWarehouseMessageSentRequest(
                    request_id=request_id("x12-sent", message.message_id, message.control_number), message_id=message.message_id
                )
            )
            count += 1
            progress("documents", count, count)
