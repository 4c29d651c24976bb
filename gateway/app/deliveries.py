"""TakeDelivery, GetDelivery, GetContent, ListDeliveries, ReadAgain: deliveries are kept as they came."""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update

from argosy.gateway.v1 import connections_service_pb2, deliveries_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound, Refusal, Unauthenticated
from chassis.kernel.ids import new_id
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from gateway.app.hold_kinds import CONFLICT
from gateway.channels import carriers, payments, shipbob, shiphero, shipstation, shopify
from gateway.store.tables import CONNECTIONS, DELIVERIES

# What reads deliveries waits for.
READING = "read deliveries"
SUMMARY = tuple(column.name for column in DELIVERIES.c if column.name != "content")
SUMMARIES = select(*(DELIVERIES.c[name] for name in SUMMARY))


async def take_deliveries(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Keeps what is signed. Refusals: NO_SUCH_CONNECTION, BAD_SIGNATURE."""
    channels = sorted({call.request.channel_id for call in calls})
    connections = {r.channel_id: r for r in await work.tx.read(select(CONNECTIONS).where(CONNECTIONS.c.channel_id.in_(channels)))}
    known = await _known(work, calls)
    outcomes: list[Outcome] = []
    fresh: list[dict[str, Any]] = []
    for call in calls:
        request = call.request
        refusal = _refusal(connections.get(request.channel_id), request, work.now)
        if refusal is not None:
            outcomes.append(refusal)
            continue
        key, content_hash = (request.channel_id, request.provider_delivery_id), hashlib.sha256(request.content).hexdigest()
        before = known.get(key)
        conflict = before is not None and before["content_hash"] != content_hash
        if conflict:
            # The same id with another content is another delivery, and a person should know.
            key = (key[0], f"{key[1]}#{content_hash[:16]}")
            before = known.get(key)
        if before is None:
            before = _row(work, request, key[1], content_hash)
            if conflict:
                work.cause = call.cause
                text = f"{request.channel_id} sent {request.provider_delivery_id} twice, not the same"
                work.hold(CONFLICT, "delivery", before["delivery_id"], text)
            fresh.append(before)
            known[key] = before
        outcomes.append(to_delivery(before))
    await work.tx.insert(DELIVERIES, fresh)
    work.wake(READING)
    return outcomes


def _refusal(connection: Any, request: deliveries_service_pb2.TakeDeliveryRequest, now: int) -> Refusal | None:
    if connection is None:
        return NotFound("NO_SUCH_CONNECTION", f"the channel {request.channel_id} is not connected", field="channel_id")
    secrets, content, signature = (connection.secret, connection.previous_secret), request.content, request.signature
    match connection.dialect:
        case connections_service_pb2.DIALECT_SHOPIFY:
            signed = shopify.is_signed(content, signature, secrets)
        case connections_service_pb2.DIALECT_PAYMENTS:
            signed = payments.is_signed(content, signature, secrets, now)
        case connections_service_pb2.DIALECT_CARRIERS:
            signed = carriers.is_signed(content, signature, secrets)
        case connections_service_pb2.DIALECT_SHIPHERO:
            signed = shiphero.is_signed(content, signature, secrets)
        case connections_service_pb2.DIALECT_SHIPBOB:
            signed = shipbob.is_signed(content, request.provider_delivery_id, signature, secrets)
        case connections_service_pb2.DIALECT_SHIPSTATION:
            signed = shipstation.is_signed(signature, secrets)
        case _:
            # Files are brought by who may bring them, never by a webhook of anybody.
            signed = not signature
    return None if signed else Unauthenticated("BAD_SIGNATURE", "the signature was not made with the channel's secret, or long ago")


async def _known(work: Work, calls: Sequence[Call]) -> dict[tuple[str, str], dict[str, Any]]:
    keys = set()
    for call in calls:
        request = call.request
        keys.add((request.channel_id, request.provider_delivery_id))
        keys.add((request.channel_id, f"{request.provider_delivery_id}#{hashlib.sha256(request.content).hexdigest()[:16]}"))
    rows = await work.tx.find(DELIVERIES, ("channel_id", "provider_delivery_id"), sorted(keys), only=SUMMARY)
    return {(r.channel_id, r.provider_delivery_id): dict(r._mapping) for r in rows}


def _row(work: Work, request: Any, provider_delivery_id: str, content_hash: str) -> dict[str, Any]:
    return {
        "delivery_id": new_id(), "channel_id": request.channel_id, "provider_delivery_id": provider_delivery_id,
        "topic": request.topic, "content": request.content, "content_hash": content_hash, "size": len(request.content),
        "state": deliveries_service_pb2.DELIVERY_STATE_RECEIVED, "detail": "", "orders": 0, "open_orders": 0, "report": b"",
        "received_at": work.now,
    }  # fmt: skip


async def keep(work: Work, channel_id: str, topic: str, content: bytes) -> None:
    """Keeps what was fetched rather than brought; what says the same as before says nothing."""
    content_hash = hashlib.sha256(content).hexdigest()
    name = f"{topic}/{content_hash}"
    request = deliveries_service_pb2.TakeDeliveryRequest(channel_id=channel_id, topic=topic, content=content)
    await work.tx.insert(DELIVERIES, [_row(work, request, name, content_hash)], once=True)
    work.wake(READING)


async def read_again(work: Work, request: deliveries_service_pb2.ReadAgainRequest) -> deliveries_service_pb2.Delivery:
    """Refusals: NO_SUCH_DELIVERY, WAS_READ."""
    row = await _load(work.tx, request.delivery_id)
    if row["state"] not in (deliveries_service_pb2.DELIVERY_STATE_UNREADABLE, deliveries_service_pb2.DELIVERY_STATE_IGNORED):
        raise FailedPrecondition("WAS_READ", "only what was unreadable or ignored is read again", field="delivery_id")
    await put_back(work, request.delivery_id)
    return to_delivery(await _load(work.tx, request.delivery_id))


async def put_back(work: Work, delivery_id: str) -> None:
    """Lets a delivery be read as if it had just come."""
    state = deliveries_service_pb2.DELIVERY_STATE_RECEIVED
    await work.tx.write(update(DELIVERIES).where(DELIVERIES.c.delivery_id == delivery_id).values(state=state, detail=""))
    work.wake(READING)


async def get_delivery(asked: Asked) -> deliveries_service_pb2.Delivery:
    """Refusals: NO_SUCH_DELIVERY."""
    return to_delivery(await _load(asked.tx, asked.request.delivery_id))


async def get_content(asked: Asked) -> deliveries_service_pb2.Content:
    """Refusals: NO_SUCH_DELIVERY."""
    row = await _load(asked.tx, asked.request.delivery_id)
    query = select(DELIVERIES.c.content).where(DELIVERIES.c.delivery_id == row["delivery_id"])
    return deliveries_service_pb2.Content(delivery_id=row["delivery_id"], content=(await asked.tx.read(query))[0].content)


async def list_deliveries(asked: Asked) -> deliveries_service_pb2.ListDeliveriesResponse:
    """Lists the newest first, without reports."""
    query = SUMMARIES
    if asked.request.channel_id:
        query = query.where(DELIVERIES.c.channel_id == asked.request.channel_id)
    if asked.request.state:
        query = query.where(DELIVERIES.c.state == asked.request.state)
    rows, token = await page(asked.tx, query, [DELIVERIES.c.delivery_id], asked.request, descending=True)
    found = [to_delivery({**row._mapping, "report": b""}) for row in rows]
    return deliveries_service_pb2.ListDeliveriesResponse(deliveries=found, next_page_token=token)


async def _load(tx: Tx, delivery_id: str) -> dict[str, Any]:
    rows = await tx.read(SUMMARIES.where(DELIVERIES.c.delivery_id == delivery_id))
    if not rows:
        raise NotFound("NO_SUCH_DELIVERY", f"there is no delivery {delivery_id}", field="delivery_id")
    return dict(rows[0]._mapping)


def to_delivery(row: dict[str, Any]) -> deliveries_service_pb2.Delivery:
    """Returns a delivery's row as the contract shows it."""
    report = deliveries_service_pb2.FileReport.FromString(row["report"]) if row["report"] else None
    return deliveries_service_pb2.Delivery(
        delivery_id=row["delivery_id"], channel_id=row["channel_id"], provider_delivery_id=row["provider_delivery_id"],
        topic=row["topic"], state=row["state"], detail=row["detail"], orders=row["orders"], open_orders=row["open_orders"],
        report=report, size=row["size"], received_at=to_timestamp(row["received_at"]),
    )  # fmt: skip
