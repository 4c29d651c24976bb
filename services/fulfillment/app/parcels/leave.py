"""Parcels that were packed leave: what is in them, by which carrier, under which number and for how much is known already."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from chassis.kernel.errors import FailedPrecondition, NotFound
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from services.fulfillment.app.parcels.packing import BOUGHT, PACKED, PENDING, SHIPPED, VOIDING, WAITS, need_packed, release_parcels
from services.fulfillment.app.save_lines import OpenOrder
from services.fulfillment.store.parcels import PARCEL_LINES, PARCELS

Request = fulfillment_service_pb2.ConfirmShipmentRequest


class Leaving:
    """Parcels of a batch that leave."""

    def __init__(self, rows: Sequence[Any], lines: Sequence[Any]) -> None:
        self._rows = {row.parcel_id: row for row in rows}
        self._lines = defaultdict(list)
        for line in lines:
            self._lines[line.parcel_id].append(fulfillment_pb2.ParcelLine(line_id=line.line_id, quantity=line.quantity))
        self._left: dict[str, str] = {}

    def ship(self, request: Request) -> Request:
        """Returns the request with what is known of its parcel. Refusals: NO_SUCH_PARCEL, WRONG_STATUS, LABEL_PENDING."""
        if not request.parcel_id:
            return request
        row = self._rows.get(request.parcel_id)
        if row is None or row.fulfillment_order_id != request.fulfillment_order_id:
            raise NotFound("NO_SUCH_PARCEL", f"the fulfilment order has no parcel {request.parcel_id}", field="parcel_id")
        need_packed(row)
        if row.parcel_id in self._left:
            raise FailedPrecondition("WRONG_STATUS", "the parcel is SHIPPED", field="parcel_id")
        if row.label_status in (PENDING, VOIDING):
            text = "the carrier is being asked for its label, or to take it back: wait for the answer"
            raise FailedPrecondition("LABEL_PENDING", text, field="parcel_id")
        whole = Request()
        whole.CopyFrom(request)
        del whole.lines[:]
        whole.lines.extend(self._lines[row.parcel_id])
        if row.label_status == BOUGHT:
            whole.carrier, whole.service = row.carrier, row.service
            whole.tracking_number, whole.freight_minor = row.tracking_number, row.freight_minor
        return whole

    def need_unpacked(self, order: OpenOrder, leaving: Mapping[str, int]) -> None:
        """Raises PACKED_ALREADY where what leaves is in a parcel that stays: somebody would take it for packed for ever."""
        here = [row for row in self._rows.values() if row.fulfillment_order_id == order.row.fulfillment_order_id]
        waiting = [row.parcel_id for row in here if row.status == PACKED and row.parcel_id not in self._left]
        packed = Counter[str]()
        for line in (line for parcel_id in waiting for line in self._lines[parcel_id]):
            packed[line.line_id] += line.quantity
        for line_id, quantity in leaving.items():
            if packed[line_id] and quantity > order.shippable(line_id) - packed[line_id]:
                text = f"{packed[line_id]} of the line are packed: say which parcel left (parcel_id), or unpack it"
                raise FailedPrecondition("PACKED_ALREADY", text, field="parcel_id")

    def currency_of(self, request: Request, otherwise: str) -> str:
        """Returns in what the carrier charges: the order's currency where no label says another."""
        row = self._rows.get(request.parcel_id)
        return str(row.currency_code) if row is not None and row.label_status == BOUGHT else otherwise

    def note(self, parcel_id: str, shipment_id: str) -> None:
        """Notes that a parcel left."""
        if parcel_id:
            self._left[parcel_id] = shipment_id

    async def write(self, work: Work, shipments: Sequence[dict[str, Any]]) -> None:
        """Writes what left; one without a label is handed over by the carrier that the shipment names."""
        by_id = {row["shipment_id"]: row for row in shipments}
        rows = [
            {
                "parcel_id": parcel_id, "status": SHIPPED, "shipment_id": shipment_id, "carrier": by_id[shipment_id]["carrier"],
                "service": by_id[shipment_id]["service"], "tracking_number": by_id[shipment_id]["tracking_number"],
            }
            for parcel_id, shipment_id in self._left.items()
        ]  # fmt: skip
        await work.tx.change(PARCELS, ("parcel_id",), rows)
        await release_parcels(work, self._left, "it left")


async def packed_parcels(tx: Tx, requests: Sequence[Request]) -> Leaving:
    """Returns the parcels that are named, locked, and those that wait where none is, with what is in them."""
    key, named = ("parcel_id",), {request.parcel_id for request in requests if request.parcel_id}
    rows = {row.parcel_id: row for row in await tx.find(PARCELS, key, [(one,) for one in sorted(named)], order=key, lock=True)}
    others = sorted({request.fulfillment_order_id for request in requests if not request.parcel_id})
    for row in await tx.find(PARCELS, ("fulfillment_order_id",), [(one,) for one in others], where=WAITS):
        rows.setdefault(row.parcel_id, row)
    lines = await tx.find(PARCEL_LINES, key, [(one,) for one in sorted(rows)])
    return Leaving(list(rows.values()), lines)
