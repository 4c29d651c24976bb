"""Stock: item × location × state with what each channel may sell; and an item's ledger, to receive and to adjust."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from starlette.responses import Response

from argosy.catalog.v1 import items_service_pb2
from argosy.gateway.v1 import publications_service_pb2
from argosy.inventory.v1 import stock_pb2, stock_service_pb2, valuation_service_pb2
from chassis.kernel.errors import InvalidArgument
from gateway.console import show
from gateway.console.charts import steps
from gateway.console.pages.common import channel_ids, location_ids
from gateway.console.visit import ROWS, Notice, Visit, action

STATES = [(value, name) for value, name in show.choices(stock_pb2.StockState) if value <= stock_pb2.STOCK_STATE_RETURN_INSPECTION]
BY_HAND = (stock_pb2.STOCK_STATE_AVAILABLE, stock_pb2.STOCK_STATE_QUARANTINE, stock_pb2.STOCK_STATE_DAMAGED)
BALANCES = 500


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a page of items by SKU, with every location that holds them."""
    asked = items_service_pb2.ListItemsRequest(query=visit.query("sku"), page_size=ROWS, page_token=visit.query("page"))
    answer = await visit.ask(visit.calls.items.ListItems, asked)
    item_ids = [item.item_id for item in answer.items]
    channels = await channel_ids(visit)
    balances, sellable, locations = await asyncio.gather(
        _balances(visit, item_ids, visit.query("location")), _sellable(visit, item_ids, channels), location_ids(visit)
    )
    return visit.render(
        "stock.html", notice, status, items=answer.items, balances=balances, sellable=sellable, channels=channels, states=STATES,
        locations=locations, following=visit.following(answer.next_page_token),
    )  # fmt: skip


async def _balances(visit: Visit, item_ids: Sequence[str], location_id: str) -> dict[str, dict[str, dict[int, int]]]:
    """Returns item → location → state → quantity, over all lots."""
    found: dict[str, dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for balance in await _all_balances(visit, item_ids, location_id):
        found[balance.item_id][balance.location_id][balance.state] += balance.quantity
    return found


async def _all_balances(visit: Visit, item_ids: Sequence[str], location_id: str = "") -> list[stock_pb2.Balance]:
    request = stock_service_pb2.ListBalancesRequest(item_ids=item_ids, location_id=location_id, page_size=BALANCES)
    found: list[stock_pb2.Balance] = []
    while item_ids:
        answer = await visit.ask(visit.calls.stock.ListBalances, request)
        found += answer.balances
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    return found


async def _sellable(visit: Visit, item_ids: Sequence[str], channels: Iterable[str]) -> dict[str, dict[str, int]]:
    """Returns item → channel → what it may sell."""
    if not item_ids or not visit.may("inventory.availability.read"):
        return {}
    wanted = list(channels)
    requests = [stock_service_pb2.GetAvailabilityRequest(item_ids=item_ids, channel_id=channel) for channel in wanted]
    answers = await asyncio.gather(*(visit.ask(visit.calls.stock.GetAvailability, request) for request in requests))
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for channel, answer in zip(wanted, answers, strict=True):
        for item in answer.items:
            found[item.item_id][channel] = item.available_to_sell
    return found


async def item(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows an item's balances and its ledger, newest first."""
    found = await visit.ask(visit.calls.items.GetItem, items_service_pb2.GetItemRequest(item_id=visit.path["item_id"]))
    channels = await channel_ids(visit)
    asked = stock_service_pb2.ListMovementsRequest(
        item_id=found.item_id, location_id=visit.query("location"), page_size=ROWS, page_token=visit.query("page")
    )
    told = publications_service_pb2.ListPublicationsRequest(item_id=found.item_id)
    turns = valuation_service_pb2.ListStockTurnoverRequest(item_id=found.item_id)
    balances, sellable, ledger, locations, publications, turnover = await asyncio.gather(
        _all_balances(visit, [found.item_id]),
        _sellable(visit, [found.item_id], channels),
        visit.ask(visit.calls.stock.ListMovements, asked),
        location_ids(visit),
        visit.ask_if("gateway.connections.read", visit.calls.publications.ListPublications, told),
        visit.ask_if("inventory.value.read", visit.calls.valuation.ListStockTurnover, turns),
    )
    levels = [movement.on_hand_after for movement in reversed(ledger.movements)]
    return visit.render(
        "item.html", notice, status, item=found, balances=balances, sellable=sellable.get(found.item_id, {}), movements=ledger.movements,
        following=visit.following(ledger.next_page_token), locations=locations, State=stock_pb2.StockState, by_hand=BY_HAND,
        chart=steps(levels, "On hand after each movement of this page"), kinds=show.choices(stock_service_pb2.ReceiptKind),
        publications=publications.publications if publications is not None else None,
        turnover=turnover.turnovers if turnover is not None else None,
    )  # fmt: skip


async def _receive(visit: Visit) -> Response:
    found = await visit.ask(visit.calls.items.GetItem, items_service_pb2.GetItemRequest(item_id=visit.path["item_id"]))
    currency = found.cost_currency_code or "EUR"
    line = stock_service_pb2.ReceiptLine(
        item_id=found.item_id, quantity=show.whole(visit.field("quantity"), "quantity"), lot=visit.field("lot"),
        value_minor=show.minor(visit.field("value"), currency, "value"), quarantine=visit.field("quarantine") == "on",
    )  # fmt: skip
    request = stock_service_pb2.ReceiveStockRequest(
        request_id=visit.request_id(), location_id=visit.field("location"), reference=visit.field("reference"), lines=[line],
        kind=stock_service_pb2.RECEIPT_KIND_PURCHASE,
    )  # fmt: skip
    await visit.ask(visit.calls.stock.ReceiveStock, request)
    return visit.go(f"/console/stock/{found.item_id}", "received")


async def _adjust(visit: Visit) -> Response:
    """The balance is named with the quantity that the person saw, so that two who saw the same do not both correct it."""
    parts = visit.field("balance").split("|")
    if len(parts) != 4:
        raise InvalidArgument("INVALID_FIELD", "balance: choose one", field="balance")
    location_id, lot, state, seen = parts
    request = stock_service_pb2.AdjustStockRequest(
        request_id=visit.request_id(), item_id=visit.path["item_id"], location_id=location_id, lot=lot, reason=visit.field("reason"),
        state=show.choice(state, "balance"), quantity=show.whole(visit.field("quantity"), "quantity"),
        expected_quantity=show.whole(seen, "balance"),
    )  # fmt: skip
    booked = await visit.ask(visit.calls.stock.AdjustStock, request)
    return visit.go(f"/console/stock/{visit.path['item_id']}", "proposed" if booked.approval_id else "adjusted")


receive = action(_receive, item)
adjust = action(_adjust, item)
