"""Kits that wait for their components, are taken over, and come back in part, on both databases."""

from argosy.inventory.v1 import demands_service_pb2, inventory_events_pb2, reservations_service_pb2
from chassis.kernel.clock import from_timestamp
from chassis.kernel.ids import new_id
from tests.service.stockroom import Stockroom, day, refused
from tests.service.test_supply import came, listed_demands, sent, supplier, waits


async def kits(room: Stockroom) -> None:
    """A tea set of two cups and a pot."""
    await room.item("cup")
    await room.item("pot")
    await room.item("set", kit='[["cup", 2], ["pot", 1]]')
    await supplier(room)


async def has(room: Stockroom, item_id: str) -> dict[str, int]:
    return {state: quantity for (_, state), quantity in (await room.balances(item_id, "BER")).items() if state in ("AVAILABLE", "RESERVED")}


async def test_a_kit_waits_by_its_components_and_is_had_once_it_is_whole(room: Stockroom) -> None:
    await kits(room)
    await room.receive("cup", 3, 300)
    await sent(room, 4)
    first = await waits(room, "o-1", 2, item_id="set", location_id="")
    # The cups that are there are kept for it; no pot is in sight.
    assert sorted((one.item_id, one.kit_item_id, one.quantity) for one in first.demands) == [("cup", "set", 1), ("pot", "set", 2)]
    assert not first.HasField("promised_at")
    assert await has(room, "cup") == {"RESERVED": 3}
    assert not await room.said(inventory_events_pb2.DemandFilled)
    pots = await sent(room, 2, item_id="pot", expected_on=day(9))
    (said,) = await room.said(inventory_events_pb2.DemandPromised)
    assert (said.order_id, said.item_id) == ("o-1", "set")
    assert from_timestamp(said.promised_at) == max(from_timestamp(one.promised_at) for one in (await listed_demands(room)))
    assert not await room.breaks()
    # One pot makes one set; the second waits for a cup and a pot, and keeps the cup that is left.
    await came(room, pots, 1)
    (filled,) = await room.said(inventory_events_pb2.DemandFilled)
    assert [(one.item_id, one.quantity, one.line_id) for one in filled.lines] == [("set", 1, "1")]
    assert not await room.breaks()
    # Who waits no more gives back what was kept for the kit that is not whole, and has the other.
    await room.calls.demands.CancelDemand(demands_service_pb2.CancelDemandRequest(request_id=new_id(), owner_id="o-1", line_id="1"))
    assert (await has(room, "cup"), await has(room, "pot")) == ({"RESERVED": 2, "AVAILABLE": 1}, {"RESERVED": 1})
    assert not await room.breaks()
    # All of an order comes back with it, whole or not.
    await waits(room, "o-1", 1, item_id="set")
    await room.calls.reservations.CancelReservation(reservations_service_pb2.CancelReservationRequest(request_id=new_id(), owner_id="o-1"))
    assert (await has(room, "cup"), await has(room, "pot")) == ({"AVAILABLE": 3}, {"AVAILABLE": 1})
    assert not await listed_demands(room)
    assert not await room.breaks()


async def test_kits_and_their_components_wait_for_the_same_supply_by_priority(room: Stockroom) -> None:
    await kits(room)
    await waits(room, "o-1", 1, item_id="set")
    await waits(room, "o-2", 1, priority=5)
    await room.receive("pot", 1, 900)
    await room.receive("cup", 2, 200)
    filled = await room.said(inventory_events_pb2.DemandFilled)
    assert [(one.order_id, one.lines[0].item_id) for one in filled] == [("o-2", "cup")]
    await room.receive("cup", 1, 100)
    filled = await room.said(inventory_events_pb2.DemandFilled)
    assert [(one.order_id, one.lines[0].item_id) for one in filled] == [("o-2", "cup"), ("o-1", "set")]
    assert not await listed_demands(room)
    assert not await room.breaks()


async def test_who_takes_a_component_takes_the_kit_and_what_else_was_kept_for_it_is_free(room: Stockroom) -> None:
    await kits(room)
    await room.receive("cup", 4, 400)
    await room.receive("pot", 2, 1800)
    line = reservations_service_pb2.ReservationLine(line_id="1", item_id="set", location_id="BER", quantity=2)
    reserve = reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id="low", lines=[line], priority=1)
    await room.calls.reservations.Reserve(reserve)
    want = reservations_service_pb2.ReservationLine(line_id="1", item_id="cup", location_id="BER", quantity=1)
    take = demands_service_pb2.TakeOverRequest(request_id=new_id(), owner_id="vip", line=want, priority=5)
    answer = await room.calls.demands.TakeOver(take)
    assert [(one.owner_id, one.item_id, one.quantity) for one in answer.losers] == [("low", "set", 1)]
    assert (await has(room, "cup"), await has(room, "pot")) == ({"RESERVED": 3, "AVAILABLE": 1}, {"RESERVED": 1, "AVAILABLE": 1})
    assert not await room.breaks()
    # A kit is taken over as one: what it needs of each component, from the least urgent.
    want.item_id = "set"
    take = demands_service_pb2.TakeOverRequest(request_id=new_id(), owner_id="king", line=want, priority=9)
    answer = await room.calls.demands.TakeOver(take)
    assert [(one.owner_id, one.item_id, one.quantity) for one in answer.losers] == [("low", "set", 1)]
    assert sorted((one.item_id, one.reserved, one.kit_item_id) for one in answer.reservations) == [("cup", 2, "set"), ("pot", 1, "set")]
    take.request_id, take.owner_id, take.line.quantity = new_id(), "none", 3
    refusal = await refused("INSUFFICIENT_STOCK", room.calls.demands.TakeOver(take))
    assert "6 are wanted; 1 are available and 1 can be taken" in refusal.message
    assert not await room.breaks()


async def test_a_part_of_a_kits_line_comes_back_as_whole_kits(room: Stockroom) -> None:
    await kits(room)
    await room.receive("cup", 6, 600)
    await room.receive("pot", 3, 2700)
    line = reservations_service_pb2.ReservationLine(line_id="1", item_id="set", location_id="BER", quantity=3)
    await room.calls.reservations.Reserve(reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id="o-1", lines=[line]))
    await room.calls.reservations.CancelReservation(
        reservations_service_pb2.CancelReservationRequest(
            request_id=new_id(), owner_id="o-1", lines=[reservations_service_pb2.CancelLine(line_id="1", quantity=2)]
        )
    )
    assert (await has(room, "cup"), await has(room, "pot")) == ({"RESERVED": 2, "AVAILABLE": 4}, {"RESERVED": 1, "AVAILABLE": 2})
    assert not await room.breaks()
