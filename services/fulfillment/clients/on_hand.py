"""Asks inventory what is on hand at a location, and what of it is kept for orders."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from argosy.inventory.v1 import reservations_service_pb2, stock_pb2, stock_service_pb2
from argosy.inventory.v1.reservations_service_pb2_grpc import ReservationsServiceStub
from argosy.inventory.v1.stock_service_pb2_grpc import StockServiceStub
from chassis.runtime.channels import Channels

ROWS = 500
EXPECTED = {stock_pb2.STOCK_STATE_INCOMING, stock_pb2.STOCK_STATE_IN_TRANSIT, stock_pb2.STOCK_STATE_RETURN_PENDING}


class Held(NamedTuple):
    """Units of a lot that are kept for a line of an order."""

    item_id: str
    lot: str
    quantity: int


class OnHand:
    """What is on hand, and for whom."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def page(self, location_id: str, size: int, token: str) -> tuple[dict[str, int], str]:
        """Returns what is on hand of the items of a page, and the next page's token."""
        stub = StockServiceStub(self._channels.to("inventory"))
        first = stock_service_pb2.ListBalancesRequest(location_id=location_id, page_size=size or ROWS, page_token=token)
        found = await stub.ListBalances(first)
        on_hand: Counter[str] = Counter()
        items = sorted({one.item_id for one in found.balances})
        request = stock_service_pb2.ListBalancesRequest(location_id=location_id, item_ids=items, page_size=ROWS)
        while items:
            answer = await stub.ListBalances(request)
            for one in answer.balances:
                on_hand[one.item_id] += 0 if one.state in EXPECTED else one.quantity
            request.page_token = answer.next_page_token
            if not answer.next_page_token:
                break
        return dict(on_hand), found.next_page_token

    async def kept_for(self, order_ids: Sequence[str], location_id: str) -> dict[tuple[str, str], list[Held]]:
        """Returns what is kept at a location for orders, by order and line; a kit's as its components."""
        stub = ReservationsServiceStub(self._channels.to("inventory"))
        request = reservations_service_pb2.ListReservationsRequest(owner_ids=order_ids, location_id=location_id, page_size=ROWS)
        kept: defaultdict[tuple[str, str], list[Held]] = defaultdict(list)
        while order_ids:
            answer = await stub.ListReservations(request)
            for one in answer.reservations:
                if quantity := one.reserved + one.allocated:
                    kept[one.owner_id, one.line_id].append(Held(one.item_id, one.lot, quantity))
            request.page_token = answer.next_page_token
            if not answer.next_page_token:
                break
        return kept
