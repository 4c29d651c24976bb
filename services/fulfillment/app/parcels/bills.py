"""RecordCarrierBill: what carriers bill, line by line, beside what was quoted when the parcel left; the ledger has the difference."""

from collections import Counter
from typing import Any

from sqlalchemy import case, func, literal_column, select

from argosy.fulfillment.v1 import fulfillment_events_pb2, parcels_service_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.kernel.errors import FailedPrecondition, InvalidArgument
from chassis.kernel.ids import request_id
from chassis.runtime.host import wall_clock
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import HoldKind, Work
from services.fulfillment.store.parcels import CHARGES
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, SHIPMENTS

UNKNOWN_PARCEL = HoldKind("UNKNOWN_PARCEL", "integration", 8 * 3600, "finance")
# PostgreSQL uses a partial index only where the statement itself says its condition.
NAMED = (SHIPMENTS.c.reference != literal_column("''"),)
DAYS = 28
Charge = parcels_service_pb2.FreightCharge


async def record_carrier_bill(work: Work, request: parcels_service_pb2.RecordCarrierBillRequest) -> parcels_service_pb2.CarrierBill:
    """A parcel's first line takes up what was accrued for it, later ones cost what they cost.

    Refusals: INVALID_FIELD, CURRENCY_DIFFERS.
    """
    shipments = await _shipments(work, request)
    orders = await work.tx.find(FULFILLMENT_ORDERS, ("fulfillment_order_id",), {(row.fulfillment_order_id,) for row in shipments.values()})
    channels = {row.fulfillment_order_id: row for row in orders}
    earlier = await work.tx.find(CHARGES, ("shipment_id",), {(row.shipment_id,) for row in shipments.values()})
    accrued = Counter({row.shipment_id: row.freight_minor for row in shipments.values()})
    for one in earlier:
        accrued[one.shipment_id] -= one.quoted_minor
    known = {one.charge_id for one in earlier}
    answer = parcels_service_pb2.CarrierBill(carrier=request.carrier, bill_number=request.bill_number)
    rows = []
    for index, line in enumerate(request.lines):
        shipment = shipments.get((line.reference, "") if line.reference else ("", line.tracking_number))
        charge_id = request_id("freight", request.carrier, request.bill_number, line.line_id)
        if shipment is None:
            answer.unknown.append(line.line_id)
            if not request.skip_unknown:
                text = f"bill {request.bill_number} of {request.carrier}, line {line.line_id}: no parcel has the number {_name(line)}"
                work.hold(UNKNOWN_PARCEL, "carrier_bill", charge_id, text)
            continue
        if shipment.currency_code != request.currency_code:
            text = f"currency_code: the parcel was quoted in {shipment.currency_code}"
            raise FailedPrecondition("CURRENCY_DIFFERS", text, field="currency_code", line=str(index))
        if charge_id in known:
            continue
        known.add(charge_id)
        quoted = max(0, accrued[shipment.shipment_id]) if line.amount_minor > 0 else 0
        accrued[shipment.shipment_id] -= quoted
        rows.append(
            {
                "charge_id": charge_id, "carrier": request.carrier, "bill_number": request.bill_number, "line_id": line.line_id,
                "shipment_id": shipment.shipment_id, "tracking_number": shipment.tracking_number, "location_id": shipment.location_id,
                "quoted_minor": quoted, "billed_minor": line.amount_minor, "currency_code": request.currency_code,
                "recorded_at": work.now,
            }
        )  # fmt: skip
        work.emit(_event(rows[-1], shipment, channels[shipment.fulfillment_order_id]))
    await work.tx.insert(CHARGES, rows)
    wanted = [(request_id("freight", request.carrier, request.bill_number, line.line_id),) for line in request.lines]
    answer.charges.extend(_charge(row) for row in await work.tx.find(CHARGES, ("charge_id",), sorted(set(wanted)), order=("line_id",)))
    return answer


async def _shipments(work: Work, request: parcels_service_pb2.RecordCarrierBillRequest) -> dict[tuple[str, str], Any]:
    """Returns the parcels that are billed, by their carrier's number, or by what the location that bills calls them."""
    for index, line in enumerate(request.lines):
        if not _name(line):
            text = f"lines[{index}]: name the parcel, by tracking_number or, on a location's bill, by reference"
            raise InvalidArgument("INVALID_FIELD", text, field=f"lines[{index}].tracking_number")
        if line.reference and not request.location_id:
            text = "location_id: say which location's names the lines' references are"
            raise InvalidArgument("INVALID_FIELD", text, field="location_id")
    numbers = sorted({line.tracking_number for line in request.lines if not line.reference})
    references = sorted({(line.reference, request.location_id) for line in request.lines if line.reference})
    # A number is used again after years: the last parcel is meant.
    found = await work.tx.find(SHIPMENTS, ("tracking_number",), [(one,) for one in numbers], order=("shipped_at",))
    left = [row for row in found if row.carrier == request.carrier or row.location_id == request.location_id]
    named = await work.tx.find(SHIPMENTS, ("reference", "location_id"), references, where=NAMED, order=("shipped_at",))
    return {("", row.tracking_number): row for row in left} | {(row.reference, ""): row for row in named}


def _name(line: parcels_service_pb2.CarrierBillLine) -> str:
    return line.reference or line.tracking_number


def _event(row: dict[str, Any], shipment: Any, order: Any) -> fulfillment_events_pb2.FreightBilled:
    billed, credited, accrued = max(0, row["billed_minor"]), max(0, -row["billed_minor"]), row["quoted_minor"]
    return fulfillment_events_pb2.FreightBilled(
        charge_id=row["charge_id"], carrier=row["carrier"], bill_number=row["bill_number"], shipment_id=row["shipment_id"],
        order_id=shipment.order_id, channel_id=order.channel_id, location_id=row["location_id"], entity=order.entity,
        currency_code=row["currency_code"], billed_minor=billed, credited_minor=credited, accrued_minor=accrued,
        dearer_minor=max(0, billed - accrued), cheaper_minor=max(0, accrued - billed) + credited,
    )  # fmt: skip


async def list_freight_charges(asked: Asked) -> parcels_service_pb2.ListFreightChargesResponse:
    """Lists the last first."""
    query = select(CHARGES)
    if asked.request.carrier:
        query = query.where(CHARGES.c.carrier == asked.request.carrier)
    if asked.request.differing:
        query = query.where(CHARGES.c.billed_minor != CHARGES.c.quoted_minor)
    rows, token = await page(asked.tx, query, [CHARGES.c.recorded_at, CHARGES.c.charge_id], asked.request, descending=True)
    return parcels_service_pb2.ListFreightChargesResponse(charges=map(_charge, rows), next_page_token=token)


def _charge(row: Any) -> Charge:
    values = {name: value for name, value in row._mapping.items() if name not in ("charge_id", "recorded_at")}
    return Charge(**values, recorded_at=to_timestamp(row.recorded_at))


async def get_freight_figures(asked: Asked) -> parcels_service_pb2.FreightFigures:
    """Sums what was billed in the last days."""
    days, columns = asked.request.days or DAYS, CHARGES.c
    query = (
        select(
            columns.carrier, columns.currency_code, func.count().label("charges"), func.sum(columns.quoted_minor).label("quoted_minor"),
            func.sum(columns.billed_minor).label("billed_minor"),
            func.sum(case((columns.billed_minor > columns.quoted_minor, 1), else_=0)).label("dearer"),
        )
        .where(columns.recorded_at >= wall_clock() - days * DAY)
        .group_by(columns.carrier, columns.currency_code)
        .order_by(columns.carrier, columns.currency_code)
    )  # fmt: skip
    carriers = [
        parcels_service_pb2.CarrierFigures(
            carrier=row.carrier, currency_code=row.currency_code, charges=int(row.charges), quoted_minor=int(row.quoted_minor),
            billed_minor=int(row.billed_minor), dearer=int(row.dearer),
        )
        for row in await asked.tx.read(query)
    ]  # fmt: skip
    return parcels_service_pb2.FreightFigures(days=days, carriers=carriers)
