"""Carts: what a cart holds already counts as available to itself."""

from collections.abc import Awaitable, Callable

from argosy.inventory.v1 import reservations_service_pb2, stock_pb2, stock_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from services.inventory.store.tables import ITEMS
from tests.service.conftest import submit
from tests.service.stockroom import Stockroom, refused

STOCK = "/argosy.inventory.v1.StockService/"
RESERVATIONS = "/argosy.inventory.v1.ReservationsService/"


async def test_a_cart_with_an_item_on_two_lines_becomes_an_order(started: Callable[[str], Awaitable[Component]]) -> None:
    inventory = await started("inventory")
    place = stock_service_pb2.CreateLocationRequest(
        request_id=new_id(), location_id="BER", name="Berlin", kind=stock_pb2.LOCATION_KIND_WAREHOUSE, entity="DE01",
        country_code="DE", postal_prefix="101", currency_code="EUR",
    )  # fmt: skip
    await submit(inventory, f"{STOCK}CreateLocation", place)
    async with inventory.database.write() as tx:
        await tx.insert(ITEMS, [{"item_id": "mug", "sku": "MUG", "standard_cost_minor": 0, "retired": 0}])
    receipt = stock_service_pb2.ReceiveStockRequest(
        request_id=new_id(), location_id="BER", kind=stock_service_pb2.RECEIPT_KIND_PURCHASE, reference="PO-1",
        lines=[stock_service_pb2.ReceiptLine(item_id="mug", quantity=3, value_minor=900)],
    )  # fmt: skip
    await submit(inventory, f"{STOCK}ReceiveStock", receipt)
    lines = [
        reservations_service_pb2.ReservationLine(line_id=str(quantity), item_id="mug", location_id="BER", quantity=quantity)
        for quantity in (1, 2)
    ]
    hold = reservations_service_pb2.HoldCartRequest(request_id=new_id(), cart_id="cart", lines=lines, ttl_s=600)
    await submit(inventory, f"{RESERVATIONS}HoldCart", hold)
    # All three are held by the cart; both changing it and ordering it may use them.
    hold.request_id = new_id()
    await submit(inventory, f"{RESERVATIONS}HoldCart", hold)
    order = reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id="order", cart_id="cart", lines=lines)
    answer = await submit(inventory, f"{RESERVATIONS}Reserve", order)
    assert isinstance(answer, reservations_service_pb2.ReserveResponse)
    assert [one.reserved for one in answer.reservations] == [1, 2]


async def test_orders_of_a_wave_take_from_its_hold_what_they_want(room: Stockroom) -> None:
    await room.item("mug")
    await room.receive("mug", 10)

    def lines(quantity: int) -> list[reservations_service_pb2.ReservationLine]:
        return [reservations_service_pb2.ReservationLine(line_id="1", item_id="mug", location_id="BER", quantity=quantity)]

    async def reserve(order_id: str, quantity: int, cart_id: str = "") -> None:
        request = reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id=order_id, lines=lines(quantity), cart_id=cart_id)
        await room.calls.reservations.Reserve(request)

    hold = reservations_service_pb2.HoldCartRequest(
        request_id=new_id(), cart_id="wave-7", lines=lines(8), ttl_s=600, kind=stock_pb2.RESERVATION_KIND_WAVE
    )
    await room.calls.reservations.HoldCart(hold)
    await refused("INSUFFICIENT_STOCK", reserve("stranger", 3))
    await reserve("a", 3, "wave-7")
    assert await room.balances("mug") == {("", "AVAILABLE"): 2, ("", "SOFT_RESERVED"): 5, ("", "RESERVED"): 3}
    await reserve("b", 6, "wave-7")
    assert await room.balances("mug") == {("", "AVAILABLE"): 1, ("", "RESERVED"): 9}, "one more than the wave held comes from the rest"
    assert await room.breaks() == []
    again = reservations_service_pb2.HoldCartRequest(
        request_id=new_id(), cart_id="wave-8", lines=lines(1), kind=stock_pb2.RESERVATION_KIND_WAVE
    )
    await room.calls.reservations.HoldCart(again)
    await room.calls.reservations.CancelReservation(
        reservations_service_pb2.CancelReservationRequest(request_id=new_id(), owner_id="wave-8", reason="planned anew")
    )
    assert await room.balances("mug") == {("", "AVAILABLE"): 1, ("", "RESERVED"): 9}
    order = reservations_service_pb2.HoldCartRequest(
        request_id=new_id(), cart_id="x", lines=lines(1), kind=stock_pb2.RESERVATION_KIND_ORDER
    )
    await refused("INVALID_FIELD", room.calls.reservations.HoldCart(order))
