"""Parcels that nobody asked for: what their order has reserved, and what a location gives up after them."""

from typing import Any

import pytest

from argosy.fulfillment.v1 import fulfillment_events_pb2
from argosy.inventory.v1 import reservations_service_pb2
from chassis.kernel.ids import new_id
from tests.service.stockroom import Stockroom


@pytest.mark.parametrize("gives_back_first", [False, True])
async def test_a_parcel_that_nobody_asked_for_leaves_what_its_order_has_reserved(room: Stockroom, gives_back_first: bool) -> None:
    """Its order gives back what it needs no more, before or after inventory hears of the parcel: what is left can be released."""
    await room.item("mug", standard_cost_minor=100)
    await room.receive("mug", 2, 200)
    line = reservations_service_pb2.ReservationLine(line_id="1", item_id="mug", location_id="BER", quantity=2)
    await room.calls.reservations.Reserve(reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id="O", lines=[line]))
    taken = reservations_service_pb2.CancelLine(line_id="1", quantity=1, location_id="BER")
    back = reservations_service_pb2.CancelReservationRequest(request_id=new_id(), owner_id="O", lines=[taken], reason="it has shipped")
    if gives_back_first:
        await room.calls.reservations.CancelReservation(back)
    await room.ship("O", "mug", 1)
    if not gives_back_first:
        await room.calls.reservations.CancelReservation(back)
    assert (await room.balances("mug")).get(("", "RESERVED")) == 1
    await room.release("O", "mug", 1)
    assert (await room.balances("mug")).get(("", "ALLOCATED")) == 1
    assert await room.breaks() == []


@pytest.mark.parametrize("kind", [fulfillment_events_pb2.PickShorted, fulfillment_events_pb2.FulfillmentOrderRecalled])
async def test_what_left_with_another_parcel_is_not_given_up_again(room: Stockroom, kind: Any) -> None:
    """A location ships what it gave up before, in place of what it was told anew, then does not find that, or gives it back."""
    await room.item("mug", standard_cost_minor=100)
    await room.receive("mug", 3, 300)
    line = reservations_service_pb2.ReservationLine(line_id="1", item_id="mug", location_id="BER", quantity=2)
    await room.calls.reservations.Reserve(reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id="O", lines=[line]))
    await room.release("O", "mug", 2)
    await room.ship("O", "mug", 1)
    given_up = kind(fulfillment_order_id="fo-O", order_id="O", location_id="BER")
    given_up.lines.add(line_id="1", item_id="mug", quantity=2)
    await room.hear(given_up)
    standing = {state: quantity for (_, state), quantity in (await room.balances("mug")).items() if quantity}
    assert standing == ({"AVAILABLE": 1, "QUARANTINE": 1} if kind is fulfillment_events_pb2.PickShorted else {"AVAILABLE": 2})
    assert await room.breaks() == []
