"""Reservations: a cancel that came first refuses the late reserve, also where another replica is at it at this moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from argosy.inventory.v1 import demands_service_pb2, stock_service_pb2
from argosy.inventory.v1.reservations_service_pb2 import CancelReservationRequest, ReservationLine, ReserveRequest
from chassis.kernel.clock import SECOND
from chassis.kernel.errors import FailedPrecondition, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime import moments
from chassis.runtime.component import Component
from chassis.runtime.database import Database
from chassis.runtime.settings import Settings
from chassis.runtime.writer import Outcome
from services.inventory.store import stock_book
from services.inventory.store.tables import BALANCES
from tests.service.conftest import Pause, submit
from tests.service.stockroom import Stockroom

RESERVATIONS = "/argosy.inventory.v1.ReservationsService/"
Ask = Callable[[Component], Awaitable[Outcome]]


def reserve(component: Component, order_id: str = "o1", quantity: int = 3) -> Awaitable[Outcome]:
    """Reserves mugs for an order."""
    line = ReservationLine(line_id="1", item_id="mug", location_id="BER", quantity=quantity)
    return submit(component, f"{RESERVATIONS}Reserve", ReserveRequest(request_id=new_id(), order_id=order_id, lines=[line]))


def wait(component: Component) -> Awaitable[Outcome]:
    """Waits for three mugs, which are there."""
    request = demands_service_pb2.PlaceDemandRequest(
        request_id=new_id(), kind=demands_service_pb2.DEMAND_KIND_BACKORDER, owner_id="o1", line_id="1", item_id="mug", location_id="BER",
        quantity=3,
    )  # fmt: skip
    return submit(component, "/argosy.inventory.v1.DemandsService/PlaceDemand", request)


def take_over(component: Component) -> Awaitable[Outcome]:
    """Takes three mugs, from whoever is less urgent if need be."""
    line = ReservationLine(line_id="1", item_id="mug", location_id="BER", quantity=3)
    request = demands_service_pb2.TakeOverRequest(request_id=new_id(), owner_id="o1", line=line, priority=9)
    return submit(component, "/argosy.inventory.v1.DemandsService/TakeOver", request)


def cancel(component: Component, order_id: str = "o1") -> Awaitable[Any]:
    """Cancels what the order has."""
    return submit(component, f"{RESERVATIONS}CancelReservation", CancelReservationRequest(request_id=new_id(), owner_id=order_id))


async def known_mugs(room: Stockroom) -> None:
    """Five mugs of which some were reserved: their balances are known, so that one statement writes all."""
    await room.item("mug")
    await room.receive("mug", 5, 500)
    await reserve(room.component)
    await cancel(room.component)


@pytest.mark.parametrize("ask", [reserve, wait, take_over])
async def test_a_cancel_that_came_first_refuses_what_is_late(room: Stockroom, ask: Ask) -> None:
    await room.item("mug")
    await room.receive("mug", 5, 500)
    assert not (await cancel(room.component)).reservations
    late = await ask(room.component)
    assert isinstance(late, FailedPrecondition) and late.reason == "OWNER_CANCELLED"
    assert (await room.balances("mug"))["", "AVAILABLE"] == 5


@pytest.mark.parametrize("ask", [reserve, wait, take_over])
async def test_a_cancel_finds_what_another_replica_is_reserving(
    replicas: tuple[Stockroom, Component], pause: Callable[[Component], Pause], ask: Ask
) -> None:
    room, second = replicas
    await room.item("mug")
    await room.receive("mug", 5, 500)
    waits = pause(room.component)
    asks = asyncio.ensure_future(ask(room.component))
    await waits.reached.wait()
    cancels = asyncio.ensure_future(cancel(second))
    # It has looked by then, and found nothing.
    await asyncio.wait({cancels}, timeout=0.5)
    waits.go.set()
    found, cancelled = await asks, [one.cancelled for one in (await cancels).reservations]
    if ask is reserve:
        # It hopes until it writes, and so came after the cancel.
        assert isinstance(found, FailedPrecondition) and found.reason == "OWNER_CANCELLED"
    assert cancelled == ([] if ask is reserve else [3])
    assert (await room.balances("mug"))["", "AVAILABLE"] == 5


@pytest.mark.parametrize("ask", [reserve, wait, take_over])
async def test_who_reserves_waits_for_a_cancel_that_is_not_committed(
    replicas: tuple[Stockroom, Component], pause: Callable[[Component], Pause], ask: Ask
) -> None:
    room, second = replicas
    await room.item("mug")
    await room.receive("mug", 5, 500)
    waits = pause(second)
    cancels = asyncio.ensure_future(cancel(second))
    await waits.reached.wait()
    asks = asyncio.ensure_future(ask(room.component))
    assert not (await asyncio.wait({asks}, timeout=0.5))[0]
    waits.go.set()
    assert not (await cancels).reservations
    late = await asks
    assert isinstance(late, FailedPrecondition) and late.reason == "OWNER_CANCELLED"
    assert (await room.balances("mug"))["", "AVAILABLE"] == 5


async def test_a_cancel_waits_for_a_reservation_that_is_being_written(
    replicas: tuple[Stockroom, Component], postgres_settings: Settings
) -> None:
    room, second = replicas
    await known_mugs(room)
    holder = Database(postgres_settings.database_for("inventory"))
    try:
        async with holder.write() as tx:
            await tx.find(BALANCES, ("item_id",), [("mug",)], lock=True)
            asks = asyncio.ensure_future(reserve(room.component, "o2"))
            await asyncio.wait({asks}, timeout=0.5)
            cancels = asyncio.ensure_future(cancel(second, "o2"))
            assert not (await asyncio.wait({asks, cancels}, timeout=0.5))[0]
        assert not isinstance(await asks, Refusal)
        assert [one.cancelled for one in (await cancels).reservations] == [3]
    finally:
        await holder.close()
    assert (await room.balances("mug"))["", "AVAILABLE"] == 5


async def test_who_hoped_for_what_another_took_is_refused(
    replicas: tuple[Stockroom, Component], pause: Callable[[Component], Pause]
) -> None:
    room, second = replicas
    await known_mugs(room)
    waits = pause(room.component)
    asks = asyncio.ensure_future(reserve(room.component, "o2"))
    await waits.reached.wait()
    line = ReservationLine(line_id="1", item_id="mug", location_id="BER", quantity=3)
    request = ReserveRequest(request_id=new_id(), order_id="faster", lines=[line])
    # Nobody waits for who only hopes.
    assert not isinstance(await submit(second, f"{RESERVATIONS}Reserve", request), Refusal)
    waits.go.set()
    late = await asks
    assert isinstance(late, FailedPrecondition) and late.reason == "INSUFFICIENT_STOCK" and late.metadata["available"] == "2"
    assert (await room.balances("mug")) == {("", "AVAILABLE"): 2, ("", "RESERVED"): 3}


async def test_who_is_served_and_who_is_refused_take_two_round_trips(
    replicas: tuple[Stockroom, Component], sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    room, _ = replicas
    monkeypatch.setattr(moments, "GOOD_FOR_S", 3600)
    await known_mugs(room)
    for order_id, refused in (("o2", False), ("o3", True)):
        sent.clear()
        assert isinstance(await reserve(room.component, order_id), Refusal) == refused
        assert sent == ["SELECT", "WITH"]


async def test_what_was_read_a_moment_ago_is_not_read_again(
    replicas: tuple[Stockroom, Component], sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    room, _ = replicas
    monkeypatch.setattr(moments, "GOOD_FOR_S", 3600)
    monkeypatch.setattr(stock_book, "REMEMBERED_FOR", 3600 * SECOND)
    await known_mugs(room)
    looked: dict[str, int] = {}

    async def serve(order_id: str) -> None:
        sent.clear()
        assert not isinstance(await reserve(room.component, order_id, 1), Refusal)
        assert sent[-1] == "WITH"
        looked[order_id] = sent.count("SELECT")

    await serve("first")
    await serve("again")
    await room.receive("mug", 1, 100)
    await serve("changed")
    monkeypatch.setattr(stock_book, "REMEMBERED_FOR", -1)
    await serve("late")
    assert looked == {"first": 1, "again": 0, "changed": 1, "late": 1}


async def test_what_is_remembered_gives_nobody_what_another_took(replicas: tuple[Stockroom, Component]) -> None:
    room, second = replicas
    await known_mugs(room)
    assert not isinstance(await reserve(room.component, "o2", 1), Refusal)
    assert not isinstance(await reserve(second, "o3", 2), Refusal)
    late = await reserve(room.component, "o4")
    assert isinstance(late, FailedPrecondition) and late.metadata["available"] == "2"
    assert not isinstance(await reserve(room.component, "o5", 2), Refusal)
    assert await room.balances("mug") == {("", "RESERVED"): 5}


async def test_nobody_is_refused_by_what_is_remembered(replicas: tuple[Stockroom, Component]) -> None:
    room, second = replicas
    await known_mugs(room)
    assert not isinstance(await reserve(room.component, "o2"), Refusal)
    line = stock_service_pb2.ReceiptLine(item_id="mug", quantity=4, value_minor=400)
    receipt = stock_service_pb2.ReceiveStockRequest(
        request_id=new_id(), location_id="BER", kind=stock_service_pb2.RECEIPT_KIND_PURCHASE, lines=[line]
    )
    assert not isinstance(await submit(second, "/argosy.inventory.v1.StockService/ReceiveStock", receipt), Refusal)
    assert not isinstance(await reserve(room.component, "o3", 6), Refusal)
    assert await room.balances("mug") == {("", "RESERVED"): 9}


async def test_a_full_batch_is_decided_while_another_is_written(
    replicas: tuple[Stockroom, Component], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 600 units 768 are wanted, in three full batches: exactly 600 are had, whoever was written first."""
    room, _ = replicas
    await room.item("mug")
    await room.receive("mug", 600, 60_000)
    writer, at_once = room.component.writer, [0]
    decide = writer._decide

    async def noted(*given: Any, **named: Any) -> Any:
        at_once.append(len(writer._going))
        return await decide(*given, **named)

    monkeypatch.setattr(writer, "_decide", noted)
    line = ReservationLine(line_id="1", item_id="mug", location_id="BER", quantity=1)
    requests = [ReserveRequest(request_id=new_id(), order_id=f"o{number}", lines=[line]) for number in range(768)]
    outcomes = await asyncio.gather(*(submit(room.component, f"{RESERVATIONS}Reserve", one) for one in requests))
    assert [one.reason for one in outcomes if isinstance(one, Refusal)] == ["INSUFFICIENT_STOCK"] * 168
    assert await room.balances("mug") == {("", "RESERVED"): 600}
    assert max(at_once) == 2


async def test_one_who_was_buried_hurts_none_who_asks_beside(room: Stockroom) -> None:
    await room.item("mug")
    await room.receive("mug", 5, 500)
    await cancel(room.component)
    line = ReservationLine(line_id="1", item_id="mug", location_id="BER", quantity=2)
    others = [
        submit(room.component, f"{RESERVATIONS}Reserve", ReserveRequest(request_id=new_id(), order_id=f"other{number}", lines=[line]))
        for number in range(3)
    ]
    late, *found = await asyncio.gather(reserve(room.component), *others)
    assert isinstance(late, FailedPrecondition) and late.reason == "OWNER_CANCELLED"
    assert [one.reason if isinstance(one, FailedPrecondition) else "" for one in found] == ["", "", "INSUFFICIENT_STOCK"]
    assert (await room.balances("mug"))["", "AVAILABLE"] == 1
