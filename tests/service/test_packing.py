"""Parcels that wait at their location while the order changes: who holds what is not wanted is asked to open it, and nobody else."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from argosy.common.v1 import address_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2, parcels_service_pb2
from argosy.ops.v1 import holds_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from chassis.runtime.work import Cause, Work
from gateway.calls import Calls
from services.fulfillment.app.parcels.packing import LABEL_FAILED
from tests.service.conftest import Bench
from tests.service.stockroom import Stockroom

RELEASED = [("A", "BER", 2), ("B", "BER", 1), ("A", "HAM", 2), ("B", "HAM", 1)]


class Packers(NamedTuple):
    """An order of four of A and two of B, half of it in Berlin and half in Hamburg."""

    component: Component
    calls: Calls
    orders: dict[str, fulfillment_pb2.FulfillmentOrder]

    async def pack(self, place: str, line_id: str, quantity: int) -> str:
        """Packs some of a line and returns the parcel."""
        request = parcels_service_pb2.PackParcelRequest(
            request_id=new_id(), fulfillment_order_id=self.orders[place].fulfillment_order_id,
            lines=[fulfillment_pb2.ParcelLine(line_id=line_id, quantity=quantity)],
        )  # fmt: skip
        return (await self.calls.parcels.PackParcel(request)).parcel_id

    async def recall(self, **lines: int) -> None:
        """Calls some of the order back, where it is."""
        counts = [fulfillment_pb2.ParcelLine(line_id=line_id, quantity=quantity) for line_id, quantity in lines.items()]
        request = fulfillment_service_pb2.RecallOrderRequest(request_id=new_id(), order_id="O", lines=counts, reason="cancelled")
        await self.calls.fulfillment.RecallOrder(request)

    async def held(self) -> list[tuple[str, str]]:
        """Returns (reason, parcel) of the open holds."""
        asked = holds_service_pb2.ListHoldsRequest(service="fulfillment")
        found = (await self.calls.holds("fulfillment").ListHolds(asked)).holds
        return sorted((one.reason, one.subject_id) for one in found)


@pytest.fixture
async def packers(bench: Bench, room: Stockroom, started: Callable[[str], Awaitable[Component]]) -> Packers:
    """The order is with both."""
    found = Packers(await started("fulfillment"), Calls(bench.channels), {})
    await room.place("HAM")
    lines = [
        fulfillment_service_pb2.ReleaseLine(line_id=line_id, item_id=line_id, sku=line_id, location_id=place, quantity=quantity, weight_g=9)
        for line_id, place, quantity in RELEASED
    ]
    release = fulfillment_service_pb2.ReleaseOrderRequest(
        request_id=new_id(), order_id="O", channel_id="web", entity="DE01", currency_code="EUR", lines=lines,
        destination=address_pb2.Destination(country_code="DE", postal_prefix="101"),
    )  # fmt: skip
    orders = (await found.calls.fulfillment.ReleaseOrder(release)).fulfillment_orders
    found.orders.update({one.location_id: one for one in orders})
    return found


async def test_only_a_parcel_that_holds_what_was_called_back_is_opened(packers: Packers) -> None:
    both = [await packers.pack(place, "A", 2) for place in ("BER", "HAM")]
    other = await packers.pack("BER", "B", 1)
    await packers.recall(B=2)
    assert await packers.held() == [("PARCEL_NOT_WANTED", other)]
    # Whoever has less of a line is asked, whatever is left of it elsewhere.
    await packers.recall(A=2)
    gone = [one for one in await packers.held() if one[1] in both]
    assert len(gone) == 1
    await packers.recall(A=2)
    assert await packers.held() == sorted(("PARCEL_NOT_WANTED", one) for one in (*both, other))


async def test_what_left_is_no_matter_of_its_parcel_any_more(packers: Packers) -> None:
    parcel_id = await packers.pack("BER", "A", 2)

    async def carrier_said_no(work: Work) -> None:
        work.hold(LABEL_FAILED, "parcel", parcel_id, "no such street")

    await packers.component.writer.run(carrier_said_no, Cause("carrier", "test", new_id()))
    assert await packers.held() == [("LABEL_FAILED", parcel_id)]
    ship = fulfillment_service_pb2.ConfirmShipmentRequest(
        request_id=new_id(), fulfillment_order_id=packers.orders["BER"].fulfillment_order_id, parcel_id=parcel_id
    )
    await packers.calls.fulfillment.ConfirmShipment(ship)
    assert await packers.held() == []
