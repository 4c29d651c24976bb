"""Parcels in the whole suite: packed, labelled, declared, shipped, handed over, followed, billed; each exactly once."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from argosy.common.v1 import address_pb2
from argosy.finance.v1 import finance_service_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2, parcels_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.clock import SECOND, to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.host import wall_clock
from chassis.runtime.settings import Settings
from chassis.runtime.work import Cause
from gateway.app.prove import prove
from gateway.calls import Calls
from services.fulfillment.app import confirm_shipment
from services.fulfillment.app.parcels import bills
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, publish_item, receive, ship_all, until_released, until_status
from tests.listener import listening
from tests.service.stockroom import refused
from tests.suite.carrier_simulator import KEY, Carriers

BOUGHT, FAILED, VOIDED = (
    parcels_service_pb2.LABEL_STATUS_BOUGHT, parcels_service_pb2.LABEL_STATUS_FAILED, parcels_service_pb2.LABEL_STATUS_VOIDED,
)  # fmt: skip


@pytest.fixture
async def carriers(sqlite_settings: Settings) -> AsyncIterator[Carriers]:
    """A provider of labels that the suite asks."""
    found = Carriers()
    async with listening(found.app()) as url:
        sqlite_settings.carrier_url, sqlite_settings.carrier_secret = url, KEY
        yield found


async def set_up(calls: Calls, country: str = "DE", tax_id: str = "DE123456789") -> None:
    """Sets an origin and two cartons."""
    address = address_pb2.Address(name="Harbour GmbH", lines=["Quay 1"], locality="Berlin", postal_code="10115", country_code=country)
    origin = parcels_service_pb2.SetOriginRequest(request_id=new_id(), location_id="BER", address=address, tax_id=tax_id)
    await calls.parcels.SetOrigin(origin)
    for name, size in (("S", (200, 150, 100)), ("L", (400, 300, 200))):
        await calls.parcels.SetCarton(
            parcels_service_pb2.SetCartonRequest(
                request_id=new_id(), carton=name, length_mm=size[0], width_mm=size[1], height_mm=size[2], most_weight_g=10_000, tare_g=100
            )
        )


async def place(calls: Calls, number: str, quantity: int = 1, **values: Any) -> tuple[str, fulfillment_pb2.FulfillmentOrder]:
    placed = await calls.orders.CreateOrder(order(number, quantity, **values))
    (own,) = await until_released(calls, placed.order_id)
    return placed.order_id, own


async def pack(calls: Calls, own: fulfillment_pb2.FulfillmentOrder, **values: Any) -> parcels_service_pb2.Parcel:
    request = parcels_service_pb2.PackParcelRequest(request_id=new_id(), fulfillment_order_id=own.fulfillment_order_id, **values)
    return await calls.parcels.PackParcel(request)


async def buy(calls: Calls, parcel_id: str, **values: Any) -> None:
    await calls.parcels.BuyLabel(parcels_service_pb2.BuyLabelRequest(request_id=new_id(), parcel_id=parcel_id, **values))


async def until_label(calls: Calls, parcel_id: str, status: int) -> parcels_service_pb2.Parcel:
    async def look() -> parcels_service_pb2.Parcel | None:
        found = await calls.parcels.GetParcel(parcels_service_pb2.GetParcelRequest(parcel_id=parcel_id))
        return found if found.label_status == status else None

    return await eventually(look)  # type: ignore[no-any-return]


async def ship(calls: Calls, parcel: parcels_service_pb2.Parcel) -> fulfillment_pb2.Shipment:
    request = fulfillment_service_pb2.ConfirmShipmentRequest(
        request_id=new_id(), fulfillment_order_id=parcel.fulfillment_order_id, parcel_id=parcel.parcel_id
    )
    return await calls.fulfillment.ConfirmShipment(request)


async def holds(calls: Calls) -> dict[str, str]:
    """Returns what is held, by reason."""
    found = await calls.holds("fulfillment").ListHolds(holds_service_pb2.ListHoldsRequest(service="fulfillment"))
    return {one.reason: one.subject_id for one in found.holds}


async def test_a_parcel_is_packed_labelled_shipped_handed_over_followed_and_billed(sqlite_settings: Settings, carriers: Carriers) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        big = await publish_item(calls, "POT-1", length_mm=180, width_mm=140, height_mm=90, weight_g=2_000)
        await receive(calls, big, "BER", 10, 4_000)
        await set_up(calls)
        order_id, own = await place(calls, "P-1", 3, sku="POT-1")
        asked = parcels_service_pb2.SuggestCartonsRequest(fulfillment_order_id=own.fulfillment_order_id)
        (advice,) = (await calls.parcels.SuggestCartons(asked)).parcels
        assert (advice.carton, advice.lines[0].quantity, advice.weight_g) == ("L", 3, 6_100)
        await refused("WEIGHT_DIFFERS", pack(calls, own, carton="L", weight_g=8_000))
        first = await pack(calls, own, carton="L", lines=[{"line_id": own.lines[0].line_id, "quantity": 2}], weight_g=4_120)
        second = await pack(calls, own, carton="S")
        assert (first.computed_weight_g, second.lines[0].quantity) == (4_100, 1)
        await refused("NOTHING_LEFT", pack(calls, own, carton="S"))

        # It is bought, and nobody says so; asked again, it is found.
        carriers.moods = ["away", "", "done, not said"]
        await buy(calls, first.parcel_id)
        await refused("LABEL_PENDING", ship(calls, first))
        first = await until_label(calls, first.parcel_id, BOUGHT)
        assert (first.carrier, first.service, first.freight_minor, first.currency_code) == ("USPS", "GroundAdvantage", 820, "EUR")
        assert len(carriers.bought) == 1 and first.tracking_number == "94000001" and first.label_url.endswith(".png")
        told = carriers.shipments[carriers.bought[0].split("/")[0]]
        assert (told["to_address"]["zip"], told["from_address"]["street1"], told["parcel"]["weight"]) == ("10115", "Quay 1", "145.3")

        # The second is bought at a carrier that was named, given back, and bought again.
        await buy(calls, second.parcel_id, carrier="UPS")
        second = await until_label(calls, second.parcel_id, BOUGHT)
        await refused(
            "HAS_LABEL",
            calls.parcels.UnpackParcel(parcels_service_pb2.UnpackParcelRequest(request_id=new_id(), parcel_id=second.parcel_id)),
        )
        carriers.moods = ["done, not said"]
        await calls.parcels.VoidLabel(parcels_service_pb2.VoidLabelRequest(request_id=new_id(), parcel_id=second.parcel_id))
        second = await until_label(calls, second.parcel_id, VOIDED)
        assert second.tracking_number == ""
        await buy(calls, second.parcel_id, carrier="USPS", service="Priority")
        await until_label(calls, second.parcel_id, BOUGHT)
        assert len(carriers.bought) == 3

        # What is packed leaves as the parcel that it is in.
        unnamed = fulfillment_service_pb2.ConfirmShipmentRequest(request_id=new_id(), fulfillment_order_id=first.fulfillment_order_id)
        assert "say which parcel left" in (await refused("PACKED_ALREADY", calls.fulfillment.ConfirmShipment(unnamed))).message
        left = await ship(calls, first)
        await ship(calls, second)
        await refused("WRONG_STATUS", ship(calls, second))
        assert (left.carrier, left.tracking_number, left.freight_minor) == ("USPS", "94000001", 820)
        await until_status(calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)
        await _handed_over(calls, carriers)
        await _followed(calls, order_id, left)
        await _billed(calls, left)
        assert (await prove(suite.channels, settled=True)).breaks == []


async def until_form(calls: Calls, manifest_id: str, status: int) -> parcels_service_pb2.Manifest:
    async def look() -> parcels_service_pb2.Manifest | None:
        found = await calls.parcels.GetManifest(parcels_service_pb2.GetManifestRequest(manifest_id=manifest_id))
        return found if found.form_status == status else None

    return await eventually(look)  # type: ignore[no-any-return]


async def _handed_over(calls: Calls, carriers: Carriers) -> None:
    close = parcels_service_pb2.CloseManifestRequest(request_id=new_id(), location_id="BER", carrier="USPS", with_form=True)
    carriers.moods = ["away", "slow", "done, not said"]
    manifest = await calls.parcels.CloseManifest(close)
    assert (manifest.parcels, manifest.weight_g, [one.service for one in manifest.lines]) == (2, 6_220, ["GroundAdvantage", "Priority"])
    manifest = await until_form(calls, manifest.manifest_id, parcels_service_pb2.FORM_STATUS_MADE)
    assert manifest.form_url == "https://labels.example/sf_1.pdf"
    assert len(carriers.forms) == 1
    close.request_id = new_id()
    await refused("NOTHING_TO_HAND_OVER", calls.parcels.CloseManifest(close))


async def _followed(calls: Calls, order_id: str, left: fulfillment_pb2.Shipment) -> None:
    now = wall_clock()
    events = [
        fulfillment_service_pb2.TrackingEvent(status=status, occurred_at=to_timestamp(now + after * SECOND), place="Berlin")
        for status, after in (("OUT_FOR_DELIVERY", 3), ("PRE_TRANSIT", 1), ("DELIVERED", 4), ("IN_TRANSIT", 2))
    ]
    record = fulfillment_service_pb2.RecordTrackingRequest(
        request_id=new_id(), tracking_number=left.tracking_number, carrier="usps", events=events
    )
    found = await calls.fulfillment.RecordTracking(record)
    assert (found.tracking_status, found.shipment_id) == ("DELIVERED", left.shipment_id)
    record.request_id = new_id()
    del record.events[2]
    assert (await calls.fulfillment.RecordTracking(record)).tracking_status == "DELIVERED"
    listed = await calls.fulfillment.ListTracking(fulfillment_service_pb2.ListTrackingRequest(shipment_id=left.shipment_id))
    assert [one.status for one in listed.events] == ["PRE_TRANSIT", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"]
    history = await calls.orders.ListHistory(orders_service_pb2.ListHistoryRequest(order_id=order_id))
    assert history.entries


async def _billed(calls: Calls, left: fulfillment_pb2.Shipment) -> None:
    line = parcels_service_pb2.CarrierBillLine
    request = parcels_service_pb2.RecordCarrierBillRequest(
        request_id=new_id(), carrier="USPS", bill_number="B-1", currency_code="EUR",
        lines=[
            line(line_id="1", tracking_number=left.tracking_number, amount_minor=900),
            line(line_id="2", tracking_number=left.tracking_number, amount_minor=50),
            line(line_id="3", tracking_number=left.tracking_number, amount_minor=-30),
            line(line_id="4", tracking_number="nobody's", amount_minor=100),
        ],
    )  # fmt: skip
    bill = await calls.parcels.RecordCarrierBill(request)
    assert [(one.quoted_minor, one.billed_minor) for one in bill.charges] == [(820, 900), (0, 50), (0, -30)]
    assert list(bill.unknown) == ["4"] and "UNKNOWN_PARCEL" in await holds(calls)
    request.request_id = new_id()
    again = await calls.parcels.RecordCarrierBill(request)
    assert len(again.charges) == 3
    figures = await calls.parcels.GetFreightFigures(parcels_service_pb2.GetFreightFiguresRequest())
    (own,) = figures.carriers
    assert (own.carrier, own.charges, own.quoted_minor, own.billed_minor, own.dearer) == ("USPS", 3, 820, 920, 2)

    async def booked() -> dict[str, int] | None:
        trial = await calls.finance.GetTrialBalance(finance_service_pb2.GetTrialBalanceRequest())
        found = {one.account: one.debit_minor - one.credit_minor for one in trial.rows}
        return found if found.get("2330") == -920 else None

    balances = await eventually(booked)
    # The other parcel's 11.01 is still accrued; this one cost a euro more than was quoted.
    assert (balances["2310"], balances["5100"]) == (-1101, 1101 + 920)


async def test_what_is_billed_before_its_parcel_left_is_booked_when_it_does(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        line = parcels_service_pb2.CarrierBillLine

        async def bill(number: str, currency_code: str) -> parcels_service_pb2.CarrierBill:
            request = parcels_service_pb2.RecordCarrierBillRequest(
                request_id=new_id(), carrier="PARCELCO", bill_number=number, currency_code=currency_code,
                lines=[
                    line(line_id="1", tracking_number="T-1", amount_minor=900), line(line_id="2", tracking_number="T-1", amount_minor=-30),
                    line(line_id="3", tracking_number="T-9", amount_minor=100),
                ],
            )  # fmt: skip
            return await calls.parcels.RecordCarrierBill(request)

        async def held() -> Counter[str]:
            found = await calls.holds("fulfillment").ListHolds(holds_service_pb2.ListHoldsRequest(service="fulfillment"))
            return Counter(one.reason for one in found.holds)

        # What is said again is neither kept nor held again.
        for number, currency_code in (("B-1", "EUR"), ("B-1", "EUR"), ("B-2", "USD")):
            answer = await bill(number, currency_code)
            assert (list(answer.unknown), list(answer.other_currency), list(answer.charges)) == (["1", "2", "3"], [], [])
        assert await held() == {"UNKNOWN_PARCEL": 6}
        order_id, own = await place(calls, "B-1")
        left = await calls.fulfillment.ConfirmShipment(
            fulfillment_service_pb2.ConfirmShipmentRequest(
                request_id=new_id(), fulfillment_order_id=own.fulfillment_order_id, carrier="PARCELCO", tracking_number="T-1"
            )
        )
        listed = await calls.parcels.ListFreightCharges(parcels_service_pb2.ListFreightChargesRequest())
        charges = sorted((one.shipment_id, one.bill_number, one.quoted_minor, one.billed_minor) for one in listed.charges)
        quoted = left.freight_minor
        assert quoted and charges == [(left.shipment_id, "B-1", 0, -30), (left.shipment_id, "B-1", quoted, 900)]
        # The bill in another currency is held once, and its lines can be recorded in the one that was quoted.
        assert await held() == {"UNKNOWN_PARCEL": 2, "BILLED_IN_OTHER_CURRENCY": 1}
        assert list((await bill("B-2", "USD")).other_currency) == ["1", "2"]
        assert await held() == {"UNKNOWN_PARCEL": 2, "BILLED_IN_OTHER_CURRENCY": 1}
        assert [one.billed_minor for one in (await bill("B-2", "EUR")).charges] == [900, -30]
        # What was booked is booked, whatever is said of it later.
        again = await bill("B-2", "USD")
        assert (list(again.other_currency), [one.currency_code for one in again.charges]) == ([], ["EUR", "EUR"])
        await until_status(calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert not (await prove(suite.channels)).breaks


async def test_what_is_billed_in_the_moment_in_which_it_leaves_is_booked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sees_nothing(*_: Any) -> None:
        """Another replica's transaction, which began before the bill was recorded."""

    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        line = parcels_service_pb2.CarrierBillLine
        lines = [line(line_id="1", tracking_number="T-1", amount_minor=900), line(line_id="2", tracking_number="T-9", amount_minor=100)]
        answer = await calls.parcels.RecordCarrierBill(
            parcels_service_pb2.RecordCarrierBillRequest(
                request_id=new_id(), carrier="PARCELCO", bill_number="B-1", currency_code="EUR", lines=lines
            )
        )
        assert list(answer.unknown) == ["1", "2"]
        _, own = await place(calls, "B-1")
        with monkeypatch.context() as patch:
            patch.setattr(confirm_shipment, "book_early_charges", sees_nothing)
            left = await calls.fulfillment.ConfirmShipment(
                fulfillment_service_pb2.ConfirmShipmentRequest(
                    request_id=new_id(), fulfillment_order_id=own.fulfillment_order_id, carrier="PARCELCO", tracking_number="T-1"
                )
            )
        every = parcels_service_pb2.ListFreightChargesRequest()
        assert not (await calls.parcels.ListFreightCharges(every)).charges
        for _ in range(2):
            await suite.running["fulfillment"].component.writer.run(bills.book_crossed, Cause("service", "test", "test"))
            (charge,) = (await calls.parcels.ListFreightCharges(every)).charges
            assert (charge.shipment_id, charge.line_id, charge.billed_minor) == (left.shipment_id, "1", 900)
        found = await calls.holds("fulfillment").ListHolds(holds_service_pb2.ListHoldsRequest(service="fulfillment"))
        assert [one.reason for one in found.holds] == ["UNKNOWN_PARCEL"]


async def test_what_customs_would_stop_gets_no_label_and_what_was_called_back_is_unpacked(
    sqlite_settings: Settings, carriers: Carriers
) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        await set_up(calls, "CH")
        order_id, own = await place(calls, "C-1", 2)
        parcel = await pack(calls, own)
        asked = parcels_service_pb2.GetCustomsDeclarationRequest(parcel_id=parcel.parcel_id)
        declared = await calls.parcels.GetCustomsDeclaration(asked)
        assert declared.required and not declared.missing
        (line,) = declared.lines
        assert (line.hs_code, line.origin_country_code, line.quantity, line.value_minor, declared.value_minor) == (
            "691200",
            "PT",
            2,
            2000,
            2000,
        )
        empty = parcels_service_pb2.SetOriginRequest(request_id=new_id(), location_id="BER", address=declared.sender)
        await calls.parcels.SetOrigin(empty)
        await buy(calls, parcel.parcel_id)
        failed = await until_label(calls, parcel.parcel_id, FAILED)
        assert "tax id" in failed.label_failure and not carriers.shipments
        assert (await holds(calls))["LABEL_FAILED"] == parcel.parcel_id
        await set_up(calls, "CH")
        await buy(calls, parcel.parcel_id)
        await until_label(calls, parcel.parcel_id, BOUGHT)
        assert "LABEL_FAILED" not in await holds(calls)
        (item,) = carriers.shipments["shp_1"]["customs_info"]["customs_items"]
        assert (item["hs_tariff_number"], item["value"], item["quantity"]) == ("691200", "20.00", 2)

        await calls.orders.CancelOrder(orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=order_id, reason="no more"))
        await until_status(calls, order_id, order_pb2.ORDER_STATUS_CANCELLED)
        assert (await holds(calls))["PARCEL_NOT_WANTED"] == parcel.parcel_id
        await refused("NOTHING_LEFT", ship(calls, parcel))
        await calls.parcels.VoidLabel(parcels_service_pb2.VoidLabelRequest(request_id=new_id(), parcel_id=parcel.parcel_id))
        await until_label(calls, parcel.parcel_id, VOIDED)
        await calls.parcels.UnpackParcel(parcels_service_pb2.UnpackParcelRequest(request_id=new_id(), parcel_id=parcel.parcel_id))
        assert await holds(calls) == {}
        assert (await prove(suite.channels, settled=True)).breaks == []


async def test_what_customs_would_stop_is_not_released_before_somebody_enters_it(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        await set_up(calls, "CH", tax_id="")
        placed = await calls.orders.CreateOrder(order("C-1", 2))
        held = await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_ON_HOLD)
        assert (held.lines[0].reserved, held.lines[0].released) == (2, 0)
        (hold,) = (await calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds
        assert (hold.reason, hold.queue, hold.owner_role) == ("DOCUMENTS_MISSING", "trade", "merchandising")
        assert hold.detail == "CUSTOMS_DATA_MISSING: customs wants: the sender's tax id: set it at the location's origin"
        release = {"service": "orders", "hold_id": hold.hold_id, "resolution": "entered"}
        await calls.holds("orders").ReleaseHold(holds_service_pb2.ReleaseHoldRequest(request_id=new_id(), **release))

        async def again() -> Any:
            found = (await calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds
            return found[0] if found else None

        # Nothing was entered: it is held again. What stays in the union goes without.
        other = await eventually(again)
        assert other.hold_id != hold.hold_id
        await set_up(calls, "AT", tax_id="")
        at_home, _ = await place(calls, "C-2")
        await set_up(calls, "CH")
        release["hold_id"] = other.hold_id
        await calls.holds("orders").ReleaseHold(holds_service_pb2.ReleaseHoldRequest(request_id=new_id(), **release))
        for order_id in (placed.order_id, at_home):
            await ship_all(calls, order_id)
            await until_status(calls, order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert (await prove(suite.channels, settled=True)).breaks == []


async def test_without_a_provider_the_rate_card_prices_and_numbers_parcels_and_a_lost_one_is_held(sqlite_settings: Settings) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        _, own = await place(calls, "R-1", 3)
        parcel = await pack(calls, own)
        await buy(calls, parcel.parcel_id, carrier="NOBODY")
        assert "no rate is set for NOBODY" in (await until_label(calls, parcel.parcel_id, FAILED)).label_failure
        await buy(calls, parcel.parcel_id)
        parcel = await until_label(calls, parcel.parcel_id, BOUGHT)
        assert (parcel.carrier, parcel.freight_minor, len(parcel.tracking_number)) == ("PARCELCO", 500, 16)
        left = await ship(calls, parcel)
        record = fulfillment_service_pb2.RecordTrackingRequest(
            request_id=new_id(), shipment_id=left.shipment_id, status="LOST", detail="not seen for ten days"
        )
        await calls.fulfillment.RecordTracking(record)
        assert (await holds(calls))["PARCEL_LOST"] == left.shipment_id
        nothing = fulfillment_service_pb2.RecordTrackingRequest(request_id=new_id(), tracking_number="nobody's", status="LOST")
        await refused("NO_SUCH_SHIPMENT", calls.fulfillment.RecordTracking(nothing))
        nothing.request_id, nothing.status, nothing.tracking_number = new_id(), "", left.tracking_number
        await refused("INVALID_FIELD", calls.fulfillment.RecordTracking(nothing))
        # It is found, and arrives: nobody looks for it any more.
        found = fulfillment_service_pb2.RecordTrackingRequest(request_id=new_id(), shipment_id=left.shipment_id, status="DELIVERED")
        await calls.fulfillment.RecordTracking(found)
        assert await holds(calls) == {}
