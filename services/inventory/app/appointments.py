"""Docks booked for deliveries, and how long deliveries took from dock to stock."""

import json
from collections import Counter
from typing import Any

from sqlalchemy import func, select, update

from argosy.inventory.v1 import purchasing_service_pb2
from chassis.kernel.clock import DAY, SECOND, from_timestamp, to_timestamp
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.kernel.ids import new_id
from chassis.kernel.spread import at_most
from chassis.runtime.host import wall_clock
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx, gate
from chassis.runtime.work import Work
from services.inventory.domain.purchasing import Status
from services.inventory.store.tables import APPOINTMENTS, LOCATIONS, PURCHASE_LINES, PURCHASE_ORDERS

Appointment = purchasing_service_pb2.Appointment


async def book_appointment(work: Work, request: purchasing_service_pb2.BookAppointmentRequest) -> Appointment:
    """Refusals: NO_SUCH_LOCATION, DOCK_TAKEN."""
    if not await work.tx.read(select(LOCATIONS.c.location_id).where(LOCATIONS.c.location_id == request.location_id)):
        raise NotFound("NO_SUCH_LOCATION", f"there is no location {request.location_id}", field="location_id")
    planned_at = from_timestamp(request.planned_at)
    await work.tx.close(gate("docks", request.location_id))
    same = (APPOINTMENTS.c.location_id == request.location_id, APPOINTMENTS.c.dock == request.dock, APPOINTMENTS.c.planned_at == planned_at)
    if await work.tx.read(select(APPOINTMENTS.c.appointment_id).where(*same, APPOINTMENTS.c.finished_at.is_(None))):
        raise FailedPrecondition("DOCK_TAKEN", f"dock {request.dock} is booked for that moment already", field="dock")
    row = {
        "appointment_id": new_id(), "location_id": request.location_id, "dock": request.dock, "planned_at": planned_at,
        "document_ids": json.dumps(sorted(request.document_ids)), "arrived_at": None, "finished_at": None,
    }  # fmt: skip
    await work.tx.insert(APPOINTMENTS, [row])
    return _appointment(await need_appointment(work.tx, str(row["appointment_id"])))


async def arrive_appointment(work: Work, request: purchasing_service_pb2.ArriveAppointmentRequest) -> Appointment:
    """Refusals: NO_SUCH_APPOINTMENT, WRONG_STATUS."""
    return await _stamp(work, request.appointment_id, "arrived_at", "")


async def finish_appointment(work: Work, request: purchasing_service_pb2.FinishAppointmentRequest) -> Appointment:
    """Refusals: NO_SUCH_APPOINTMENT, WRONG_STATUS."""
    return await _stamp(work, request.appointment_id, "finished_at", "arrived_at")


async def _stamp(work: Work, appointment_id: str, name: str, needed: str) -> Appointment:
    row = await need_appointment(work.tx, appointment_id, lock=True)
    if getattr(row, name) is not None or (needed and getattr(row, needed) is None):
        text = "this was noted already" if getattr(row, name) is not None else "note its arrival first"
        raise FailedPrecondition("WRONG_STATUS", text, field="appointment_id")
    await work.tx.write(update(APPOINTMENTS).where(APPOINTMENTS.c.appointment_id == appointment_id).values({name: work.now}))
    return _appointment(await need_appointment(work.tx, appointment_id))


async def need_appointment(tx: Tx, appointment_id: str, *, lock: bool = False) -> Any:
    """Returns an appointment's row; raises NotFound."""
    rows = await tx.find(APPOINTMENTS, ("appointment_id",), [(appointment_id,)], lock=lock)
    if not rows:
        raise NotFound("NO_SUCH_APPOINTMENT", f"there is no appointment {appointment_id}", field="appointment_id")
    return rows[0]


async def list_appointments(asked: Asked) -> purchasing_service_pb2.ListAppointmentsResponse:
    """Lists latest planned first."""
    query = select(APPOINTMENTS)
    if asked.request.location_id:
        query = query.where(APPOINTMENTS.c.location_id == asked.request.location_id)
    keys = [APPOINTMENTS.c.planned_at, APPOINTMENTS.c.appointment_id]
    rows, token = await page(asked.tx, query, keys, asked.request, descending=True)
    return purchasing_service_pb2.ListAppointmentsResponse(appointments=map(_appointment, rows), next_page_token=token)


async def get_inbound_figures(asked: Asked) -> purchasing_service_pb2.InboundFigures:
    """Counts deliveries that were finished, and purchase orders that ended, in the last days."""
    request = asked.request
    since = wall_clock() - (request.days or 28) * DAY
    query = select(APPOINTMENTS).where(APPOINTMENTS.c.finished_at >= since)
    orders = select(
        func.coalesce(func.sum(PURCHASE_LINES.c.ordered), 0), func.coalesce(func.sum(PURCHASE_LINES.c.received), 0),
        func.coalesce(func.sum(PURCHASE_LINES.c.damaged), 0),
    ).join(PURCHASE_ORDERS, PURCHASE_ORDERS.c.purchase_order_id == PURCHASE_LINES.c.purchase_order_id)  # fmt: skip
    orders = orders.where(PURCHASE_ORDERS.c.ended_at >= since, PURCHASE_ORDERS.c.status == int(Status.CLOSED))
    if request.location_id:
        query = query.where(APPOINTMENTS.c.location_id == request.location_id)
        orders = orders.where(PURCHASE_ORDERS.c.location_id == request.location_id)
    rows = await asked.tx.read(query)
    ordered, received, damaged = (await asked.tx.read(orders))[0]
    took = Counter((row.finished_at - row.arrived_at) // SECOND for row in rows)
    return purchasing_service_pb2.InboundFigures(
        deliveries=len(rows), dock_to_stock_p50_s=at_most(took, 50), dock_to_stock_p95_s=at_most(took, 95),
        on_time=sum(row.arrived_at <= row.planned_at for row in rows), ordered=int(ordered), received=int(received), damaged=int(damaged),
    )  # fmt: skip


def _appointment(row: Any) -> Appointment:
    return Appointment(
        appointment_id=row.appointment_id, location_id=row.location_id, dock=row.dock, document_ids=json.loads(row.document_ids),
        planned_at=to_timestamp(row.planned_at), arrived_at=to_timestamp(row.arrived_at) if row.arrived_at is not None else None,
        finished_at=to_timestamp(row.finished_at) if row.finished_at is not None else None,
    )  # fmt: skip
