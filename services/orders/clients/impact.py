"""What a change would do: finance says the tax, fulfillment from where and until when."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from argosy.catalog.v1 import items_service_pb2
from argosy.catalog.v1.items_service_pb2_grpc import ItemsServiceStub
from argosy.common.v1 import address_pb2
from argosy.finance.v1 import finance_service_pb2
from argosy.finance.v1.finance_service_pb2_grpc import FinanceServiceStub
from argosy.fulfillment.v1 import fulfillment_service_pb2, promise_service_pb2
from argosy.fulfillment.v1.promise_service_pb2_grpc import PromiseServiceStub
from argosy.orders.v1 import changes_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import InvalidArgument
from chassis.runtime.channels import Channels
from services.orders.domain.amounts import (
    open_worth,
    shipped_worth,
    shipping_open,
    shipping_shipped,
    shipping_tax,
    worth_left,
    worth_shipped,
)
from services.orders.domain.line_changes import LineChange

WITHIN_S = 5


class Wish(NamedTuple):
    """An order, what it would say, what would become of its lines, and its customer, where it has one."""

    row: Any
    lines: Sequence[Any]
    after: Mapping[str, Any]
    changed: Sequence[LineChange]
    customer: Any | None


class _Line(NamedTuple):
    """A line as it would be; `waiting` and `ordered` in stock units."""

    line_id: str
    item_id: str
    tax_class: str
    weight_g: int
    ordered: int
    waiting: int
    net_minor: int
    tax_minor: int


class Impacts:
    """Asks the others."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def of(self, wish: Wish) -> changes_service_pb2.ChangeImpact:
        """Returns what an order would cost and when it would arrive as it would be. Refusals: UNKNOWN_SKU."""
        order, after = wish.row, wish.after
        to = address_pb2.Destination(country_code=after["country_code"], region=after["region"], postal_prefix=after["postal_prefix"])
        lines = await self._lines(wish)
        taxed, quote = await asyncio.gather(self._tax(wish, lines, to), self._quote(order, lines, to, after["shipping_method"]))
        rows = [line._mapping for line in wish.lines]
        shipped, left = shipping_shipped(order._mapping, rows), shipping_open(order._mapping, rows)
        shipping = after["shipping_minor"] - shipped.product_minor
        before = sum(open_worth(row).tax_minor for row in rows) + left.tax_minor
        if order.tax_charged:
            tax = sum(line.tax_minor for line in lines) + shipping_tax(left.tax_minor, left.product_minor, shipping)
        else:
            tax = before if taxed.unknown else sum(taxed.line_tax_minor) + taxed.shipping_tax_minor
        # What has shipped stays what it was.
        stays, tax_stays = worth_shipped(order._mapping, rows), sum(shipped_worth(row).tax_minor for row in rows) + shipped.tax_minor
        impact = changes_service_pb2.ChangeImpact(
            total_before_minor=stays + worth_left(order._mapping, rows),
            total_after_minor=stays + sum(line.net_minor for line in lines) + shipping + tax,
            tax_before_minor=tax_stays + before, tax_after_minor=tax_stays + tax, tax_unknown=taxed.unknown,
            currency_code=order.currency_code,
            deliver_by_before=to_timestamp(order.expected_by) if order.expected_by is not None else None,
        )  # fmt: skip
        if quote is not None:
            # What is not waiting is reserved, and can be again.
            waiting = {line.line_id for line in lines if line.waiting}
            impact.short_units = sum(one.quantity for one in quote.short if one.line_id in waiting)
            if quote.HasField("deliver_by"):
                impact.deliver_by_after.CopyFrom(quote.deliver_by)
        return impact

    async def offered(self, wish: Wish) -> tuple[str, int]:
        """Returns the item that goes in place of a line, and how many of its stock units nothing could ship. Refusals: UNKNOWN_SKU."""
        added = [one for one in wish.changed if one.quantity]
        (item,) = await self._meanings(wish, added)
        after, units = wish.after, added[0].quantity * item.units
        to = address_pb2.Destination(country_code=after["country_code"], region=after["region"], postal_prefix=after["postal_prefix"])
        quote = await self._quote(wish.row, [_line(added[0].line_id, item, units, units, 0, 0)], to, after["shipping_method"])
        return str(item.item_id), sum(one.quantity for one in quote.short) if quote is not None else 0

    async def _lines(self, wish: Wish) -> list[_Line]:
        """Returns what is left of the lines as it would be; what is more of one than before, and what is new, would have to be found."""
        changed = {one.line_id: one for one in wish.changed}
        lines = []
        for row in wish.lines:
            one = changed.pop(row.line_id, None)
            left = row.ordered - row.shipped - row.cancelled
            if one is None and left:
                worth = open_worth(row._mapping)
                net = worth.product_minor - worth.discount_minor
                lines.append(_line(row.line_id, row, left, row.waiting, net, worth.tax_minor))
            elif one is not None and one.quantity:
                units = one.quantity * row.units
                waiting = max(0, units - (left - row.waiting))
                lines.append(_line(row.line_id, row, units, waiting, one.amount_minor - one.discount_minor, one.tax_minor))
        added = list(changed.values())
        for one, item in zip(added, await self._meanings(wish, added), strict=True):
            units = one.quantity * item.units
            lines.append(_line(one.line_id, item, units, units, one.amount_minor - one.discount_minor, one.tax_minor))
        return lines

    async def _meanings(self, wish: Wish, added: Sequence[LineChange]) -> Sequence[Any]:
        """Returns what SKUs mean that the order does not have yet; raises InvalidArgument for one that is unknown."""
        if not added:
            return ()
        order, request = wish.row, items_service_pb2.ResolveLinesRequest()
        request.orders.add(
            channel_id=order.channel_id, channel_skus=[one.channel_sku for one in added], quantities=[one.quantity for one in added],
            placed_at=to_timestamp(order.placed_at), currency_code=order.currency_code,
            customer_group=wish.customer.customer_group if wish.customer is not None else "",
        )  # fmt: skip
        answer = await ItemsServiceStub(self._channels.to("catalog")).ResolveLines(request, timeout=WITHIN_S)
        found = answer.orders[0].lines
        for one, item in zip(added, found, strict=True):
            if not item.item_id:
                text = f"{one.channel_sku} is not known or not sold in {order.channel_id}; list it first, or name another"
                raise InvalidArgument("UNKNOWN_SKU", text, field="lines")
        return found

    async def _tax(self, wish: Wish, lines: Sequence[_Line], to: address_pb2.Destination) -> Any:
        request = finance_service_pb2.CalculateTaxRequest()
        shipped = shipping_shipped(wish.row._mapping, [line._mapping for line in wish.lines])
        asked = request.orders.add(
            destination=to, placed_at=to_timestamp(wish.row.placed_at), shipping_minor=wish.after["shipping_minor"] - shipped.product_minor,
            exempt=wish.customer is not None and bool(wish.customer.tax_exemption),
        )  # fmt: skip
        for line in lines:
            asked.lines.add(tax_class=line.tax_class, net_minor=line.net_minor)
        answer = await FinanceServiceStub(self._channels.to("finance")).CalculateTax(request, timeout=WITHIN_S)
        return answer.orders[0]

    async def _quote(
        self, order: Any, lines: Sequence[_Line], to: address_pb2.Destination, method: str
    ) -> promise_service_pb2.Quote | None:
        """What is reserved for the order already counts as not there: it would be given back first."""
        wanted = [
            fulfillment_service_pb2.PlanLine(line_id=line.line_id, item_id=line.item_id, quantity=line.waiting, weight_g=line.weight_g)
            for line in lines if line.item_id and line.waiting
        ]  # fmt: skip
        wanted = wanted or [
            fulfillment_service_pb2.PlanLine(line_id=line.line_id, item_id=line.item_id, quantity=1, weight_g=line.weight_g)
            for line in lines if line.item_id
        ]  # fmt: skip
        if not wanted:
            return None
        request = promise_service_pb2.QuotePromiseRequest(
            channel_id=order.channel_id, entity=order.entity, destination=to, lines=wanted[:200], currency_code=order.currency_code,
            methods=[method],
        )  # fmt: skip
        answer = await PromiseServiceStub(self._channels.to("fulfillment")).QuotePromise(request, timeout=WITHIN_S)
        return answer.quotes[0]


def _line(line_id: str, item: Any, ordered: int, waiting: int, net_minor: int, tax_minor: int) -> _Line:
    return _Line(line_id, item.item_id, item.tax_class, item.weight_g, ordered, waiting, net_minor, tax_minor)
