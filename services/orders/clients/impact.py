"""What a change would do: finance says the tax, fulfillment from where and until when."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from argosy.common.v1 import address_pb2
from argosy.finance.v1 import finance_service_pb2
from argosy.finance.v1.finance_service_pb2_grpc import FinanceServiceStub
from argosy.fulfillment.v1 import fulfillment_service_pb2, promise_service_pb2
from argosy.fulfillment.v1.promise_service_pb2_grpc import PromiseServiceStub
from argosy.orders.v1 import changes_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.runtime.channels import Channels

WITHIN_S = 5


class Impacts:
    """Asks the others."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def of(self, order: Any, lines: Sequence[Any], after: Mapping[str, Any], *, exempt: bool) -> changes_service_pb2.ChangeImpact:
        """Returns what an order would cost and when it would arrive as it would be."""
        to = address_pb2.Destination(country_code=after["country_code"], region=after["region"], postal_prefix=after["postal_prefix"])
        taxed, quote = await asyncio.gather(
            self._tax(order, lines, to, exempt=exempt), self._quote(order, lines, to, after["shipping_method"])
        )
        before = sum(line.tax_minor for line in lines) + order.shipping_tax_minor
        computed = sum(taxed.line_tax_minor) + taxed.shipping_tax_minor
        tax = before if order.tax_charged or taxed.unknown else computed
        impact = changes_service_pb2.ChangeImpact(
            total_before_minor=order.total_minor, total_after_minor=order.total_minor + tax - before, tax_before_minor=before,
            tax_after_minor=tax, tax_unknown=taxed.unknown, currency_code=order.currency_code,
            deliver_by_before=to_timestamp(order.expected_by) if order.expected_by is not None else None,
        )  # fmt: skip
        if quote is not None:
            # What is not waiting is reserved, and can be again.
            waiting = {line.line_id for line in lines if line.waiting}
            impact.short_units = sum(one.quantity for one in quote.short if one.line_id in waiting)
            if quote.HasField("deliver_by"):
                impact.deliver_by_after.CopyFrom(quote.deliver_by)
        return impact

    async def _tax(self, order: Any, lines: Sequence[Any], to: address_pb2.Destination, *, exempt: bool) -> Any:
        request = finance_service_pb2.CalculateTaxRequest()
        placed_at = to_timestamp(order.placed_at)
        asked = request.orders.add(destination=to, placed_at=placed_at, shipping_minor=order.shipping_minor, exempt=exempt)
        for line in lines:
            asked.lines.add(tax_class=line.tax_class, net_minor=line.amount_minor - line.discount_minor)
        answer = await FinanceServiceStub(self._channels.to("finance")).CalculateTax(request, timeout=WITHIN_S)
        return answer.orders[0]

    async def _quote(self, order: Any, lines: Sequence[Any], to: address_pb2.Destination, method: str) -> promise_service_pb2.Quote | None:
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
