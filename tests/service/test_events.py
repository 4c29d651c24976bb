"""Outbox, relay and inbox: in order, once in effect, parked where early or failing, sent again where the bus lost them."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from argosy.catalog.v1 import catalog_events_pb2
from argosy.ops.v1 import ops_pb2
from chassis.kernel.ids import new_id
from chassis.runtime import inbox as inbox_module
from chassis.runtime.component import Component
from chassis.runtime.work import Cause
from services.inventory.store.tables import ITEMS
from tests.service.conftest import Bench

CAUSE = Cause("test", "test", "test")
Started = Callable[[str], Awaitable[Component]]


def record(sequence: int, sku: str, item_id: str = "item-1") -> ops_pb2.EventRecord:
    event = catalog_events_pb2.ItemPublished(item_id=item_id, sku=sku)
    return ops_pb2.EventRecord(
        event_id=new_id(), type=event.DESCRIPTOR.full_name, aggregate="item", aggregate_id=item_id, sequence=sequence,
        payload=event.SerializeToString(),
    )  # fmt: skip


async def skus(component: Component) -> dict[str, str]:
    async with component.database.read() as tx:
        return {row.item_id: row.sku for row in await tx.read(select(ITEMS))}


async def parked(component: Component) -> list[Any]:
    table = component.service.tables.parked_events
    async with component.database.read() as tx:
        return list(await tx.read(select(table).order_by(table.c.sequence)))


async def test_an_event_counts_once_and_in_order(started: Started) -> None:
    inventory = await started("inventory")
    first, second = record(1, "A"), record(2, "B")
    await inventory.inbox.apply("catalog", [first, second])
    await inventory.inbox.apply("catalog", [first, second, first])
    assert await skus(inventory) == {"item-1": "B"}


async def test_what_comes_early_waits_for_what_is_missing(started: Started) -> None:
    inventory = await started("inventory")
    await inventory.inbox.apply("catalog", [record(3, "C"), record(2, "B")])
    assert (await skus(inventory), [row.sequence for row in await parked(inventory)]) == ({}, [2, 3])
    await inventory.inbox.apply("catalog", [record(1, "A")])
    await inventory.inbox.retry_parked()
    assert (await skus(inventory), await parked(inventory)) == ({"item-1": "C"}, [])


async def test_a_gap_is_asked_for(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = await started("inventory")
    asked = []

    async def replay(producer: str, aggregate: str, aggregate_id: str, from_sequence: int) -> Any:
        asked.append((producer, aggregate, aggregate_id, from_sequence))
        return [record(1, "A"), record(2, "B")], 1

    monkeypatch.setattr(inventory.inbox, "_ask_replay", replay)
    monkeypatch.setattr(inbox_module, "GAP_S", 0)
    await inventory.inbox.apply("catalog", [record(3, "C")])
    await inventory.inbox.retry_parked()
    assert asked == [("catalog", "item", "item-1", 1)]
    assert (await skus(inventory), await parked(inventory)) == ({"item-1": "C"}, [])


async def test_what_fails_is_parked_alone_and_dies_at_last(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = await started("inventory")
    name = "argosy.catalog.v1.ItemPublished"
    react = inventory.inbox._reactions[name]

    async def picky(work: Any, events: Any) -> None:
        if any(one.message.sku == "BAD" for one in events):
            raise ValueError("a defect")
        await react(work, events)

    monkeypatch.setitem(inventory.inbox._reactions, name, picky)
    await inventory.inbox.apply("catalog", [record(1, "A"), record(1, "BAD", "item-2"), record(2, "C", "item-2"), record(1, "D", "item-3")])
    assert await skus(inventory) == {"item-1": "A", "item-3": "D"}
    table = inventory.service.tables.parked_events
    for _ in range(len(inbox_module.RETRY_S)):
        await inventory.writer.run(lambda work: work.tx.write(update(table).values(due_at=0)), CAUSE)
        await inventory.inbox.retry_parked()
    head, behind = await parked(inventory)
    assert head.dead_at is not None
    assert "a defect" in head.error
    assert behind.dead_at is None
    assert await skus(inventory) == {"item-1": "A", "item-3": "D"}


async def test_the_relay_sends_again_what_the_bus_lost(bench: Bench, started: Started) -> None:
    catalog, inventory = await started("catalog"), await started("inventory")
    for index in range(5):
        event = catalog_events_pb2.ItemPublished(item_id=f"item-{index % 2}", sku=f"S{index}")

        async def say(work: Any, event: Any = event) -> None:
            work.emit(event)

        await catalog.writer.run(say, CAUSE)
    await catalog.relay.heal()
    await catalog.relay.publish_page()
    await consume(bench, inventory)
    assert await skus(inventory) == {"item-0": "S4", "item-1": "S3"}

    bench.bus.lose()
    await catalog.relay.heal()
    await catalog.relay.publish_page()
    assert sorted((r.aggregate_id, r.sequence) for _, r in bench.bus.streams["catalog"]) == [
        ("item-0", 1), ("item-0", 2), ("item-0", 3), ("item-1", 1), ("item-1", 2),
    ]  # fmt: skip
    await consume(bench, inventory)
    assert await skus(inventory) == {"item-0": "S4", "item-1": "S3"}


async def consume(bench: Bench, inventory: Component) -> None:
    subscription = await bench.bus.subscribe("inventory", "catalog", ["item"])
    await inventory.inbox.take("catalog", await subscription.fetch(100, 0.1))
