"""How fast stock turns, how long it lasts, how old it is and what of it stands still."""

from typing import Any

from sqlalchemy import update

from argosy.inventory.v1 import stock_service_pb2, transfers_service_pb2, valuation_service_pb2
from argosy.returns.v1 import returns_events_pb2
from chassis.kernel.clock import DAY, from_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.host import wall_clock
from services.inventory.domain.turnover import AGES, NONE
from services.inventory.store.tables import LAYERS, VALUE_ENTRIES
from tests.service.stockroom import Stockroom, day

AVERAGE = 2


async def pass_days(room: Stockroom, days: int) -> None:
    """Moves everything that happened so many days into the past."""
    async with room.component.database.write() as tx:
        await tx.write(update(LAYERS).values(effective_at=LAYERS.c.effective_at - days * DAY))
        await tx.write(update(VALUE_ENTRIES).values(booked_at=VALUE_ENTRIES.c.booked_at - days * DAY))


async def totals(room: Stockroom, **asked: Any) -> valuation_service_pb2.StockTurnover:
    return await room.calls.valuation.GetStockTurnover(valuation_service_pb2.GetStockTurnoverRequest(**asked))


async def items(room: Stockroom, **asked: Any) -> dict[tuple[str, str], valuation_service_pb2.ItemTurnover]:
    answer = await room.calls.valuation.ListStockTurnover(valuation_service_pb2.ListStockTurnoverRequest(**asked))
    return {(one.item_id, one.location_id): one for one in answer.turnovers}


async def age_days(room: Stockroom, item_id: str, location_id: str = "BER") -> list[int]:
    """Returns the age of each open layer, oldest first."""
    asked = stock_service_pb2.ListCostLayersRequest(item_id=item_id, location_id=location_id)
    layers = (await room.calls.stock.ListCostLayers(asked)).layers
    return [(wall_clock() - from_timestamp(one.effective_at)) // DAY for one in layers]


async def test_turns_and_cover_follow_from_what_customers_took(room: Stockroom) -> None:
    for item_id in ("cup", "pot"):
        await room.item(item_id)
    await room.receive("cup", 10, 1000)
    await room.receive("pot", 2, 3000)
    await pass_days(room, 30)
    await room.ship("o1", "cup", 4)
    await pass_days(room, 60)
    found = await items(room, days=90)
    cup, pot = found["cup", "BER"], found["pot", "BER"]
    assert (cup.turnover.quantity, cup.turnover.value_minor, cup.turnover.sold, cup.turnover.cost_minor) == (6, 600, 4, 400)
    # Nothing was there before the period, which began with the first receipt: 400 of a mean of 800 in 90 days.
    assert (cup.turnover.value_before_minor, cup.turnover.turns_hundredths) == (1000, 400 * 2 * 36500 // (1600 * 90))
    assert cup.turnover.cover_days == 6 * 90 // 4
    assert (cup.sku, cup.currency_code, cup.idle, pot.idle) == ("CUP", "EUR", False, True)
    assert (pot.turnover.turns_hundredths, pot.turnover.cover_days) == (0, NONE)
    answer = await totals(room)
    (here,) = answer.locations
    assert (here.location_id, here.entity, here.currency_code, here.items) == ("BER", "DE01", "EUR", 2)
    assert (here.turnover.value_minor, here.turnover.value_before_minor, here.turnover.cost_minor) == (3600, 4000, 400)
    assert here.turnover.cover_days == 3600 * 90 // 400
    assert (here.idle_items, here.idle_minor, [one.item_id for one in answer.idle]) == (1, 3000, ["pot"])
    assert list(await items(room, idle=True)) == [("pot", "BER")]
    recent = (await items(room, days=30))["cup", "BER"]
    assert (recent.turnover.sold, recent.turnover.value_before_minor, recent.turnover.cover_days, recent.idle) == (0, 600, NONE, True)


async def test_what_comes_back_was_not_sold(room: Stockroom) -> None:
    await room.item("cup")
    await room.receive("cup", 10, 1000)
    await room.ship("o1", "cup", 4)
    back = returns_events_pb2.ReturnReceived(return_id="r1", order_id="o1", location_id="BER", receipt_id="rr1")
    back.lines.add(line_id="1", item_id="cup", stock_quantity=1)
    await room.hear(back)
    cup = (await items(room))["cup", "BER"].turnover
    assert (cup.quantity, cup.value_minor, cup.sold, cup.cost_minor) == (7, 700, 3, 300)


async def test_stock_is_told_by_its_age(room: Stockroom) -> None:
    await room.item("cup")
    for pieces in (1, 2, 3, 4, 5):
        await room.receive("cup", pieces, pieces * 100)
        await pass_days(room, {1: 200, 2: 100, 3: 70, 4: 40, 5: 0}[pieces])
    (here,) = (await totals(room)).locations
    assert [(one.from_days, one.quantity, one.value_minor) for one in here.ages] == [
        (AGES[0], 5, 500), (AGES[1], 4, 400), (AGES[2], 3, 300), (AGES[3], 2, 200), (AGES[4], 1, 100),
    ]  # fmt: skip
    assert (wall_clock() - from_timestamp((await items(room))["cup", "BER"].oldest_at)) // DAY == 410
    await room.ship("o1", "cup", 2)
    assert (await age_days(room, "cup"))[0] == 210


async def test_a_transfer_makes_nothing_younger(room: Stockroom) -> None:
    await room.item("cup")
    await room.place("MUC")
    await room.receive("cup", 10, 1000)
    await pass_days(room, 100)
    request = transfers_service_pb2.CreateTransferRequest(
        request_id=new_id(), from_location_id="BER", to_location_id="MUC", reason="more is sold there", expected_on=day(2)
    )
    request.lines.add(item_id="cup", quantity=4)
    transfer_id = (await room.calls.transfers.CreateTransfer(request)).transfer_id
    await room.calls.transfers.ShipTransfer(transfers_service_pb2.ShipTransferRequest(request_id=new_id(), transfer_id=transfer_id))
    assert await age_days(room, "cup", "MUC") == [100]
    await room.calls.transfers.ReceiveTransfer(transfers_service_pb2.ReceiveTransferRequest(request_id=new_id(), transfer_id=transfer_id))
    assert await age_days(room, "cup", "MUC") == [100]
    assert await age_days(room, "cup") == [100]
    assert not await room.breaks()


async def test_what_is_valued_on_average_ages_on_average(room: Stockroom) -> None:
    await room.item("cup", valuation=AVERAGE)
    await room.receive("cup", 3, 300)
    await pass_days(room, 100)
    await room.receive("cup", 1, 200)
    assert await age_days(room, "cup") == [75]


async def test_only_what_is_ours_turns(room: Stockroom) -> None:
    await room.item("cup")
    await room.place("SUP", kind="SUPPLIER", consigned=True)
    await room.receive("cup", 5, 0, "SUP")
    assert not (await totals(room)).locations
    assert not await items(room)


async def test_what_came_a_moment_ago_does_not_stand_still(room: Stockroom) -> None:
    await room.item("cup")
    await room.receive("cup", 5, 500)
    assert not (await items(room))["cup", "BER"].idle
    assert ([one.idle_items for one in (await totals(room)).locations], await items(room, idle=True)) == ([0], {})


async def test_an_empty_stock_has_no_turnover_and_says_so(room: Stockroom) -> None:
    answer = await totals(room)
    assert (len(answer.locations), len(answer.idle), answer.HasField("begins_at")) == (0, 0, True)


async def test_another_location_is_another_matter(room: Stockroom) -> None:
    await room.item("cup")
    await room.place("MUC")
    await room.receive("cup", 1, 100)
    await room.receive("cup", 2, 300, "MUC")
    assert [one.location_id for one in (await totals(room)).locations] == ["BER", "MUC"]
    assert [one.location_id for one in (await totals(room, location_id="MUC")).locations] == ["MUC"]
    assert list(await items(room, location_id="MUC")) == [("cup", "MUC")]
    first = await room.calls.valuation.ListStockTurnover(valuation_service_pb2.ListStockTurnoverRequest(page_size=1))
    assert [one.location_id for one in first.turnovers] == ["BER"]
    then = valuation_service_pb2.ListStockTurnoverRequest(page_size=1, page_token=first.next_page_token)
    second = await room.calls.valuation.ListStockTurnover(then)
    assert ([one.location_id for one in second.turnovers], second.next_page_token) == (["MUC"], "")
