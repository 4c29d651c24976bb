"""What could go in place of a line: catalog names and prices it, fulfillment says whether it could be shipped."""

from typing import Any

from argosy.catalog.v1 import items_service_pb2
from argosy.catalog.v1.items_service_pb2_grpc import ItemsServiceStub
from argosy.common.v1 import address_pb2
from argosy.fulfillment.v1 import fulfillment_service_pb2, promise_service_pb2
from argosy.fulfillment.v1.promise_service_pb2_grpc import PromiseServiceStub
from argosy.orders.v1 import offers_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.runtime.channels import Channels

WITHIN_S = 5


class Substitutes:
    """Asks the others."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def of(self, order: Any, line: Any, customer_group: str) -> offers_service_pb2.FindSubstitutesResponse:
        """Returns what could go in place of what is left of a line, the first to try first."""
        items, response = ItemsServiceStub(self._channels.to("catalog")), offers_service_pb2.FindSubstitutesResponse()
        asked = items_service_pb2.FindSubstitutesRequest(item_id=line.item_id, channel_id=order.channel_id, country_code=order.country_code)
        left = line.waiting + line.reserved
        for found in (await items.FindSubstitutes(asked, timeout=WITHIN_S)).substitutes:
            response.substitutes.add(
                item_id=found.item_id, sku=found.sku, name=found.name, channel_sku=found.channel_sku, quantity=-(-left // found.units),
                list_amount_minor=-1, unfit=found.unfit, currency_code=order.currency_code,
            )  # fmt: skip
        fit = [one for one in response.substitutes if not one.unfit]
        if fit:
            await self._price(items, order, fit, customer_group)
        return response

    async def _price(self, items: Any, order: Any, fit: list[offers_service_pb2.Substitute], customer_group: str) -> None:
        request = items_service_pb2.ResolveLinesRequest()
        request.orders.add(
            channel_id=order.channel_id, channel_skus=[one.channel_sku for one in fit], quantities=[one.quantity for one in fit],
            placed_at=to_timestamp(order.placed_at), currency_code=order.currency_code, customer_group=customer_group,
        )  # fmt: skip
        resolved = (await items.ResolveLines(request, timeout=WITHIN_S)).orders[0].lines
        to = address_pb2.Destination(country_code=order.country_code, region=order.region, postal_prefix=order.postal_prefix)
        quote = promise_service_pb2.QuotePromiseRequest(
            channel_id=order.channel_id, entity=order.entity, destination=to, currency_code=order.currency_code,
            methods=[order.shipping_method],
            lines=[
                fulfillment_service_pb2.PlanLine(
                    line_id=one.item_id, item_id=one.item_id, quantity=one.quantity * item.units, weight_g=item.weight_g
                )
                for one, item in zip(fit, resolved, strict=True)
            ],
        )  # fmt: skip
        quoted = await PromiseServiceStub(self._channels.to("fulfillment")).QuotePromise(quote, timeout=WITHIN_S)
        short = {one.line_id: one.quantity for one in quoted.quotes[0].short}
        for one, item in zip(fit, resolved, strict=True):
            one.short_units = short.get(one.item_id, 0)
            if item.list_price_minor >= 0:
                one.list_amount_minor, one.price_includes_tax = item.list_price_minor * one.quantity, item.price_includes_tax
