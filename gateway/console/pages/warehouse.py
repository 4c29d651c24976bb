"""Warehouse: waves, pick lists and what is to be put away at a location that keeps bins; and a list to walk with a scanner."""

import asyncio
from urllib.parse import quote

from starlette.responses import Response

from argosy.catalog.v1 import items_service_pb2
from argosy.fulfillment.v1 import warehouse_service_pb2
from chassis.kernel.errors import FailedPrecondition
from gateway.console import show
from gateway.console.pages.common import location_ids
from gateway.console.visit import ROWS, Notice, Visit, action

OPEN = (warehouse_service_pb2.PICK_LIST_STATUS_OPEN, warehouse_service_pb2.PICK_LIST_STATUS_STARTED)
PUT_AWAYS = 50


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows the figures, the open pick lists, the last waves, and what waits on the dock of the location that is chosen."""
    location, calls = visit.query("location"), visit.calls.warehouse
    lists = [warehouse_service_pb2.ListPickListsRequest(location_id=location, status=one, page_size=ROWS) for one in OPEN]
    waves = warehouse_service_pb2.ListWavesRequest(location_id=location, page_size=ROWS, page_token=visit.query("page"))
    figures = warehouse_service_pb2.GetWarehouseFiguresRequest(location_id=location)
    waiting, started, made, counted, locations, put_aways = await asyncio.gather(
        *(visit.ask(calls.ListPickLists, one) for one in lists), visit.ask(calls.ListWaves, waves),
        visit.ask(calls.GetWarehouseFigures, figures), location_ids(visit), _put_aways(visit, location),
    )  # fmt: skip
    skus = await _skus(visit, [one.item_id for one in put_aways])
    return visit.render(
        "warehouse.html", notice, status, lists=[*started.lists, *waiting.lists], waves=made.waves, figures=counted, put_aways=put_aways,
        skus=skus, location=location, locations=locations, following=visit.following(made.next_page_token),
        everybody=counted.workers[-1], kinds=show.choices(warehouse_service_pb2.WaveKind), Kind=warehouse_service_pb2.WaveKind,
        Wave=warehouse_service_pb2.WaveStatus, PickList=warehouse_service_pb2.PickListStatus,
    )  # fmt: skip


async def _put_aways(visit: Visit, location: str) -> list[warehouse_service_pb2.PutAway]:
    if not location:
        return []
    request = warehouse_service_pb2.ListPutAwaysRequest(location_id=location, page_size=PUT_AWAYS)
    try:
        return list((await visit.ask(visit.calls.warehouse.ListPutAways, request)).put_aways)
    except FailedPrecondition:
        # It keeps no bins: there is nothing to put away.
        return []


async def _skus(visit: Visit, item_ids: list[str]) -> dict[str, str]:
    if not item_ids:
        return {}
    request = items_service_pb2.FindItemsRequest(item_ids=sorted(set(item_ids)))
    answer = await visit.ask_if("catalog.items.read", visit.calls.items.FindItems, request)
    return {item.item_id: item.sku for item in answer.items} if answer is not None else {}


async def pick_list(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a pick list: the next pick large, for a scanner; then all of them."""
    request = warehouse_service_pb2.GetPickListRequest(list_id=visit.path["list_id"])
    found = await visit.ask(visit.calls.warehouse.GetPickList, request)
    left = [one for one in found.picks if one.remaining]
    return visit.render(
        "pick_list.html", notice, status, list=found, next=left[0] if left else None, PickList=warehouse_service_pb2.PickListStatus,
        mine=found.worker == visit.person.account, open=OPEN,
    )  # fmt: skip


async def _make(visit: Visit) -> Response:
    location = visit.field("location")
    request = warehouse_service_pb2.CreateWaveRequest(
        request_id=visit.request_id(), location_id=location, kind=show.choice(visit.field("kind"), "kind"),
        most_orders=show.whole(visit.field("most_orders"), "most_orders"),
    )  # fmt: skip
    await visit.ask(visit.calls.warehouse.CreateWave, request)
    return visit.go(f"/console/warehouse?location={quote(location)}", "wave-made")


async def _call_off(visit: Visit) -> Response:
    request = warehouse_service_pb2.CancelWaveRequest(request_id=visit.request_id(), wave_id=visit.path["wave_id"])
    wave = await visit.ask(visit.calls.warehouse.CancelWave, request)
    return visit.go(f"/console/warehouse?location={quote(wave.location_id)}", "wave-off")


async def _put(visit: Visit) -> Response:
    location = visit.field("location")
    request = warehouse_service_pb2.MoveBinStockRequest(
        request_id=visit.request_id(), location_id=location, item_id=visit.field("item_id"), lot=visit.field("lot"),
        quantity=show.whole(visit.field("quantity"), "quantity"), to_bin=visit.field("to_bin").upper(),
    )  # fmt: skip
    await visit.ask(visit.calls.warehouse.MoveBinStock, request)
    return visit.go(f"/console/warehouse?location={quote(location)}", "put-away")


async def _start(visit: Visit) -> Response:
    identity = visit.path["list_id"]
    request = warehouse_service_pb2.StartPickListRequest(
        request_id=visit.request_id(), list_id=identity, from_worker=visit.field("from_worker")
    )
    await visit.ask(visit.calls.warehouse.StartPickList, request)
    return visit.go(f"/console/warehouse/lists/{identity}", "list-taken")


async def _record(visit: Visit) -> Response:
    identity = visit.path["list_id"]
    request = warehouse_service_pb2.RecordPickRequest(
        request_id=visit.request_id(), pick_id=visit.field("pick_id"), bin=visit.field("bin"), code=visit.field("code"),
        picked=show.whole(visit.field("picked"), "picked"), shorted=show.whole(visit.field("shorted"), "shorted"),
    )  # fmt: skip
    await visit.ask(visit.calls.warehouse.RecordPick, request)
    return visit.go(f"/console/warehouse/lists/{identity}", "picked")


make = action(_make, page)
call_off = action(_call_off, page)
put = action(_put, page)
start = action(_start, pick_list)
record = action(_record, pick_list)
