"""Lots, serial numbers, kits, conversions, and what others sold: per item × location × lot, on both databases."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from argosy.fulfillment.v1 import fulfillment_events_pb2
from argosy.inventory.v1 import (
    feeds_service_pb2,
    inventory_events_pb2,
    lots_service_pb2,
    reservations_service_pb2,
    stock_service_pb2,
    transfers_service_pb2,
)
from argosy.returns.v1 import returns_events_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.work import Cause
from services.inventory.app import lots
from services.inventory.domain.stock import State
from services.inventory.store.tables import LOTS
from tests.service.stockroom import Stockroom, day, refused

LOT, SERIAL = 2, 3


async def reserve(room: Stockroom, order_id: str, *lines: dict[str, Any]) -> None:
    given = [
        reservations_service_pb2.ReservationLine(**{"line_id": str(n + 1), "location_id": "BER", **line}) for n, line in enumerate(lines)
    ]
    await room.calls.reservations.Reserve(reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id=order_id, lines=given))


async def milk(room: Stockroom, **values: Any) -> None:
    await room.item("milk", tracking=LOT, expires=1, **values)
    await room.receive("milk", 5, 500, lot="LATE", expires_on=day(60))
    await room.receive("milk", 3, 300, lot="SOON", expires_on=day(8))


async def test_first_expired_goes_first(room: Stockroom) -> None:
    await milk(room)
    await reserve(room, "o-1", {"item_id": "milk", "quantity": 4})
    assert await room.balances("milk") == {("SOON", "RESERVED"): 3, ("LATE", "RESERVED"): 1, ("LATE", "AVAILABLE"): 4}
    assert not await room.breaks()


async def test_who_wants_longer_life_gets_it_and_nobody_is_promised_what_they_cannot_use(room: Stockroom) -> None:
    await milk(room, min_life_days=3)
    refusal = await refused("INSUFFICIENT_STOCK", reserve(room, "o-1", {"item_id": "milk", "quantity": 6, "min_life_days": 30}))
    assert refusal.metadata["available"] == "5"
    # Both lines fit only where the first takes what lives long and the second what is left.
    await reserve(room, "o-2", {"item_id": "milk", "quantity": 4}, {"item_id": "milk", "quantity": 4, "min_life_days": 30})
    assert await room.balances("milk") == {("SOON", "RESERVED"): 3, ("LATE", "RESERVED"): 5}


async def test_availability_counts_only_what_can_be_sold(room: Stockroom) -> None:
    await milk(room)

    async def ats(**values: Any) -> int:
        request = stock_service_pb2.GetAvailabilityRequest(item_ids=["milk"], **values)
        return int((await room.calls.stock.GetAvailability(request)).items[0].available_to_sell)

    assert [await ats(), await ats(min_life_days=30), await ats(min_life_days=90)] == [8, 5, 0]


async def test_what_has_expired_is_blocked_once_and_what_a_warehouse_has_of_it_is_held(room: Stockroom) -> None:
    await milk(room)
    for order_id in ("o-1", "o-2"):
        await reserve(room, order_id, {"item_id": "milk", "quantity": 1})
    await room.release("o-1", "milk", 1)
    request = lots_service_pb2.SetLotExpiryRequest(request_id=new_id(), item_id="milk", lot="SOON", expires_on=day(-1))
    await room.calls.lots.SetLotExpiry(request)
    held = []
    for _ in range(2):

        async def expire(work: Any) -> None:
            await lots.expire_lots(work)
            held.extend(work.holds)

        await room.component.writer.run(expire, Cause("clock", "expire_lots", new_id()))
    assert await room.balances("milk") == {("SOON", "ALLOCATED"): 1, ("SOON", "QUARANTINE"): 2, ("LATE", "AVAILABLE"): 5}
    assert [one["reason"] for one in held] == ["LOT_EXPIRED"]
    # Who had it reserved is promised other milk.
    (taken,) = await room.said(inventory_events_pb2.ReservationTaken)
    assert (taken.order_id, taken.blocked_lot, taken.taken_by, taken.lines[0].quantity) == ("o-2", "SOON", "", 1)
    assert not await room.breaks()


async def test_a_recall_finds_where_a_lot_is_and_who_received_it(room: Stockroom) -> None:
    await milk(room)
    await room.place("HAM")
    await room.receive("milk", 2, 200, "HAM", lot="SOON", expires_on=day(8))
    await reserve(room, "o-1", {"item_id": "milk", "quantity": 2})
    await room.release("o-1", "milk", 2)
    await room.ship("o-1", "milk", 2)
    trace = await room.calls.lots.RecallLot(
        lots_service_pb2.RecallLotRequest(request_id=new_id(), item_id="milk", lot="SOON", reason="salmonella")
    )
    assert (trace.blocked, trace.lot.available, trace.lot.on_hand) == (3, 0, 3)
    assert [(one.location_id, one.quantity) for one in trace.balances] == [("BER", 1), ("HAM", 2)]
    assert [(one.order_id, one.quantity) for one in trace.issues] == [("o-1", 2)]
    # What comes in of it later is blocked at once.
    await room.receive("milk", 4, 400, lot="SOON", expires_on=day(8))
    assert (await room.balances("milk", "BER"))["SOON", "QUARANTINE"] == 5
    lifted = await room.calls.lots.LiftRecall(
        lots_service_pb2.LiftRecallRequest(request_id=new_id(), item_id="milk", lot="SOON", reason="tested clean")
    )
    assert not lifted.HasField("recalled_at")


async def recall(room: Stockroom, item_id: str, lot: str) -> lots_service_pb2.LotTrace:
    request = lots_service_pb2.RecallLotRequest(request_id=new_id(), item_id=item_id, lot=lot, reason="salmonella")
    return await room.calls.lots.RecallLot(request)


async def test_a_recall_takes_back_what_is_reserved_and_holds_what_a_warehouse_has(room: Stockroom) -> None:
    await milk(room)
    for order_id in ("o-1", "o-2"):
        await reserve(room, order_id, {"item_id": "milk", "quantity": 1})
    cart = [reservations_service_pb2.ReservationLine(line_id="1", item_id="milk", location_id="BER", quantity=3)]
    await room.calls.reservations.HoldCart(reservations_service_pb2.HoldCartRequest(request_id=new_id(), cart_id="c", lines=cart))
    await room.release("o-1", "milk", 1)
    trace = await recall(room, "milk", "SOON")
    assert trace.blocked == 2
    found = {("SOON", "ALLOCATED"): 1, ("SOON", "QUARANTINE"): 2, ("LATE", "SOFT_RESERVED"): 2, ("LATE", "AVAILABLE"): 3}
    assert await room.balances("milk") == found
    (taken,) = await room.said(inventory_events_pb2.ReservationTaken)
    assert (taken.order_id, taken.location_id, taken.blocked_lot) == ("o-2", "BER", "SOON")
    assert not await room.breaks()


async def test_a_kit_loses_the_components_of_a_lot_that_is_recalled_and_gives_the_others_back(room: Stockroom) -> None:
    await room.item("cup", tracking=LOT)
    await room.item("saucer")
    await room.item("set", kit='[["cup", 2], ["saucer", 1]]')
    for lot in ("A", "B"):
        await room.receive("cup", 3, 300, lot=lot)
    await room.receive("saucer", 3, 300)
    await reserve(room, "o-1", {"item_id": "set", "quantity": 3})
    await recall(room, "cup", "A")
    # Two of the three sets had cups of it.
    assert await room.balances("cup") == {("A", "QUARANTINE"): 3, ("B", "RESERVED"): 2, ("B", "AVAILABLE"): 1}
    assert await room.balances("saucer") == {("", "RESERVED"): 1, ("", "AVAILABLE"): 2}
    (taken,) = await room.said(inventory_events_pb2.ReservationTaken)
    assert [(line.item_id, line.quantity) for line in taken.lines] == [("set", 2)]
    assert not await room.breaks()


async def test_nothing_of_a_recalled_lot_can_be_sold_again_by_whatever_document(room: Stockroom) -> None:
    await milk(room)
    await room.place("HAM")
    await reserve(room, "o-1", {"item_id": "milk", "quantity": 1})
    await room.release("o-1", "milk", 1)
    await reserve(room, "o-2", {"item_id": "milk", "quantity": 1})
    await room.release("o-2", "milk", 1)
    await room.ship("o-2", "milk", 1)
    line = transfers_service_pb2.TransferLineInput(item_id="milk", quantity=1)
    moved = await room.calls.transfers.CreateTransfer(
        transfers_service_pb2.CreateTransferRequest(
            request_id=new_id(), from_location_id="BER", to_location_id="HAM", lines=[line], expected_on=day(3), reason="more there"
        )
    )
    await room.calls.transfers.ShipTransfer(transfers_service_pb2.ShipTransferRequest(request_id=new_id(), transfer_id=moved.transfer_id))
    await recall(room, "milk", "SOON")
    # The warehouse gives back what it was told to ship; what was on its way arrives; what was sold comes back and is looked at.
    back = fulfillment_events_pb2.FulfillmentOrderRecalled(fulfillment_order_id="fo-o-1", order_id="o-1", location_id="BER")
    back.lines.add(line_id="1", item_id="milk", quantity=1)
    await room.hear(back)
    arrived = transfers_service_pb2.ReceiveTransferRequest(request_id=new_id(), transfer_id=moved.transfer_id)
    await room.calls.transfers.ReceiveTransfer(arrived)
    returned = returns_events_pb2.ReturnReceived(receipt_id="r", return_id="ret", order_id="o-2", channel_id="web", location_id="BER")
    returned.lines.add(line_id="1", item_id="milk", stock_quantity=1)
    await room.hear(returned)
    judged = returns_events_pb2.ReturnInspected(inspection_id="i", return_id="ret", order_id="o-2", channel_id="web", location_id="BER")
    judged.lines.add(line_id="1", item_id="milk", stock_quantity=1, disposition="RESTOCK")
    await room.hear(judged)
    assert await room.balances("milk", "BER") == {("SOON", "QUARANTINE"): 2, ("LATE", "AVAILABLE"): 5}
    assert await room.balances("milk", "HAM") == {("SOON", "QUARANTINE"): 1}
    # What comes in where the lot never was is blocked, too.
    await room.place("MUC")
    await room.receive("milk", 2, 200, "MUC", lot="SOON", expires_on=day(8))
    assert await room.balances("milk", "MUC") == {("SOON", "QUARANTINE"): 2}
    by_hand = {"item_id": "milk", "location_id": "MUC", "lot": "SOON", "quantity": 1, "reason": "looks good"}
    unblock = stock_service_pb2.ChangeStateRequest(request_id=new_id(), from_state=State.QUARANTINE, to_state=State.AVAILABLE, **by_hand)
    assert (await refused("LOT_RECALLED", room.calls.stock.ChangeState(unblock))).field == "to_state"
    found = stock_service_pb2.AdjustStockRequest(request_id=new_id(), state=State.AVAILABLE, **by_hand)
    assert (await refused("LOT_RECALLED", room.calls.stock.AdjustStock(found))).field == "state"
    assert not await room.breaks()


async def test_what_became_available_of_a_recalled_lot_before_is_not_promised(room: Stockroom) -> None:
    await milk(room)
    async with room.component.database.write() as tx:
        await tx.write(update(LOTS).where(LOTS.c.lot == "SOON").values(recalled_at=1))
    ats = await room.calls.stock.GetAvailability(stock_service_pb2.GetAvailabilityRequest(item_ids=["milk"]))
    assert ats.items[0].available_to_sell == 5
    await refused("INSUFFICIENT_STOCK", reserve(room, "o-1", {"item_id": "milk", "quantity": 6}))
    await reserve(room, "o-2", {"item_id": "milk", "quantity": 5})
    assert await room.balances("milk") == {("SOON", "AVAILABLE"): 3, ("LATE", "RESERVED"): 5}


async def test_a_lot_that_is_known_elsewhere_keeps_its_day(room: Stockroom) -> None:
    await milk(room)
    await room.place("HAM")
    await refused("LOT_MISMATCH", room.receive("milk", 1, 100, "HAM", lot="SOON", expires_on=day(20)))
    await room.receive("milk", 1, 100, "HAM", lot="SOON", expires_on=day(8))


async def test_a_serial_number_of_a_recalled_lot_is_recalled_as_it_comes(room: Stockroom) -> None:
    await room.item("phone", tracking=SERIAL)
    await room.receive("phone", 1, 100, serials=["A"], lot="BATCH-7")
    await recall(room, "phone", "BATCH-7")
    await room.receive("phone", 2, 200, serials=["B", "C"], lot="BATCH-7")
    await room.receive("phone", 1, 100, serials=["D"], lot="BATCH-8")
    found = {("A", "QUARANTINE"): 1, ("B", "QUARANTINE"): 1, ("C", "QUARANTINE"): 1, ("D", "AVAILABLE"): 1}
    assert await room.balances("phone") == found


async def test_a_warehouse_that_does_not_know_of_a_recall_adds_nothing(room: Stockroom) -> None:
    await milk(room)
    await reserve(room, "o-1", {"item_id": "milk", "quantity": 1})
    await room.release("o-1", "milk", 1)
    await recall(room, "milk", "SOON")
    lines = [feeds_service_pb2.FeedLine(sku="MILK", lot=lot, quantity=quantity) for lot, quantity in (("SOON", 3), ("LATE", 5))]
    for number in range(2):
        picture = feeds_service_pb2.ApplyStockFeedRequest(
            request_id=new_id(), source="3pl", location_id="BER", feed_id=f"f-{number}", kind=feeds_service_pb2.FEED_KIND_SNAPSHOT,
            page=1, last=True, lines=lines, as_of=to_timestamp(await room.moment() + number),
        )  # fmt: skip
        fed = await room.calls.feeds.ApplyStockFeed(picture)
        assert (fed.changed, fed.discrepancies) == (0, 0)
    found = {("SOON", "ALLOCATED"): 1, ("SOON", "QUARANTINE"): 2, ("LATE", "AVAILABLE"): 5}
    assert await room.balances("milk") == found
    # It found one more, and says some are blocked there as well.
    more = [*lines, feeds_service_pb2.FeedLine(sku="MILK", lot="SOON", quantity=1, state=State.QUARANTINE)]
    picture = feeds_service_pb2.ApplyStockFeedRequest(
        request_id=new_id(), source="3pl", location_id="BER", feed_id="f-2", kind=feeds_service_pb2.FEED_KIND_SNAPSHOT,
        page=1, last=True, lines=more, as_of=to_timestamp(await room.moment() + 2),
    )  # fmt: skip
    assert (await room.calls.feeds.ApplyStockFeed(picture)).changed == 1
    assert await room.balances("milk") == {**found, ("SOON", "QUARANTINE"): 3}
    assert not await room.breaks()


async def test_a_serial_number_is_there_once_and_comes_back_as_itself(room: Stockroom) -> None:
    await room.item("phone", tracking=SERIAL)
    await refused("SERIALS_REQUIRED", room.receive("phone", 2, 200, serials=["A"]))
    await room.receive("phone", 2, 200, serials=["A", "B"], lot="BATCH-7")
    await refused("SERIAL_EXISTS", room.receive("phone", 1, 100, serials=["B"]))
    await reserve(room, "o-1", {"item_id": "phone", "quantity": 1})
    await room.release("o-1", "phone", 1)
    await room.ship("o-1", "phone", 1)
    trace = await room.calls.lots.TraceLot(lots_service_pb2.TraceLotRequest(item_id="phone", lot="BATCH-7"))
    assert ([one.lot for one in trace.balances], [one.lot for one in trace.issues]) == (["B"], ["A"])
    received = returns_events_pb2.ReturnReceived(receipt_id="r", return_id="ret", order_id="o-1", channel_id="web", location_id="BER")
    received.lines.add(line_id="1", item_id="phone", stock_quantity=1)
    said = await room.hear(received)
    assert isinstance(said[0], inventory_events_pb2.StockReturned)
    assert (said[0].value_minor, said[0].cost_basis) == (100, "ISSUE")
    assert await room.balances("phone") == {("A", "RETURN_INSPECTION"): 1, ("B", "AVAILABLE"): 1}
    assert not await room.breaks()


async def test_two_deliveries_at_once_cannot_both_bring_one_serial_number(room: Stockroom) -> None:
    await room.item("phone", tracking=SERIAL)
    both = await asyncio.gather(*(room.receive("phone", 1, 100, serials=["A"]) for _ in range(2)), return_exceptions=True)
    assert [one.reason for one in both if isinstance(one, Refusal)] == ["SERIAL_EXISTS"]
    assert await room.balances("phone") == {("A", "AVAILABLE"): 1}


@pytest.mark.parametrize(
    ("reason", "values"),
    [
        ("LOT_REQUIRED", {"expires_on": day(9)}),
        ("EXPIRY_REQUIRED", {"lot": "L"}),
        ("EXPIRED_LOT", {"lot": "L", "expires_on": day(-2)}),
        ("LOT_MISMATCH", {"lot": "LATE", "expires_on": day(9)}),
        ("WRONG_UNIT", {"lot": "L", "expires_on": day(9), "unit": "PALLET"}),
        ("NOT_WHOLE", {"lot": "L", "expires_on": day(9), "unit": "HALF"}),
        ("LOT_UNWANTED", {"lot": "L", "expires_on": day(9), "serials": ["1"]}),
        ("INVALID_FIELD", {"lot": "L", "expires_on": "2026-02-30"}),
        ("NO_SUCH_LOCATION", {"location_id": "MARS"}),
    ],
)
async def test_a_wrong_receipt_is_refused_by_name_and_nothing_is_written(room: Stockroom, reason: str, values: dict[str, Any]) -> None:
    await milk(room, units='{"HALF": [1, 2], "CASE": [12, 1]}')
    before = await room.balances("milk")
    await refused(reason, room.receive("milk", 1, 100, **values))
    assert await room.balances("milk") == before
    assert not await room.breaks()


async def test_a_case_is_counted_in_pieces(room: Stockroom) -> None:
    await room.item("cup", units='{"CASE": [12, 1]}')
    await room.receive("cup", 3, 3600, unit="CASE")
    assert await room.balances("cup") == {("", "AVAILABLE"): 36}


async def kits(room: Stockroom) -> None:
    for item_id in ("cup", "saucer"):
        await room.item(item_id)
    await room.item("set", kit='[["cup", 2], ["saucer", 1]]')
    await room.item("pair", kit='[["cup", 2]]')
    await room.receive("cup", 5, 500)
    await room.receive("saucer", 9, 900)


async def test_kits_that_share_a_component_share_its_stock(room: Stockroom) -> None:
    await kits(room)
    request = stock_service_pb2.GetAvailabilityRequest(item_ids=["set", "pair", "saucer"])
    assert [one.available_to_sell for one in (await room.calls.stock.GetAvailability(request)).items] == [2, 2, 9]
    await refused("INSUFFICIENT_STOCK", reserve(room, "o-1", {"item_id": "set", "quantity": 2}, {"item_id": "pair", "quantity": 1}))
    await reserve(room, "o-2", {"item_id": "set", "quantity": 1}, {"item_id": "pair", "quantity": 1}, {"item_id": "cup", "quantity": 1})
    assert await room.balances("cup") == {("", "RESERVED"): 5}
    assert await room.balances("saucer") == {("", "RESERVED"): 1, ("", "AVAILABLE"): 8}
    assert not await room.breaks()


async def test_a_kit_ships_as_its_components_at_their_cost_and_comes_back_as_them(room: Stockroom) -> None:
    await kits(room)
    await reserve(room, "o-1", {"item_id": "set", "quantity": 2})
    await room.release("o-1", "set", 2)
    said = await room.ship("o-1", "set", 2)
    assert isinstance(said[0], inventory_events_pb2.StockIssued)
    assert [(one.item_id, one.quantity, one.value_minor) for one in said[0].lines] == [("set", 2, 600)]
    received = returns_events_pb2.ReturnReceived(receipt_id="r", return_id="ret", order_id="o-1", channel_id="web", location_id="BER")
    received.lines.add(line_id="1", item_id="set", stock_quantity=1)
    assert (await room.hear(received))[0].value_minor == 300  # type: ignore[attr-defined]
    inspected = returns_events_pb2.ReturnInspected(inspection_id="i", return_id="ret", order_id="o-1", channel_id="web", location_id="BER")
    inspected.lines.add(line_id="1", item_id="set", stock_quantity=1, disposition="RESTOCK")
    assert (await room.hear(inspected))[0].restocked_minor == 300  # type: ignore[attr-defined]
    assert await room.balances("cup") == {("", "AVAILABLE"): 3}
    assert await room.balances("saucer") == {("", "AVAILABLE"): 8}
    assert not await room.breaks()


async def test_a_reserved_kit_moves_to_another_place_as_one(room: Stockroom) -> None:
    await kits(room)
    await room.place("HAM")
    for item_id in ("cup", "saucer"):
        await room.receive(item_id, 4, 400, "HAM")
    await reserve(room, "o-1", {"item_id": "set", "quantity": 2})
    move = reservations_service_pb2.MoveReservationRequest(
        request_id=new_id(), owner_id="o-1", line_id="1", from_location_id="BER", to_location_id="HAM", quantity=2, item_id="set"
    )
    await room.calls.reservations.MoveReservation(move)
    assert await room.balances("cup", "HAM") == {("", "RESERVED"): 4}
    assert await room.balances("cup", "BER") == {("", "AVAILABLE"): 5}
    assert not await room.breaks()


async def test_a_conversion_neither_gains_nor_loses(room: Stockroom) -> None:
    for item_id in ("case", "bottle", "card"):
        await room.item(item_id)
    await room.receive("case", 3, 1000)
    line = stock_service_pb2.ConversionLine
    request = stock_service_pb2.ConvertStockRequest(
        request_id=new_id(), location_id="BER", reason="open a case", inputs=[line(item_id="case", quantity=1)],
        outputs=[line(item_id="bottle", quantity=12, cost_weight=9), line(item_id="card", quantity=1, cost_weight=1)],
    )  # fmt: skip
    await room.calls.stock.ConvertStock(request)
    layers = [
        (await room.calls.stock.ListCostLayers(stock_service_pb2.ListCostLayersRequest(item_id=item_id))).layers[0].value_left_minor
        for item_id in ("case", "bottle", "card")
    ]
    assert layers == [667, 300, 33]
    request.request_id, request.inputs[0].quantity = new_id(), 9
    assert (await refused("INSUFFICIENT_STOCK", room.calls.stock.ConvertStock(request))).field == "inputs[0].quantity"
    assert not await room.breaks()


async def test_what_a_till_sold_is_booked_once_and_never_refused_for_want_of_stock(room: Stockroom) -> None:
    await room.place("SHOP", "STORE")
    await room.item("cup")
    await room.receive("cup", 2, 200, "SHOP")
    for _ in range(2):
        answer = await room.calls.stock.RecordSale(
            stock_service_pb2.RecordSaleRequest(
                request_id=new_id(), location_id="SHOP", channel_id="till", reference="bon 4711",
                lines=[stock_service_pb2.SaleLine(item_id="cup", quantity=3)],
            )
        )  # fmt: skip
    assert answer.document_id
    assert await room.balances("cup", "SHOP") == {}
    refusal = room.calls.stock.RecordSale(
        stock_service_pb2.RecordSaleRequest(
            request_id=new_id(),
            location_id="BER",
            channel_id="till",
            reference="b",
            lines=[stock_service_pb2.SaleLine(item_id="cup", quantity=1)],
        )
    )
    await refused("NOT_A_SELLER", refusal)
    assert not await room.breaks()
