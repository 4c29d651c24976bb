"""What two replicas decide at one moment: each rule holds for both together, not for each."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import func, select, update

from argosy.catalog.v1 import items_service_pb2
from argosy.common.v1 import address_pb2
from argosy.fulfillment.v1 import fulfillment_events_pb2, fulfillment_service_pb2, parcels_service_pb2, warehouse_service_pb2
from argosy.gateway.v1 import access_service_pb2
from argosy.inventory.v1 import (
    counts_service_pb2,
    demands_service_pb2,
    lots_service_pb2,
    purchasing_service_pb2,
    reservations_service_pb2,
    stock_pb2,
    stock_service_pb2,
)
from argosy.ops.v1 import ops_pb2
from argosy.orders.v1 import offers_service_pb2, order_pb2, orders_events_pb2, orders_service_pb2
from argosy.returns.v1 import returns_events_pb2, returns_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.audit import seal, verify
from chassis.runtime.component import Component
from chassis.runtime.contracts import event_type
from chassis.runtime.host import wall_clock
from chassis.runtime.inbox import Received
from chassis.runtime.work import Cause, Work
from chassis.runtime.writer import Outcome
from gateway.store.tables import KEYS
from services.catalog.domain.item import Lifecycle
from services.fulfillment.store.bin_book import set_up
from services.fulfillment.store.warehouse import BIN_STOCK, BINS
from services.inventory.store.tables import COUNTS, LAYERS
from services.orders.app.apply_changes import apply_changes as apply_order_changes
from services.orders.app.on_fulfillment import on_delivered
from services.orders.process.messages import BookCancellation, BookShipment, Counts, KeepQuantities, LineCount
from services.orders.process.pay_refund import RefundTender
from services.orders.store.tables import OFFERS, SHIPMENTS
from services.returns.app.apply_changes import apply_changes
from services.returns.process.settle_return import KeepRefund
from tests.builders import order, publish_item
from tests.service.conftest import Pause, Replicas, call, submit
from tests.service.stockroom import Stockroom

CAUSE = Cause("test", "test", "test")
INVENTORY = "/argosy.inventory.v1."
AVERAGE, SERIAL, LOT = 2, 3, 2
Begin = Callable[[Component], Pause]
Room = tuple[Stockroom, Component]


async def meet(begins: Pause, first: Awaitable[Any], second: Awaitable[Any]) -> list[Any]:
    """Lets the second begin while the first has decided and not committed; returns what each answered."""
    one = asyncio.ensure_future(first)
    await begins.reached.wait()
    other = asyncio.ensure_future(second)
    # It has looked by then, or waits.
    await asyncio.wait({other}, timeout=0.5)
    begins.go.set()
    return list(await asyncio.gather(one, other))


def reasons(outcomes: list[Outcome]) -> list[str]:
    """Returns why each was refused; nothing of those that were not."""
    return [one.reason if isinstance(one, Refusal) else "" for one in outcomes]


def place(location_id: str) -> stock_service_pb2.CreateLocationRequest:
    return stock_service_pb2.CreateLocationRequest(
        request_id=new_id(), location_id=location_id, name=location_id, kind=stock_pb2.LOCATION_KIND_WAREHOUSE, entity="DE01",
        country_code="DE", currency_code="EUR",
    )  # fmt: skip


def goods(item_id: str, quantity: int, location_id: str = "BER", **line: Any) -> stock_service_pb2.ReceiveStockRequest:
    given = stock_service_pb2.ReceiptLine(item_id=item_id, quantity=quantity, value_minor=100 * quantity, **line)
    return stock_service_pb2.ReceiveStockRequest(
        request_id=new_id(), location_id=location_id, kind=stock_service_pb2.RECEIPT_KIND_PURCHASE, lines=[given]
    )


async def test_a_serial_number_comes_in_once(replicas: Room, pause: Begin) -> None:
    room, second = replicas
    await room.item("phone", tracking=SERIAL)
    await room.place("HAM")
    asks = [
        submit(component, f"{INVENTORY}StockService/ReceiveStock", goods("phone", 1, place, serials=["A"]))
        for component, place in ((room.component, "BER"), (second, "HAM"))
    ]
    assert reasons(await meet(pause(room.component), *asks)) == ["", "SERIAL_EXISTS"]
    assert await room.balances("phone") == {("A", "AVAILABLE"): 1}


async def test_what_comes_in_first_at_an_average_cost_is_one_pool(replicas: Room, pause: Begin) -> None:
    room, second = replicas
    await room.item("cup", valuation=AVERAGE)
    asks = [submit(one, f"{INVENTORY}StockService/ReceiveStock", goods("cup", 2)) for one in (room.component, second)]
    await meet(pause(room.component), *asks)
    async with room.component.database.read() as tx:
        layers = await tx.read(select(LAYERS.c.quantity_left, LAYERS.c.value_left_minor))
    assert [tuple(row) for row in layers] == [(4, 400)]
    assert not await room.breaks()


@pytest.mark.parametrize("goods_first", [True, False])
async def test_who_waits_has_what_comes_in_at_that_moment(replicas: Room, pause: Begin, *, goods_first: bool) -> None:
    room, second = replicas
    await room.item("cup")
    waits = demands_service_pb2.PlaceDemandRequest(
        request_id=new_id(), kind=demands_service_pb2.DEMAND_KIND_BACKORDER, owner_id="o-1", line_id="1", item_id="cup", location_id="BER",
        quantity=2,
    )  # fmt: skip
    asks = [(f"{INVENTORY}StockService/ReceiveStock", goods("cup", 3)), (f"{INVENTORY}DemandsService/PlaceDemand", waits)]
    one, other = asks if goods_first else reversed(asks)
    await meet(pause(room.component), submit(room.component, *one), submit(second, *other))
    assert await room.balances("cup") == {("", "RESERVED"): 2, ("", "AVAILABLE"): 1}


async def test_a_recall_finds_what_comes_in_where_the_lot_never_was(replicas: Room, pause: Begin) -> None:
    room, second = replicas
    await room.item("milk", tracking=LOT)
    await room.place("HAM")
    await room.receive("milk", 3, 300, lot="L")
    recall = lots_service_pb2.RecallLotRequest(request_id=new_id(), item_id="milk", lot="L", reason="salmonella")
    receive = submit(room.component, f"{INVENTORY}StockService/ReceiveStock", goods("milk", 2, "HAM", lot="L"))
    await meet(pause(room.component), receive, submit(second, f"{INVENTORY}LotsService/RecallLot", recall))
    assert await room.balances("milk") == {("L", "QUARANTINE"): 5}


async def test_a_cart_holds_its_stock_once(replicas: Room, pause: Begin) -> None:
    room, second = replicas
    await room.item("cup")
    await room.receive("cup", 9, 900)
    line = reservations_service_pb2.ReservationLine(line_id="1", item_id="cup", location_id="BER", quantity=3)
    asks = [
        submit(
            component, f"{INVENTORY}ReservationsService/HoldCart",
            reservations_service_pb2.HoldCartRequest(request_id=new_id(), cart_id="c", lines=[line]),
        )
        for component in (room.component, second)
    ]  # fmt: skip
    await meet(pause(room.component), *asks)
    assert (await room.balances("cup"))["", "SOFT_RESERVED"] == 3


async def test_a_dock_is_booked_once(replicas: Room, pause: Begin) -> None:
    room, second = replicas
    moment = to_timestamp(wall_clock())
    asks = [
        submit(
            component, f"{INVENTORY}PurchasingService/BookAppointment",
            purchasing_service_pb2.BookAppointmentRequest(request_id=new_id(), location_id="BER", dock="1", planned_at=moment),
        )
        for component in (room.component, second)
    ]  # fmt: skip
    assert reasons(await meet(pause(room.component), *asks)) == ["", "DOCK_TAKEN"]


async def test_an_item_is_counted_once(replicas: Room, pause: Begin) -> None:
    room, second = replicas
    await room.item("cup")
    asks = [
        submit(
            component, f"{INVENTORY}CountsService/CreateCount",
            counts_service_pb2.CreateCountRequest(request_id=new_id(), item_id="cup", location_id="BER", reason="look"),
        )
        for component in (room.component, second)
    ]  # fmt: skip
    await meet(pause(room.component), *asks)
    async with room.component.database.read() as tx:
        assert (await tx.read(select(func.count()).select_from(COUNTS)))[0][0] == 1


async def test_a_location_is_set_up_once_and_the_other_is_told(replicas: Room, pause: Begin) -> None:
    room, second = replicas
    asks = [submit(component, f"{INVENTORY}StockService/CreateLocation", place("HAM")) for component in (room.component, second)]
    assert reasons(await meet(pause(room.component), *asks)) == ["", "LOCATION_EXISTS"]


async def test_small_orders_from_one_supplier_weigh_together(replicas: Room, pause: Begin) -> None:
    room, second = replicas
    await room.item("cup")
    purchasing = purchasing_service_pb2
    await room.calls.purchasing.SetSupplier(
        purchasing.SetSupplierRequest(request_id=new_id(), supplier_id="S", name="S", currency_code="EUR", country_code="PT")
    )
    line = purchasing.PurchaseLineInput(item_id="cup", quantity=300, unit_cost_millionths=1_000_000_000)
    made = [
        await room.calls.purchasing.CreatePurchaseOrder(
            purchasing.CreatePurchaseOrderRequest(request_id=new_id(), supplier_id="S", location_id="BER", lines=[line])
        )
        for _ in range(2)
    ]
    # 3,000.00 each, where one person may approve 5,000.00.
    asks = [
        submit(
            component, f"{INVENTORY}PurchasingService/ApprovePurchaseOrder",
            purchasing.ApprovePurchaseOrderRequest(request_id=new_id(), purchase_order_id=one.purchase_order_id, etag=one.etag),
        )
        for component, one in zip((room.component, second), made, strict=True)
    ]  # fmt: skip
    assert [bool(one.approval_id) for one in await meet(pause(room.component), *asks)] == [False, True]


async def wish(component: Component) -> Any:
    """Asks to send back the two that were shipped of an order."""
    placed = order_pb2.Order(
        order_id="o-1", channel_id="web", currency_code="EUR",
        lines=[order_pb2.OrderLine(line_id="1", item_id="cup", sku="CUP", units=1, shipped=2, shipped_at=to_timestamp(wall_clock()))],
    )  # fmt: skip
    line = returns_service_pb2.ReturnLineInput(line_id="1", quantity=2, reason="NOT_AS_EXPECTED")
    request = returns_service_pb2.AuthorizeReturnRequest(request_id=new_id(), order_id="o-1", location_id="BER", lines=[line])
    asked = call(component, "/argosy.returns.v1.ReturnsService/AuthorizeReturn", request)
    asked.context = placed
    return (await component.writer.submit([asked]))[0]


async def test_no_more_comes_back_than_was_shipped(twice: Replicas, pause: Begin) -> None:
    first, second = await twice.start("returns")
    one, other = await meet(pause(first), wish(first), wish(second))
    assert [returns_service_pb2.ReturnStatus.Name(found.status) for found in (one, other)] == [
        "RETURN_STATUS_AUTHORIZED", "RETURN_STATUS_DECLINED",
    ]  # fmt: skip

    # What is judged while a refund is written stays judged.
    rpc = "/argosy.returns.v1.ReturnsService/"
    count = [returns_service_pb2.ReceivedLine(line_id="1", quantity=2)]
    await submit(
        first, f"{rpc}ReceiveReturn", returns_service_pb2.ReceiveReturnRequest(request_id=new_id(), return_id=one.return_id, lines=count)
    )
    judged = [returns_service_pb2.InspectedLine(line_id="1", quantity=2, disposition=returns_service_pb2.DISPOSITION_RESTOCK)]
    inspect = returns_service_pb2.InspectReturnRequest(request_id=new_id(), return_id=one.return_id, lines=judged)

    async def keep(work: Work) -> None:
        work.causes[one.return_id] = work.cause
        await apply_changes(work, [(one.return_id, KeepRefund(500))])

    written = second.writer.run(keep, Cause("process:settle_return", "test", "test"))
    inspected, _ = await meet(pause(first), submit(first, f"{rpc}InspectReturn", inspect), written)
    found = await twice.calls.returns.GetReturn(returns_service_pb2.GetReturnRequest(return_id=one.return_id))
    assert (found.status, found.refund_minor) == (inspected.status, 500)


async def test_an_offer_is_answered_once(twice: Replicas, pause: Begin) -> None:
    first, second = await twice.start("orders")
    placed = await twice.calls.orders.CreateOrder(order("W-1", 2))
    row = {
        "offer_id": "f-1", "order_id": placed.order_id, "line_id": placed.lines[0].line_id, "channel_sku_before": "MUG-1",
        "quantity_before": 2, "amount_before_minor": 2000, "channel_sku": "MUG-2", "item_id": "mug-2", "quantity": 2, "amount_minor": 2000,
        "tax_minor": -1, "status": offers_service_pb2.OFFER_STATUS_OPEN, "otherwise": offers_service_pb2.OFFER_OTHERWISE_WAIT,
        "answer_by": wall_clock() + 10**9, "offered_by": "test", "offered_at": 1, "ended_at": None, "ended_by": "", "outcome": "",
    }  # fmt: skip
    async with first.database.write() as tx:
        await tx.insert(OFFERS, [row])
    rpc = "/argosy.orders.v1.OffersService/"
    declined = submit(first, f"{rpc}AnswerOffer", offers_service_pb2.AnswerOfferRequest(request_id=new_id(), offer_id="f-1"))
    withdrawn = offers_service_pb2.WithdrawOfferRequest(request_id=new_id(), offer_id="f-1", reason="found some")
    outcomes = await meet(pause(first), declined, submit(second, f"{rpc}WithdrawOffer", withdrawn))
    assert reasons(outcomes) == ["", "OFFER_ENDED"]


async def test_of_two_items_that_are_merged_into_each_other_one_stays(twice: Replicas, pause: Begin) -> None:
    first, second = await twice.start("catalog")
    cup, mug = [await publish_item(twice.calls, sku) for sku in ("CUP", "MUG")]
    asks = [
        submit(
            component, "/argosy.catalog.v1.ItemsService/MergeItem",
            items_service_pb2.MergeItemRequest(request_id=new_id(), item_id=one, into_item_id=other, reason="the same"),
        )
        for component, one, other in ((first, cup, mug), (second, mug, cup))
    ]  # fmt: skip
    outcomes = await meet(pause(first), *asks)
    assert [one.lifecycle == Lifecycle.RETIRED if not isinstance(one, Refusal) else one.reason for one in outcomes] == [
        True,
        "NOT_PUBLISHED",
    ]


async def test_a_bin_is_not_filled_by_two_items_at_once(twice: Replicas, pause: Begin) -> None:
    first, second = await twice.start("fulfillment")

    async def prepare(work: Work) -> None:
        await set_up(work, ["BER"])
        await work.tx.insert(
            BINS, [{"location_id": "BER", "bin": "A-1", "zone": "", "kind": 1, "position": 1, "most_units": 5, "blocked": 0}]
        )
        stock = [{"location_id": "BER", "item_id": item_id, "bin": "DOCK", "lot": "", "quantity": 4} for item_id in ("cup", "mug")]
        await work.tx.insert(BIN_STOCK, stock)

    await first.writer.run(prepare, CAUSE)
    asks = [
        submit(
            component, "/argosy.fulfillment.v1.WarehouseService/MoveBinStock",
            warehouse_service_pb2.MoveBinStockRequest(request_id=new_id(), location_id="BER", item_id=item_id, quantity=4, to_bin="A-1"),
        )
        for component, item_id in ((first, "cup"), (second, "mug"))
    ]  # fmt: skip
    assert reasons(await meet(pause(first), *asks)) == ["", "BIN_FULL"]


async def test_what_was_quoted_for_a_parcel_is_taken_up_by_one_bill(twice: Replicas, pause: Begin) -> None:
    first, second = await twice.start("fulfillment")
    rate = fulfillment_service_pb2.SetRateRequest(
        request_id=new_id(), carrier="PARCELCO", service="standard", base_minor=300, per_kg_minor=100, currency_code="EUR"
    )
    await twice.calls.fulfillment.SetRate(rate)
    rpc = "/argosy.fulfillment.v1."
    line = fulfillment_service_pb2.ReleaseLine(line_id="1", item_id="cup", location_id="BER", quantity=1)
    release = fulfillment_service_pb2.ReleaseOrderRequest(
        request_id=new_id(), order_id="o-1", channel_id="web", entity="DE01", currency_code="EUR", lines=[line],
        destination=address_pb2.Destination(country_code="DE"),
    )  # fmt: skip
    released: Any = await submit(first, f"{rpc}FulfillmentService/ReleaseOrder", release)
    ship = fulfillment_service_pb2.ConfirmShipmentRequest(
        request_id=new_id(), fulfillment_order_id=released.fulfillment_orders[0].fulfillment_order_id, tracking_number="T-1"
    )
    await submit(first, f"{rpc}FulfillmentService/ConfirmShipment", ship)
    asks = [
        submit(
            component, f"{rpc}ParcelsService/RecordCarrierBill",
            parcels_service_pb2.RecordCarrierBillRequest(
                request_id=new_id(), carrier="PARCELCO", bill_number=number, currency_code="EUR",
                lines=[parcels_service_pb2.CarrierBillLine(line_id="1", tracking_number="T-1", amount_minor=350)],
            ),
        )
        for component, number in ((first, "B-1"), (second, "B-2"))
    ]  # fmt: skip
    bills = await meet(pause(first), *asks)
    assert [one.charges[0].quoted_minor for one in bills] == [300, 0]


async def test_an_event_that_comes_to_two_counts_once(replicas: Room) -> None:
    room, second = replicas
    await room.item("cup")
    message = returns_events_pb2.ReturnAuthorized(return_id="r-1", order_id="o-1", channel_id="web", location_id="BER")
    message.lines.add(line_id="1", item_id="cup", quantity=2, stock_quantity=2)
    kind = event_type(type(message))
    record = ops_pb2.EventRecord(
        event_id=new_id(), type=kind.name, aggregate=kind.aggregate, aggregate_id="r-1", sequence=1, payload=message.SerializeToString(),
        occurred_at=to_timestamp(wall_clock()),
    )  # fmt: skip
    begins, keep = Pause(), room.component.inbox._park

    async def slowly(work: Work, producer: str, records: Any) -> None:
        begins.reached.set()
        await begins.go.wait()
        await keep(work, producer, records)

    room.component.inbox._park = slowly  # type: ignore[method-assign]
    await meet(begins, *(one.inbox.apply("returns", [record]) for one in (room.component, second)))
    assert await room.balances("cup") == {("", "RETURN_PENDING"): 2}


async def test_the_last_parcel_arrives_while_the_rest_of_its_order_is_cancelled(twice: Replicas) -> None:
    first, second = await twice.start("orders")
    placed = await twice.calls.orders.CreateOrder(order("W-1", 2))
    (line,) = placed.lines
    parcel = {"shipment_id": "s-1", "order_id": placed.order_id}
    begins = Pause()

    async def change(work: Work, *changes: Any) -> None:
        work.causes[placed.order_id] = work.cause
        await apply_order_changes(work, [(placed.order_id, one) for one in changes])

    async def ship(work: Work) -> None:
        await work.tx.insert(SHIPMENTS, [{**parcel, "delivered": 0}])
        left = KeepQuantities({line.line_id: Counts(waiting=1, reserved=0, released=0, shipped=1, cancelled=0, backordered=0)})
        await change(work, BookShipment("s-1", [LineCount(line.line_id, 1)]), left)

    async def cancel(work: Work) -> None:
        await change(work, BookCancellation([LineCount(line.line_id, 1)], "not wanted"))
        begins.reached.set()
        await begins.go.wait()

    async def arrive(work: Work) -> None:
        event = Received(new_id(), fulfillment_events_pb2.ShipmentDelivered(**parcel), work.now, work.cause)
        await on_delivered(work, [event])

    await first.writer.run(ship, CAUSE)
    await meet(begins, first.writer.run(cancel, CAUSE), second.writer.run(arrive, CAUSE))
    found = await twice.calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=placed.order_id))
    assert found.status == order_pb2.ORDER_STATUS_DELIVERED


async def test_what_two_asked_is_answered_once(twice: Replicas) -> None:
    first, second = await twice.start("orders")
    placed = await twice.calls.orders.CreateOrder(order("W-1", 2))

    async def cancel(work: Work) -> None:
        work.causes[placed.order_id] = work.cause
        await apply_order_changes(work, [(placed.order_id, BookCancellation([LineCount(placed.lines[0].line_id, 2)], "not wanted"))])

    await first.writer.run(cancel, CAUSE)
    # Both have read what is to be asked before either has an answer.
    both = [Pause(), Pause()]
    for component, waits in zip((first, second), both, strict=True):

        async def ask(name: str, perform: Any, asked: Any, waits: Pause = waits, before: Any = component.executor._ask_traced) -> Any:
            waits.reached.set()
            await waits.go.wait()
            return await before(name, perform, asked)

        component.executor._ask_traced = ask  # type: ignore[method-assign]
    tasks = [asyncio.ensure_future(component.executor.perform(RefundTender.__name__)) for component in (first, second)]
    for waits in both:
        await waits.reached.wait()
        waits.go.set()
    await asyncio.gather(*tasks)
    found = await twice.calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=placed.order_id))
    assert found.tenders[0].refunded_minor == found.refunded_minor == 2500
    outbox = first.service.tables.outbox
    async with first.database.read() as tx:
        paid = await tx.read(select(outbox).where(outbox.c.type == event_type(orders_events_pb2.DepositRefunded).name))
    assert len(paid) == 1


async def test_a_timer_that_is_taken_back_at_that_moment_does_not_go_off(twice: Replicas) -> None:
    first, second = await twice.start("returns")
    return_id, timers = (await wish(first)).return_id, first.service.tables.timers
    async with first.database.write() as tx:
        await tx.write(update(timers).values(due_at=1))
    fired: list[Any] = []

    async def fire(work: Work) -> None:
        await second._fire(work)
        fired.extend(work.deliveries)

    begins, advance = Pause(), first.writer._runner.advance

    async def slowly(work: Work) -> None:
        await advance(work)
        await work.tx.read(select(timers))
        begins.reached.set()
        await begins.go.wait()

    first.writer._runner.advance = slowly  # type: ignore[method-assign]
    cancel = returns_service_pb2.CancelReturnRequest(request_id=new_id(), return_id=return_id)
    cancelled = submit(first, "/argosy.returns.v1.ReturnsService/CancelReturn", cancel)
    await meet(begins, cancelled, second.writer.run(fire, Cause("service", "timers", "timers")))
    assert not fired


async def test_a_session_that_begins_while_its_person_is_sent_away_ends(twice: Replicas, pause: Begin) -> None:
    first, second = await twice.start("gateway")

    async def ask(component: Component, rpc: str, context: str | None = None, **values: Any) -> Outcome:
        asked = call(component, f"/argosy.gateway.v1.AccessService/{rpc}", getattr(access_service_pb2, f"{rpc}Request")(**values))
        asked.context, asked.cause = context, Cause("service:gateway", "test", "test")
        return (await component.writer.submit([asked]))[0]

    person = {"user_id": "ada", "role": access_service_pb2.ROLE_ADMIN}
    await ask(first, "SetUser", "a hash", request_id=new_id(), **person)
    opens = ask(first, "OpenSession", request_id=new_id(), user_id="ada")
    goes = ask(second, "SetUser", "", request_id=new_id(), disabled=True, **person)
    assert reasons(await meet(pause(first), opens, goes)) == ["", ""]
    async with second.database.read() as tx:
        (session,) = await tx.read(select(KEYS.c.revoked_at).where(KEYS.c.account == "ada"))
    assert session.revoked_at is not None


async def test_two_who_seal_make_one_chain(replicas: Room) -> None:
    room, second = replicas
    begins = Pause()

    async def seal_slowly(work: Work) -> None:
        await seal(work)
        begins.reached.set()
        await begins.go.wait()

    async def seal_earlier() -> None:
        # Its clock is behind: what it wrote stands before what the other seals.
        row = {"audit_id": "0", "at": 1, "actor": "a", "action": "b", "subject_type": "", "subject_id": "", "reason": "", "detail": ""}
        async with second.database.write() as tx:
            await tx.insert(second.service.tables.audit_rows, [row])
        await second.writer.run(seal, CAUSE)

    await meet(begins, room.component.writer.run(seal_slowly, CAUSE), seal_earlier())
    async with second.database.read() as tx:
        chain = await verify(tx, second.service.tables)
    assert (chain.broken, chain.unsealed, chain.rows) == ("", 0, 2)
