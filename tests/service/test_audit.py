"""The audit chain: what is written waits, and is sealed once, however much waits."""

from typing import Any

import pytest

from argosy.ops.v1 import ops_service_pb2
from chassis.runtime import audit
from chassis.runtime.work import Cause
from tests.service.stockroom import Stockroom

CAUSE = Cause("service", "audit", "audit")


async def verified(room: Stockroom) -> ops_service_pb2.VerifyAuditResponse:
    """Walks the chain."""
    async with room.component.database.read() as tx:
        return await audit.verify(tx, room.component.service.tables)


async def listed(room: Stockroom) -> list[Any]:
    """Returns the audit rows by position."""
    found = await room.calls.ops("inventory").ListAuditRows(ops_service_pb2.ListAuditRowsRequest(service="inventory"))
    return sorted(found.rows, key=lambda row: int(row.position))


async def test_what_was_written_waits_and_is_sealed_once(room: Stockroom) -> None:
    await room.place("HAM")
    before = await verified(room)
    assert (before.unsealed > 0, before.rows, before.broken) == (True, 0, "")
    assert {row.position for row in await listed(room)} == {0}
    for _ in range(2):
        await room.component.writer.run(audit.seal, CAUSE)
    after = await verified(room)
    assert (after.rows, after.head_position, after.unsealed, after.broken) == (before.unsealed, before.unsealed, 0, "")
    rows = await listed(room)
    assert [row.position for row in rows] == list(range(1, after.rows + 1))
    assert rows[-1].hash == after.head_hash


async def test_more_than_go_at_once_are_sealed_in_turn(room: Stockroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST", 2)
    for place in ("HAM", "MUC", "CGN"):
        await room.place(place)
    waiting = (await verified(room)).unsealed
    assert waiting > 2
    while (await verified(room)).unsealed:
        await room.component.writer.run(audit.seal, CAUSE)
    assert (await verified(room)).rows == waiting
