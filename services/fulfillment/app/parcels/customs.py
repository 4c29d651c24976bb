"""GetCustomsDeclaration: the commercial invoice of a parcel, from what orders, catalog and the location's origin say.

What customs would stop is not released: whoever packs it could not send it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from argosy.catalog.v1 import item_pb2
from argosy.common.v1 import address_pb2
from argosy.fulfillment.v1 import parcels_service_pb2
from argosy.orders.v1 import order_pb2
from chassis.kernel.errors import NotFound, Refusal
from chassis.kernel.money import proportion
from chassis.runtime.channels import Channels
from chassis.runtime.database import Database
from chassis.runtime.pipeline import Looking
from chassis.runtime.tx import Tx
from services.fulfillment.app.parcels.set_up import origin_address
from services.fulfillment.clients.articles import Articles
from services.fulfillment.clients.orders import Orders
from services.fulfillment.domain.customs import Goods, crosses_border, missing
from services.fulfillment.store.parcels import CARTONS, ORIGINS, PARCEL_LINES, PARCELS
from services.fulfillment.store.tables import LINES

Declaration = parcels_service_pb2.CustomsDeclaration


class Facts(NamedTuple):
    """What fulfillment itself knows of a parcel."""

    parcel: Any
    inside: Sequence[Any]
    lines: Mapping[str, Any]
    origin: Any
    carton: Any


async def facts_of(tx: Tx, parcel_id: str) -> Facts:
    """Refusals: NO_SUCH_PARCEL."""
    rows = await tx.find(PARCELS, ("parcel_id",), [(parcel_id,)])
    if not rows:
        raise NotFound("NO_SUCH_PARCEL", f"there is no parcel {parcel_id}", field="parcel_id")
    parcel = rows[0]
    inside = await tx.find(PARCEL_LINES, ("parcel_id",), [(parcel_id,)], order=("line_id",))
    lines = await tx.find(LINES, ("fulfillment_order_id",), [(parcel.fulfillment_order_id,)])
    origins = await tx.find(ORIGINS, ("location_id",), [(parcel.location_id,)])
    cartons = await tx.find(CARTONS, ("carton",), [(parcel.carton,)])
    return Facts(parcel, inside, {line.line_id: line for line in lines}, next(iter(origins), None), next(iter(cartons), None))


class Customs:
    """Makes commercial invoices."""

    def __init__(self, channels: Channels) -> None:
        self._articles = Articles(channels)
        self._orders = Orders(channels)

    async def get_customs_declaration(self, asked: Looking) -> Declaration:
        """Refusals: NO_SUCH_PARCEL."""
        async with asked.database.read() as tx:
            facts = await facts_of(tx, asked.request.parcel_id)
        return await self.declare(facts)

    async def prepare(self, requests: Sequence[Any], database: Database) -> Sequence[Sequence[str] | Refusal]:
        """Returns for each release what customs would want and nobody has entered; catalog is asked of what crosses a border only."""
        places = {line.location_id for request in requests for line in request.lines}
        async with database.read() as tx:
            rows = await tx.find(ORIGINS, ("location_id",), [(one,) for one in sorted(places)])
        origins = {row.location_id: (origin_address(row.address).country_code, row.tax_id) for row in rows}
        abroad = [[line for line in request.lines if _leaves(origins, line.location_id, request)] for request in requests]
        items = {line.item_id for lines in abroad for line in lines}
        try:
            articles = await self._articles.of(items) if items else {}
        except Refusal as refusal:
            # Whatever stays at home is released all the same.
            return [refusal if lines else () for lines in abroad]
        return [_missing(lines, articles, origins) for lines in abroad]

    async def declare(self, facts: Facts) -> Declaration:
        """Asks orders and catalog; a parcel of a location without an origin is declared as far as it can be."""
        parcel = facts.parcel
        recipient = await self._orders.ship_to(parcel.order_id)
        sender = origin_address(facts.origin.address) if facts.origin is not None else address_pb2.Address()
        order = await self._orders.with_lines(parcel.order_id)
        declaration = Declaration(
            parcel_id=parcel.parcel_id, order_id=parcel.order_id, sender=sender, recipient=recipient, weight_g=parcel.weight_g,
            currency_code=order.currency_code, terms="DAP", reason="SALE", sender_tax_id=facts.origin.tax_id if facts.origin else "",
        )  # fmt: skip
        # Where nobody says from where it is sent, nobody knows whether it crosses a border.
        declaration.required = bool(sender.country_code) and crosses_border(
            sender.country_code, recipient.country_code, recipient.postal_code
        )
        articles = await self._articles.of(line.item_id for line in facts.lines.values())
        amounts = {line.line_id: line for line in order.lines}
        for one in facts.inside:
            line = facts.lines[one.line_id]
            article = articles.get(line.item_id)
            declaration.lines.add(
                sku=line.sku, quantity=one.quantity, weight_g=line.weight_g * one.quantity,
                value_minor=_value(amounts.get(one.line_id), one.quantity), description=article.name if article else "",
                hs_code=article.hs_code if article else "", origin_country_code=article.origin_country_code if article else "",
            )  # fmt: skip
        declaration.value_minor = sum(line.value_minor for line in declaration.lines)
        if declaration.required:
            goods = [Goods(line.sku, line.description, line.hs_code, line.origin_country_code) for line in declaration.lines]
            declaration.missing.extend(missing(goods, declaration.sender_tax_id))
        return declaration


Origins = Mapping[str, tuple[str, str]]


def _leaves(origins: Origins, location_id: str, request: Any) -> bool:
    """Says whether a customs border lies between; nobody knows where nobody says from where it is sent."""
    to = request.destination
    return location_id in origins and not request.pickup and crosses_border(origins[location_id][0], to.country_code, to.postal_prefix)


def _missing(lines: Sequence[Any], articles: Mapping[str, item_pb2.Item], origins: Origins) -> list[str]:
    found: dict[str, None] = {}
    for line in lines:
        article = articles.get(line.item_id, item_pb2.Item())
        goods = Goods(line.sku, article.name, article.hs_code, article.origin_country_code)
        found.update(dict.fromkeys(missing([goods], origins[line.location_id][1])))
    return list(found)


def _value(line: order_pb2.OrderLine | None, quantity: int) -> int:
    """Returns what units of an order's line are worth without tax, after discount."""
    if line is None:
        return 0
    return proportion(line.amount_minor - line.discount_minor, quantity, max(1, line.ordered * (line.units or 1)))
