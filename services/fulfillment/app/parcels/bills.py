"""RecordCarrierBill: what carriers bill, line by line, beside what was quoted when the parcel left; the ledger has the difference."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import case, delete, func, literal_column, or_, select

from argosy.fulfillment.v1 import fulfillment_events_pb2, parcels_service_pb2
from chassis.kernel.clock import DAY, MINUTE, to_timestamp
from chassis.kernel.errors import InvalidArgument
from chassis.kernel.ids import request_id
from chassis.kernel.words import counted
from chassis.runtime.host import wall_clock
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.statements import NOW
from chassis.runtime.work import HoldKind, Work
from services.fulfillment.store.parcels import CHARGES, EARLY_CHARGES
from services.fulfillment.store.tables import FULFILLMENT_ORDERS, SHIPMENTS

UNKNOWN_PARCEL = HoldKind("UNKNOWN_PARCEL", "integration", 8 * 3600, "finance")
OTHER_CURRENCY = HoldKind("BILLED_IN_OTHER_CURRENCY", "integration", 8 * 3600, "finance")
# PostgreSQL uses a partial index only where the statement itself says its condition.
NAMED = (SHIPMENTS.c.reference != literal_column("''"),)
NAMED_EARLY = (EARLY_CHARGES.c.reference != literal_column("''"),)
NUMBERED = (EARLY_CHARGES.c.tracking_number != literal_column("''"),)
_IS_NAMED = SHIPMENTS.c.reference == EARLY_CHARGES.c.reference, SHIPMENTS.c.location_id == EARLY_CHARGES.c.location_id
_IS_NUMBERED = (
    SHIPMENTS.c.tracking_number == EARLY_CHARGES.c.tracking_number,
    or_(SHIPMENTS.c.carrier == EARLY_CHARGES.c.carrier, SHIPMENTS.c.location_id == EARLY_CHARGES.c.location_id),
)
# Lines whose parcel another replica confirmed in the moment in which they were recorded: neither saw what the other wrote.
CROSSED = select(EARLY_CHARGES.c.charge_id).where(
    EARLY_CHARGES.c.recorded_at > NOW - 10 * MINUTE,
    or_(
        select(SHIPMENTS.c.shipment_id).where(*NUMBERED, *_IS_NUMBERED).exists(),
        select(SHIPMENTS.c.shipment_id).where(*NAMED, *NAMED_EARLY, *_IS_NAMED).exists(),
    ),
)
AT_ONCE = 500
DAYS = 28
# How long a line waits for its parcel; of a bill for many, most are never ours.
KEPT_DAYS = 120
FEW = 5
Charge = parcels_service_pb2.FreightCharge
# A line of a bill, as `EARLY_CHARGES` keeps it, and what it calls its parcel.
Line = dict[str, Any]
Name = tuple[str, str]


async def record_carrier_bill(work: Work, request: parcels_service_pb2.RecordCarrierBillRequest) -> parcels_service_pb2.CarrierBill:
    """A parcel's first line takes up what was accrued for it, later ones cost what they cost; a line said again changes nothing.

    A line of a parcel that nobody knows waits until the parcel leaves. Refusals: INVALID_FIELD.
    """
    lines = [_line(work, request, index) for index in range(len(request.lines))]
    shipments = await _shipments(work, lines)
    ids = [(one,) for one in sorted({line["charge_id"] for line in lines})]
    told = {row.charge_id for row in await work.tx.find(EARLY_CHARGES, ("charge_id",), ids)}
    found: list[tuple[Line, Any]] = []
    unknown, waiting = [], []
    for line in lines:
        if shipment := shipments.get(_name(line)):
            found.append((line, shipment))
            continue
        unknown.append(line["line_id"])
        if line["charge_id"] not in told:
            told.add(line["charge_id"])
            waiting.append(line)
            if not request.skip_unknown:
                text = f"bill {request.bill_number} of {request.carrier}, line {line['line_id']}: no parcel has the number {_name(line)[0]}"
                work.hold(UNKNOWN_PARCEL, "carrier_bill", line["charge_id"], text)
    await work.tx.write(delete(EARLY_CHARGES).where(EARLY_CHARGES.c.recorded_at < work.now - KEPT_DAYS * DAY))
    await work.tx.insert(EARLY_CHARGES, waiting, once=True)
    other = await _book(work, found, await _orders(work, found))
    charges = await work.tx.find(CHARGES, ("charge_id",), ids, order=("line_id",))
    return parcels_service_pb2.CarrierBill(
        carrier=request.carrier, bill_number=request.bill_number, charges=map(_charge, charges), unknown=unknown, other_currency=other
    )


async def book_early_charges(work: Work, shipments: Sequence[dict[str, Any]], orders: Mapping[str, Any]) -> None:
    """Books what was billed for parcels before anybody told that they left; `orders` are their fulfilment orders by id."""
    numbers = sorted({(row["tracking_number"],) for row in shipments if row["tracking_number"]})
    references = sorted({(row["reference"], row["location_id"]) for row in shipments if row["reference"]})
    billed = [
        *await work.tx.find(EARLY_CHARGES, ("tracking_number",), numbers, where=NUMBERED),
        *await work.tx.find(EARLY_CHARGES, ("reference", "location_id"), references, where=NAMED_EARLY),
    ]
    if not billed:
        return
    parcels = _by_name([SimpleNamespace(**row) for row in shipments])
    found = [(line, parcel) for line in _in_order(billed) if (parcel := parcels.get(_name(line))) and _is_billed_by(parcel, line)]
    await _book(work, found, orders)


async def book_crossed(work: Work) -> None:
    """Books what was billed for parcels that left in the same moment."""
    ids = [(row.charge_id,) for row in await work.tx.read(CROSSED.limit(AT_ONCE), {"now": work.now})]
    bills = defaultdict(list)
    for line in _in_order(await work.tx.find(EARLY_CHARGES, ("charge_id",), ids)):
        bills[line["carrier"], line["bill_number"], line["location_id"]].append(line)
    for lines in bills.values():
        shipments = await _shipments(work, lines)
        found = [(line, shipment) for line in lines if (shipment := shipments.get(_name(line)))]
        await _book(work, found, await _orders(work, found))


def _in_order(billed: Iterable[Any]) -> list[Line]:
    return [dict(row._mapping) for row in sorted(billed, key=lambda row: (row.recorded_at, row.bill_number, row.line_id))]


async def _orders(work: Work, found: Iterable[tuple[Line, Any]]) -> dict[str, Any]:
    of_parcels = sorted({(shipment.fulfillment_order_id,) for _, shipment in found})
    rows = await work.tx.find(FULFILLMENT_ORDERS, ("fulfillment_order_id",), of_parcels)
    return {row.fulfillment_order_id: row for row in rows}


async def _book(work: Work, found: Sequence[tuple[Line, Any]], orders: Mapping[str, Any]) -> list[str]:
    """Books lines beside what was quoted for their parcels. Returns those in another currency than that: their bill is held."""
    if not found:
        return []
    earlier = await work.tx.find(CHARGES, ("shipment_id",), sorted({(shipment.shipment_id,) for _, shipment in found}))
    accrued = Counter({shipment.shipment_id: shipment.freight_minor for _, shipment in found})
    for one in earlier:
        accrued[one.shipment_id] -= one.quoted_minor
    ids = [(one,) for one in sorted({line["charge_id"] for line, _ in found})]
    booked = {one.charge_id for one in await work.tx.find(CHARGES, ("charge_id",), ids)}
    rows, other = [], []
    for line, shipment in found:
        if line["charge_id"] in booked:
            continue
        if shipment.currency_code != line["currency_code"]:
            other.append(line)
            continue
        booked.add(line["charge_id"])
        quoted = max(0, accrued[shipment.shipment_id]) if line["billed_minor"] > 0 else 0
        accrued[shipment.shipment_id] -= quoted
        rows.append(
            {
                "charge_id": line["charge_id"], "carrier": line["carrier"], "bill_number": line["bill_number"], "line_id": line["line_id"],
                "shipment_id": shipment.shipment_id, "tracking_number": shipment.tracking_number, "location_id": shipment.location_id,
                "quoted_minor": quoted, "billed_minor": line["billed_minor"], "currency_code": line["currency_code"],
                "recorded_at": work.now,
            }
        )  # fmt: skip
        work.emit(_event(rows[-1], shipment, orders[shipment.fulfillment_order_id]))
    await work.tx.insert(CHARGES, rows)
    await work.tx.remove(EARLY_CHARGES, ("charge_id",), ids)
    await work.release_holds([(one, UNKNOWN_PARCEL.reason) for (one,) in ids], "its parcel left")
    await _hold_bills(work, other)
    return [line["line_id"] for line in other]


async def _hold_bills(work: Work, lines: Sequence[Line]) -> None:
    """Holds each bill of which lines are in another currency than their parcels were quoted in."""
    bills = defaultdict(list)
    for line in lines:
        bills[line["carrier"], line["bill_number"], line["currency_code"]].append(line["line_id"])
    for (carrier, number, currency_code), ids in bills.items():
        named = ", ".join(ids[:FEW]) + (" and others" if len(ids) > FEW else "")
        text = (
            f"bill {number} of {carrier}: {counted(len(ids), 'line')} ({named}) in {currency_code}, which is not what the parcels were "
            "quoted in: record these lines again in that"
        )
        await work.hold_once(OTHER_CURRENCY, "carrier_bill", request_id("freight", carrier, number), text)


def _line(work: Work, request: parcels_service_pb2.RecordCarrierBillRequest, index: int) -> Line:
    line = request.lines[index]
    if not (line.reference or line.tracking_number):
        text = f"lines[{index}]: name the parcel, by tracking_number or, on a location's bill, by reference"
        raise InvalidArgument("INVALID_FIELD", text, field=f"lines[{index}].tracking_number")
    if line.reference and not request.location_id:
        text = "location_id: say which location's names the lines' references are"
        raise InvalidArgument("INVALID_FIELD", text, field="location_id")
    return {
        "charge_id": request_id("freight", request.carrier, request.bill_number, line.line_id), "carrier": request.carrier,
        "bill_number": request.bill_number, "line_id": line.line_id, "reference": line.reference,
        "tracking_number": "" if line.reference else line.tracking_number, "location_id": request.location_id,
        "billed_minor": line.amount_minor, "currency_code": request.currency_code, "recorded_at": work.now,
    }  # fmt: skip


async def _shipments(work: Work, lines: Sequence[Line]) -> dict[Name, Any]:
    """Returns the parcels that a bill's lines name, locked: what was quoted for one is taken up once."""
    numbers = sorted({(line["tracking_number"],) for line in lines if not line["reference"]})
    references = sorted({_name(line) for line in lines if line["reference"]})
    # A number is used again after years: the last parcel is meant.
    numbered = await work.tx.find(SHIPMENTS, ("tracking_number",), numbers, order=("shipped_at",), lock=True)
    named = await work.tx.find(SHIPMENTS, ("reference", "location_id"), references, where=NAMED, order=("shipped_at",), lock=True)
    return _by_name([*(row for row in numbered if _is_billed_by(row, lines[0])), *named])


def _name(line: Line) -> Name:
    return (line["reference"], line["location_id"]) if line["reference"] else (line["tracking_number"], "")


def _by_name(shipments: Iterable[Any]) -> dict[Name, Any]:
    """Returns parcels by either name that a bill may call them by: their carrier's number, or what their location calls them."""
    found = list(shipments)
    return {(row.tracking_number, ""): row for row in found} | {(row.reference, row.location_id): row for row in found}


def _is_billed_by(shipment: Any, line: Line) -> bool:
    """Says whether who billed carried the parcel, or is the location that it left."""
    return bool(shipment.carrier == line["carrier"] or shipment.location_id == line["location_id"])


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
