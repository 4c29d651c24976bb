"""Work inside a location in the whole suite: put away, picked in waves as scanned, shipped; bins hold what is on hand."""

from typing import Any

import pytest

from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2, warehouse_service_pb2
from argosy.inventory.v1 import counts_service_pb2, stock_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.errors import NotFound, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import OTHER, eventually, open_shop, order, publish_item, receive, until_released, until_status
from tests.service.stockroom import refused

PICK, RESERVE = warehouse_service_pb2.BIN_KIND_PICK, warehouse_service_pb2.BIN_KIND_RESERVE


class Floor:
    """A location that keeps bins, and short ways to work in it."""

    def __init__(self, calls: Calls, location_id: str = "BER") -> None:
        self.calls = calls
        self.location_id = location_id

    async def open(self, *bins: str) -> None:
        """Keeps bins, once the dock is known, with these to pick from, in this order."""
        keep = stock_service_pb2.KeepBinsRequest(request_id=new_id(), location_id=self.location_id)
        assert (await self.calls.stock.KeepBins(keep)).keeps_bins
        for position, name in enumerate(bins):
            await eventually(lambda name=name, position=position: self._set(name, position))  # type: ignore[misc]

    async def _set(self, name: str, position: int) -> bool:
        kind = RESERVE if name.startswith("R") else PICK
        request = warehouse_service_pb2.SetBinRequest(
            request_id=new_id(), location_id=self.location_id, bin=name, zone=name[:1], kind=kind, position=position + 1
        )
        try:
            await self.calls.warehouse.SetBin(request)
        except Refusal as refusal:
            assert refusal.reason == "NO_BINS"
            return False
        return True

    async def move(self, item_id: str, quantity: int, to_bin: str, from_bin: str = "") -> None:
        """Puts goods away, or elsewhere."""
        await self.calls.warehouse.MoveBinStock(
            warehouse_service_pb2.MoveBinStockRequest(
                request_id=new_id(), location_id=self.location_id, item_id=item_id, quantity=quantity, to_bin=to_bin, from_bin=from_bin
            )
        )

    async def bins(self, item_id: str) -> dict[str, int]:
        """Returns what lies where of an item."""
        request = warehouse_service_pb2.ListBinStockRequest(location_id=self.location_id, item_id=item_id)
        return {one.bin: one.quantity for one in (await self.calls.warehouse.ListBinStock(request)).stock}

    async def wave(self, **values: Any) -> list[warehouse_service_pb2.PickList]:
        """Makes a wave and takes all its lists."""
        request = warehouse_service_pb2.CreateWaveRequest(request_id=new_id(), location_id=self.location_id, **values)
        made = await self.calls.warehouse.CreateWave(request)
        asked = warehouse_service_pb2.ListPickListsRequest(wave_id=made.wave_id)
        lists = (await self.calls.warehouse.ListPickLists(asked)).lists
        start = self.calls.warehouse.StartPickList
        return [await start(warehouse_service_pb2.StartPickListRequest(request_id=new_id(), list_id=one.list_id)) for one in lists]

    async def pick(self, one: warehouse_service_pb2.Pick, picked: int, shorted: int = 0, **scans: str) -> warehouse_service_pb2.PickList:
        """Says what was found, scanned as it should be."""
        given = {"bin": one.bin, "code": one.sku, **scans}
        request = warehouse_service_pb2.RecordPickRequest(request_id=new_id(), pick_id=one.pick_id, picked=picked, shorted=shorted, **given)
        return await self.calls.warehouse.RecordPick(request)

    async def differences(self) -> list[Any]:
        """Returns where bins and books differ."""
        request = warehouse_service_pb2.CompareBinsRequest(location_id=self.location_id)
        return list((await self.calls.warehouse.CompareBins(request)).differences)


async def place(calls: Calls, number: str, quantity: int = 1, **values: Any) -> tuple[str, fulfillment_pb2.FulfillmentOrder]:
    placed = await calls.orders.CreateOrder(order(number, quantity, **values))
    (own,) = await until_released(calls, placed.order_id)
    return placed.order_id, own


async def ship(calls: Calls, fulfillment_order_id: str) -> None:
    request = fulfillment_service_pb2.ConfirmShipmentRequest(request_id=new_id(), fulfillment_order_id=fulfillment_order_id)
    await calls.fulfillment.ConfirmShipment(request)


async def test_goods_are_put_away_picked_as_scanned_and_leave_and_bins_hold_what_is_on_hand(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 10})
        floor = Floor(calls)
        await floor.open("A1", "A2")
        assert await floor.bins(item_id) == {"DOCK": 10}
        (advice,) = (await calls.warehouse.ListPutAways(warehouse_service_pb2.ListPutAwaysRequest(location_id="BER"))).put_aways
        assert (advice.to_bin, advice.quantity) == ("A1", 10)
        await floor.move(item_id, 6, "A1")
        await refused("NOT_IN_BIN", floor.move(item_id, 5, "A2"))
        await floor.move(item_id, 4, "A2")

        first_id, first = await place(calls, "W-1", 2)
        _, second = await place(calls, "W-2", 3)
        (walk,) = await floor.wave()
        assert [(one.bin, one.quantity, one.tote) for one in walk.picks] == [("A1", 2, 1), ("A1", 3, 2)]
        await refused("NOTHING_TO_PICK", floor.wave())
        one, other = walk.picks
        await refused("WRONG_ITEM", floor.pick(one, 2, code="CUP-9"))
        await refused("WRONG_BIN", floor.pick(one, 2, bin="A9"))
        await refused("NOTHING_LEFT", floor.pick(one, 3))
        await floor.pick(one, 1)
        # From another bin that holds it: no mistake, and the books follow.
        await floor.pick(one, 1, bin="A2")
        await floor.pick(other, 3)
        assert await floor.bins(item_id) == {"A1": 2, "A2": 3, "OUT": 5}
        done = await calls.warehouse.GetPickList(warehouse_service_pb2.GetPickListRequest(list_id=walk.list_id))
        assert (done.status, done.picks_done) == (warehouse_service_pb2.PICK_LIST_STATUS_DONE, 2)
        (wave,) = (await calls.warehouse.ListWaves(warehouse_service_pb2.ListWavesRequest())).waves
        assert (wave.status, wave.done, wave.fulfillment_orders) == (warehouse_service_pb2.WAVE_STATUS_DONE, 2, 2)
        found = await calls.fulfillment.GetFulfillmentOrder(
            fulfillment_service_pb2.GetFulfillmentOrderRequest(fulfillment_order_id=first.fulfillment_order_id)
        )
        assert found.status == fulfillment_pb2.FULFILLMENT_STATUS_PICKED

        await ship(calls, first.fulfillment_order_id)
        await ship(calls, second.fulfillment_order_id)
        await until_status(calls, first_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert (await prove(suite.channels, settled=True)).breaks == []
        assert await floor.bins(item_id) == {"A1": 2, "A2": 3}
        assert await floor.differences() == []
        figures = await calls.warehouse.GetWarehouseFigures(warehouse_service_pb2.GetWarehouseFiguresRequest(location_id="BER"))
        everybody = figures.workers[-1]
        assert (everybody.lists, everybody.picks, everybody.units, everybody.accuracy_ppm) == (1, 2, 5, 1_000_000)


async def test_what_is_missing_in_a_bin_is_taken_from_another_and_what_is_nowhere_is_short_and_counted(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 5, "HAM": 9})
        floor = Floor(calls)
        await floor.open("A1", "R1")
        await floor.move(item_id, 3, "A1")
        await floor.move(item_id, 2, "R1")
        placed = await calls.orders.CreateOrder(order("W-1", 4))
        own = {one.location_id: one for one in await until_released(calls, placed.order_id)}
        assert set(own) == {"BER"}, "the cheapest ships all"
        (walk,) = await floor.wave()
        assert [(one.bin, one.quantity) for one in walk.picks] == [("A1", 3), ("R1", 1)]
        walk = await floor.pick(walk.picks[0], 1, shorted=2)
        # R1 holds one more than was planned: it is taken from there, and only one is short.
        assert sorted((one.bin, one.quantity, one.shorted) for one in walk.picks) == [("A1", 2, 1), ("R1", 1, 0), ("R1", 1, 0)]
        for one in [one for one in walk.picks if one.bin == "R1"]:
            walk = await floor.pick(one, 1)
        assert walk.status == warehouse_service_pb2.PICK_LIST_STATUS_DONE
        assert await floor.bins(item_id) == {"LOST": 2, "OUT": 3}

        async def elsewhere() -> Any:
            parts = {one.location_id: one for one in await until_released(calls, placed.order_id)}
            return parts.get("HAM")

        assert (await eventually(elsewhere)).lines[0].quantity == 1

        async def counted() -> Any:
            return (await calls.counts.ListCounts(counts_service_pb2.ListCountsRequest(location_id="BER"))).counts

        (count,) = await eventually(counted)
        await calls.counts.SubmitCount(
            counts_service_pb2.SubmitCountRequest(request_id=new_id(), count_id=count.count_id, lots=[{"quantity": 3}]), metadata=OTHER
        )
        recount = counts_service_pb2.SubmitCountRequest(request_id=new_id(), count_id=count.count_id, lots=[{"quantity": 3}])
        await calls.counts.SubmitCount(recount)

        async def written_off() -> bool:
            return "LOST" not in await floor.bins(item_id)

        await eventually(written_off)
        for one in (own["BER"], await elsewhere()):
            await ship(calls, one.fulfillment_order_id)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert (await prove(suite.channels, settled=True)).breaks == []


async def test_what_is_called_back_is_not_picked_and_what_was_picked_goes_back_to_the_dock(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        item_id = await open_shop(calls, {"BER": 10})
        floor = Floor(calls)
        await floor.open("A1", "B1")
        await floor.move(item_id, 4, "A1")
        await floor.move(item_id, 6, "B1")
        order_id, _ = await place(calls, "W-1", 2)
        _, kept = await place(calls, "W-2", 3)
        lists = await floor.wave(kind=warehouse_service_pb2.WAVE_KIND_SINGLE)
        mine = next(one for one in lists if one.picks[0].quantity == 2)
        await floor.pick(mine.picks[0], 1)
        await calls.orders.CancelOrder(
            orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=order_id, reason="changed my mind")
        )
        await until_status(calls, order_id, order_pb2.ORDER_STATUS_CANCELLED)
        gone = await calls.warehouse.GetPickList(warehouse_service_pb2.GetPickListRequest(list_id=mine.list_id))
        assert (gone.status, gone.picks[0].cancelled) == (warehouse_service_pb2.PICK_LIST_STATUS_DONE, True)
        await refused("WRONG_STATUS", floor.pick(mine.picks[0], 1))
        assert (await floor.bins(item_id))["DOCK"] == 1 and "OUT" not in await floor.bins(item_id)
        # Of a part that is called back the rest is picked.
        part_id, _ = await place(calls, "W-3", 3)
        (walk,) = [one for one in await floor.wave(kind=warehouse_service_pb2.WAVE_KIND_SINGLE) if one.picks[0].quantity == 3]
        line = (await calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=part_id))).lines[0]
        fewer = orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=part_id, reason="one will do less")
        fewer.lines.add(line_id=line.line_id, quantity=1)
        await calls.orders.CancelOrder(fewer)

        async def rest() -> int:
            found = await calls.warehouse.GetPickList(warehouse_service_pb2.GetPickListRequest(list_id=walk.list_id))
            return found.picks[0].cancelled and found.picks[0].remaining

        assert await eventually(rest) == 2
        walk = await floor.pick(walk.picks[0], 2)
        assert walk.status == warehouse_service_pb2.PICK_LIST_STATUS_DONE
        # The other is called off as a wave, and can be in another.
        wave = (await calls.warehouse.ListWaves(warehouse_service_pb2.ListWavesRequest())).waves[-1]
        await calls.warehouse.CancelWave(warehouse_service_pb2.CancelWaveRequest(request_id=new_id(), wave_id=wave.wave_id))
        (again,) = await floor.wave(kind=warehouse_service_pb2.WAVE_KIND_ZONE)
        assert again.picks[0].fulfillment_order_id == kept.fulfillment_order_id
        request = warehouse_service_pb2.StartPickListRequest(request_id=new_id(), list_id=again.list_id)
        await refused("TAKEN", calls.warehouse.StartPickList(request, metadata=OTHER))
        # Whoever goes home is relieved; only from the one who has it.
        request.request_id, request.from_worker = new_id(), "nobody"
        await refused("TAKEN", calls.warehouse.StartPickList(request, metadata=OTHER))
        request.request_id, request.from_worker = new_id(), again.worker
        relieved = await calls.warehouse.StartPickList(request, metadata=OTHER)
        assert (relieved.worker, relieved.started_at) == ("somebody-else", again.started_at)
        await refused("TAKEN", floor.pick(again.picks[0], 1))
        # It ships though nobody said that it was picked: the bins follow, and nothing is left to pick.
        await ship(calls, kept.fulfillment_order_id)
        assert (await prove(suite.channels, settled=True)).breaks == []
        assert sum((await floor.bins(item_id)).values()) == 7


async def test_a_kit_is_picked_by_its_components_and_counts_of_bins_find_what_differs(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        cup = await open_shop(calls, {"BER": 6}, sku="CUP-1")
        lid = await publish_item(calls, "LID-1")
        await receive(calls, lid, "BER", 3, 300)
        components = [{"item_id": cup, "quantity": 2}, {"item_id": lid, "quantity": 1}]
        await publish_item(calls, "SET-1", components=components)
        floor = Floor(calls)
        await floor.open("A1", "B1")
        await floor.move(cup, 6, "A1")
        await floor.move(lid, 3, "B1")
        _, own = await place(calls, "K-1", 2, sku="SET-1")
        (walk,) = await floor.wave()
        assert [(one.sku, one.bin, one.quantity) for one in walk.picks] == [("CUP-1", "A1", 4), ("LID-1", "B1", 2)]
        await floor.pick(walk.picks[0], 4)
        # A lid is missing, and there is one more: it was counted wrongly, two are there.
        walk = await floor.pick(walk.picks[1], 1, shorted=1)
        assert walk.status == warehouse_service_pb2.PICK_LIST_STATUS_DONE
        found = await calls.fulfillment.GetFulfillmentOrder(
            fulfillment_service_pb2.GetFulfillmentOrderRequest(fulfillment_order_id=own.fulfillment_order_id)
        )
        assert (found.lines[0].picked, found.lines[0].shorted) == (1, 1)
        # The cups of the set that does not ship are brought back.
        assert await floor.bins(cup) == {"A1": 2, "DOCK": 2, "OUT": 2}
        await ship(calls, own.fulfillment_order_id)
        count = warehouse_service_pb2.CountBinRequest(
            request_id=new_id(), location_id="BER", bin="B1", lines=[warehouse_service_pb2.CountedLine(item_id=lid, quantity=2)]
        )
        (difference,) = (await calls.warehouse.CountBin(count)).differences
        assert (difference.expected, difference.found) == (1, 2)
        count.request_id, count.lines[0].quantity = new_id(), 9
        await refused("NOT_ON_HAND", calls.warehouse.CountBin(count))
        assert (await prove(suite.channels, settled=True)).breaks == []


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"bin": "DOCK"}, "INVALID_FIELD"),
        ({"kind": warehouse_service_pb2.BIN_KIND_LOST}, "INVALID_FIELD"),
        ({"location_id": "HAM"}, "NO_BINS"),
    ],
)
async def test_bins_that_cannot_be_are_refused(sqlite_settings: Settings, values: dict[str, Any], reason: str) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 1, "HAM": 1})
        await Floor(calls).open("A1")
        given = {"location_id": "BER", "bin": "A2", **values}
        await refused(reason, calls.warehouse.SetBin(warehouse_service_pb2.SetBinRequest(request_id=new_id(), **given)))
        unknown = warehouse_service_pb2.GetPickListRequest(list_id="nothing")
        with pytest.raises(NotFound):
            await calls.warehouse.GetPickList(unknown)
