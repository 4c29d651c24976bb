"""Reservations: a cancel that came first refuses the late reserve, also where another replica is at it at this moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from argosy.inventory.v1 import demands_service_pb2
from argosy.inventory.v1.reservations_service_pb2 import CancelReservationRequest, ReservationLine, ReserveRequest
from chassis.kernel.errors import FailedPrecondition
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from chassis.runtime.writer import Outcome
from tests.service.conftest import Pause, submit
from tests.service.stockroom import Stockroom

RESERVATIONS = "/argosy.inventory.v1.ReservationsService/"
Ask = Callable[[Component], Awaitable[Outcome]]


def reserve(component: Component) -> Awaitable[Outcome]:
    """Reserves three mugs for an order."""
    line = ReservationLine(line_id="1", item_id="mug", location_id="BER", quantity=3)
    return submit(component, f"{RESERVATIONS}Reserve", ReserveRequest(request_id=new_id(), order_id="o1", lines=[line]))


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


def cancel(component: Component) -> Awaitable[Any]:
    """Cancels what the order has."""
    return submit(component, f"{RESERVATIONS}CancelReservation", CancelReservationRequest(request_id=new_id(), owner_id="o1"))


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
    await asks
    assert [one.cancelled for one in (await cancels).reservations] == [3]
    assert (await room.balances("mug"))["", "AVAILABLE"] == 5


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
