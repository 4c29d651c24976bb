"""The warehouse of the demo that keeps bins: what comes in is put away, what is to ship is picked in waves, as scanned.

Each step can be taken again where it was broken off.
"""

import asyncio
import random
from collections.abc import Callable, Mapping

from argosy.fulfillment.v1 import warehouse_service_pb2
from argosy.inventory.v1 import stock_service_pb2
from chassis.kernel.errors import FailedPrecondition
from gateway.calls import Calls

BINS = tuple(f"{zone}{number:02}" for zone in "ABC" for number in range(1, 9))
PICKERS = ("wanda", "walter")
OPEN = (warehouse_service_pb2.PICK_LIST_STATUS_OPEN, warehouse_service_pb2.PICK_LIST_STATUS_STARTED)
CALLED_BACK = ("WRONG_STATUS", "NOTHING_LEFT")
TRIES = 300
PAGE = 500
AT_ONCE = 64


class Floor:
    """A location that keeps bins. `rid` names steps, so that the same day again sends the same requests."""

    def __init__(self, calls: Calls, location_id: str, rid: Callable[..., str], dice: random.Random) -> None:
        self.location_id = location_id
        self._calls = calls
        self._rid = rid
        self._dice = dice
        self._waves = 0

    async def open(self, units: Mapping[str, int]) -> None:
        """Keeps bins from now on, and puts away what the location has: units by item."""
        keep = stock_service_pb2.KeepBinsRequest(request_id=self._rid("bins", self.location_id), location_id=self.location_id)
        await self._calls.stock.KeepBins(keep)
        await self._until_known(sum(units.values()))
        for position, name in enumerate(BINS, 1):
            await self._calls.warehouse.SetBin(
                warehouse_service_pb2.SetBinRequest(
                    request_id=self._rid("bin", name), location_id=self.location_id, bin=name, zone=name[0], position=position,
                    kind=warehouse_service_pb2.BIN_KIND_PICK,
                )
            )  # fmt: skip
        moves = [
            warehouse_service_pb2.MoveBinStockRequest(
                request_id=self._rid("put", item_id), location_id=self.location_id, item_id=item_id, quantity=quantity,
                to_bin=BINS[index % len(BINS)],
            )
            for index, (item_id, quantity) in enumerate(units.items())
        ]  # fmt: skip
        for start in range(0, len(moves), AT_ONCE):
            await asyncio.gather(*(self._calls.warehouse.MoveBinStock(move) for move in moves[start : start + AT_ONCE]))

    async def _until_known(self, units: int) -> None:
        """Waits until fulfillment has heard what the location has."""
        for _ in range(TRIES):
            if await self._units() == units:
                return
            await asyncio.sleep(0.1)
        raise RuntimeError(f"{units} units are not in the bins of {self.location_id} after {TRIES} tries")

    async def _units(self) -> int:
        request = warehouse_service_pb2.ListBinStockRequest(location_id=self.location_id, page_size=PAGE)
        units = 0
        while True:
            answer = await self._calls.warehouse.ListBinStock(request)
            units += sum(one.quantity for one in answer.stock)
            if not answer.next_page_token:
                return units
            request.page_token = answer.next_page_token

    async def walk(self) -> None:
        """Picks in waves what waits, zone by zone; a little is not found."""
        while lists := await self._lists():
            await asyncio.gather(*(self._pick(one) for one in lists))

    async def _lists(self) -> list[warehouse_service_pb2.PickList]:
        """Makes a wave of what waits, and returns all lists that are not done."""
        self._waves += 1
        wave = warehouse_service_pb2.CreateWaveRequest(
            request_id=self._rid("wave", self._waves), location_id=self.location_id, kind=warehouse_service_pb2.WAVE_KIND_ZONE
        )
        try:
            await self._calls.warehouse.CreateWave(wave)
        except FailedPrecondition as refusal:
            if refusal.reason != "NOTHING_TO_PICK":
                raise
        asked = [warehouse_service_pb2.ListPickListsRequest(location_id=self.location_id, status=one, page_size=PAGE) for one in OPEN]
        return [one for request in asked for one in (await self._calls.warehouse.ListPickLists(request)).lists]

    async def _pick(self, walk: warehouse_service_pb2.PickList) -> None:
        warehouse, picker = self._calls.warehouse, PICKERS[ord(walk.zone[:1] or " ") % len(PICKERS)]
        who = (("argosy-actor", picker),)
        start = warehouse_service_pb2.StartPickListRequest(request_id=self._rid("start", walk.list_id), list_id=walk.list_id)
        left = list((await warehouse.StartPickList(start, metadata=who)).picks)
        while left := [one for one in left if one.remaining]:
            for one in left:
                short = one.remaining if self._dice.random() < 0.01 else 0
                request = warehouse_service_pb2.RecordPickRequest(
                    request_id=self._rid("record", one.pick_id), pick_id=one.pick_id, bin=one.bin, code=one.sku,
                    picked=one.remaining - short, shorted=short,
                )  # fmt: skip
                try:
                    await warehouse.RecordPick(request, metadata=who)
                except FailedPrecondition as refusal:
                    if refusal.reason not in CALLED_BACK:
                        raise
            # What was missed in one bin is looked for in another.
            found = await warehouse.GetPickList(warehouse_service_pb2.GetPickListRequest(list_id=walk.list_id))
            left = list(found.picks)
