"""What notices tell of: the event, the order as it is now, what its items are called, and whom to tell, asked when it is sent."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from google.protobuf.timestamp_pb2 import Timestamp

from argosy.catalog.v1 import items_service_pb2
from argosy.catalog.v1.items_service_pb2_grpc import ItemsServiceStub
from argosy.common.v1 import address_pb2
from argosy.fulfillment.v1 import parcels_service_pb2
from argosy.fulfillment.v1.parcels_service_pb2_grpc import ParcelsServiceStub
from argosy.gateway.v1 import notices_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from argosy.orders.v1.orders_service_pb2_grpc import OrdersServiceStub
from chassis.kernel.clock import SECOND, day_of
from chassis.kernel.errors import Refusal
from chassis.kernel.money import shown
from chassis.runtime.channels import Channels

WITHIN_S = 10
MOST_ITEMS = 500
Kind = notices_service_pb2


class Known(NamedTuple):
    """What is known of an order when its customer is told."""

    order: order_pb2.Order
    name: str
    email: str
    articles: Mapping[str, str]
    places: Mapping[str, address_pb2.Address]


class Asker:
    """Asks orders and catalog."""

    def __init__(self, channels: Channels) -> None:
        self._orders = OrdersServiceStub(channels.to("orders"))
        self._items = ItemsServiceStub(channels.to("catalog"))
        self._parcels = ParcelsServiceStub(channels.to("fulfillment"))

    async def ask(self, order_ids: Sequence[str], others: Sequence[str] = ()) -> tuple[dict[str, Known], dict[str, Refusal]]:
        """Returns what is known of each order, and why nothing is of the rest; raises a Refusal where catalog does not answer.

        `others` are items that are in none of them.
        """
        unique = sorted(set(order_ids))
        answers = await asyncio.gather(*(self._order(order_id) for order_id in unique), return_exceptions=True)
        refused = {order_id: one for order_id, one in zip(unique, answers, strict=True) if isinstance(one, Refusal)}
        pairs = []
        for one in answers:
            if not isinstance(one, BaseException):
                pairs.append(one)
            elif not isinstance(one, Refusal):
                raise one
        item_ids = sorted({line.item_id for order, _ in pairs for line in order.lines if line.item_id} | set(others))
        names: dict[str, str] = {}
        for start in range(0, len(item_ids), MOST_ITEMS):
            request = items_service_pb2.FindItemsRequest(item_ids=item_ids[start : start + MOST_ITEMS])
            names.update({one.item_id: one.name for one in (await self._items.FindItems(request, timeout=WITHIN_S)).items})
        places = await self._places() if any(order.pickup_location_id for order, _ in pairs) else {}
        known = {order.order_id: Known(order, ship_to.address.name, ship_to.email, names, places) for order, ship_to in pairs}
        return known, refused

    async def _places(self) -> dict[str, address_pb2.Address]:
        """Returns where locations are, as far as anybody said."""
        found, token = {}, ""
        while True:
            request = parcels_service_pb2.ListOriginsRequest(page_size=MOST_ITEMS, page_token=token)
            answer = await self._parcels.ListOrigins(request, timeout=WITHIN_S)
            found.update({one.location_id: one.address for one in answer.origins})
            if not (token := answer.next_page_token):
                return found

    async def _order(self, order_id: str) -> tuple[order_pb2.Order, orders_service_pb2.ShipTo]:
        order, ship_to = await asyncio.gather(
            self._orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id), timeout=WITHIN_S),
            self._orders.GetShipTo(orders_service_pb2.GetShipToRequest(order_id=order_id), timeout=WITHIN_S),
        )
        return order, ship_to


def made_up() -> Known:
    """Returns an order of nobody, to try templates with."""
    lines = [
        order_pb2.OrderLine(line_id="1", item_id="a", sku="MUG-1", ordered=2, shipped=1, units=1, amount_minor=3000, tax_minor=570),
        order_pb2.OrderLine(line_id="2", item_id="b", sku="POT-3", ordered=1, units=1, amount_minor=4900, tax_minor=931),
    ]
    order = order_pb2.Order(
        order_id="0192f000-0000-7000-8000-000000000001", channel_id="web", external_order_id="W-10023", currency_code="EUR", lines=lines,
        total_minor=9996,
    )  # fmt: skip
    order.placed_at.FromJsonString("2026-03-02T09:30:00Z")
    order.promised_by.FromJsonString("2026-03-06T00:00:00Z")
    order.expected_by.FromJsonString("2026-03-09T00:00:00Z")
    place = address_pb2.Address(company="Harbour Store", lines=["Quay 7"], postal_code="20457", locality="Hamburg", country_code="DE")
    return Known(order, "Ada Example", "ada@example.com", {"a": "Mug, blue", "b": "Teapot, 1.2 l", "c": "Teapot, 1.4 l"}, {"STORE": place})


def made_up_link(offer_id: str) -> str:
    """Returns where nobody answers an offer."""
    return f"https://shop.example/offers/{offer_id}"


def made_up_event(kind: int) -> dict[str, Any]:
    """Returns what an event of nobody's order says."""
    match kind:
        case Kind.NOTICE_KIND_CHANGED:
            return {"lines_changed": True}
        case Kind.NOTICE_KIND_DELAYED:
            return {"promised_by": "2026-03-06T00:00:00Z", "expected_by": "2026-03-09T00:00:00Z"}
        case Kind.NOTICE_KIND_SHIPPED:
            return {"carrier": "PARCELCO", "tracking_number": "PC123456789", "lines": [{"line_id": "1", "quantity": 1}]}
        case Kind.NOTICE_KIND_DELIVERED:
            return {"carrier": "PARCELCO", "tracking_number": "PC123456789", "lines": [{"line_id": "1", "quantity": 2}]}
        case Kind.NOTICE_KIND_SUBSTITUTE_OFFERED:
            return {
                "offer_id": "0192f000-0000-7000-8000-000000000003",
                "line_id": "2",
                "channel_sku": "POT-4",
                "item_id": "c",
                "quantity": 1,
                "saving_minor": 500,
                "currency_code": "EUR",
                "answer_by": "2026-03-04T12:00:00Z",
                "cancels_otherwise": True,
            }
        case Kind.NOTICE_KIND_CANCELLED:
            return {"units": 1}
        case Kind.NOTICE_KIND_RETURN_OPENED:
            return {"return_id": "0192f000-0000-7000-8000-000000000002", "lines": [{"line_id": "1", "quantity": 1}]}
        case Kind.NOTICE_KIND_REFUNDED:
            return {"amount_minor": 3570}
        case Kind.NOTICE_KIND_READY_FOR_PICKUP:
            return {"location_id": "STORE", "collect_by": "2026-03-16T00:00:00Z", "lines": [{"line_id": "1", "quantity": 2}]}
        case _:
            return {}


def facts_of(
    kind: int, event: Mapping[str, Any], known: Known, shop_name: str, language: str, link: Callable[[str], str]
) -> dict[str, Any]:
    """Returns what a template of this kind may tell, amounts and dates as they are written in the language.

    `link` says where the customer answers an offer, by its id.
    """
    order, locale = known.order, _locale(language)
    facts: dict[str, Any] = {
        "shop": {"name": shop_name},
        "customer": {"name": known.name},
        "order": {
            "number": order.external_order_id, "placed_on": _on(order.placed_at.ToMicroseconds(), locale),
            "expected_on": _until(order.expected_by, locale), "promised_on": _until(order.promised_by, locale),
            "total": shown(order.total_minor, order.currency_code, str(locale)),
            "lines": [_line(line, known, locale) for line in order.lines if line.ordered],
        },
    }  # fmt: skip
    match kind:
        case Kind.NOTICE_KIND_CHANGED:
            facts["change"] = {"of_lines": bool(event.get("lines_changed"))}
        case Kind.NOTICE_KIND_DELAYED:
            facts["delay"] = {"promised_on": _told(event["promised_by"], locale), "expected_on": _told(event["expected_by"], locale)}
        case Kind.NOTICE_KIND_SHIPPED:
            to_come = sum(line.waiting + line.reserved for line in order.lines)
            facts["parcel"] = {
                "carrier": event.get("carrier", ""), "tracking_number": event.get("tracking_number", ""), "is_last": not to_come,
                "lines": _units(event, known, in_stock=True),
            }  # fmt: skip
        case Kind.NOTICE_KIND_DELIVERED:
            facts["parcel"] = {
                "carrier": event.get("carrier", ""), "tracking_number": event.get("tracking_number", ""),
                "lines": _units(event, known, in_stock=True),
            }  # fmt: skip
        case Kind.NOTICE_KIND_SUBSTITUTE_OFFERED:
            saving = int(event.get("saving_minor", 0))
            line = next((one for one in order.lines if one.line_id == event["line_id"]), order_pb2.OrderLine())
            facts["offer"] = {
                "instead_of": _name(line, known), "name": known.articles.get(event["item_id"], "") or event["channel_sku"],
                "quantity": int(event["quantity"]), "saving": shown(saving, order.currency_code, str(locale)) if saving else "",
                "answer_by": _told(event["answer_by"], locale), "cancels_otherwise": bool(event.get("cancels_otherwise")),
                "link": link(event["offer_id"]),
            }  # fmt: skip
        case Kind.NOTICE_KIND_CANCELLED:
            all_gone = all(line.cancelled >= line.ordered for line in order.lines)
            facts["cancelled"] = {"units": int(event["units"]), "is_all": all_gone}
        case Kind.NOTICE_KIND_RETURN_OPENED:
            facts["returned"] = {"number": event["return_id"], "lines": _units(event, known, in_stock=False)}
        case Kind.NOTICE_KIND_REFUNDED:
            facts["refund"] = {"amount": shown(int(event["amount_minor"]), order.currency_code, str(locale))}
        case Kind.NOTICE_KIND_READY_FOR_PICKUP:
            place = known.places.get(event["location_id"], address_pb2.Address())
            street = [*place.lines, f"{place.postal_code} {place.locality}".strip()]
            facts["pickup"] = {
                "place": place.company or place.name or event["location_id"], "address": ", ".join(part for part in street if part),
                "collect_by": _told(event["collect_by"], locale), "lines": _units(event, known, in_stock=True),
            }  # fmt: skip
    return facts


def as_json(facts: Mapping[str, Any]) -> str:
    """Returns facts for people who write templates."""
    return json.dumps(facts, indent=2, ensure_ascii=False)


def _line(line: order_pb2.OrderLine, known: Known, locale: Locale) -> dict[str, Any]:
    worth = line.amount_minor - line.discount_minor + line.tax_minor
    return {
        "sku": line.sku or line.channel_sku, "name": _name(line, known), "quantity": line.ordered,
        "amount": shown(worth, known.order.currency_code, str(locale)),
    }  # fmt: skip


def _units(event: Mapping[str, Any], known: Known, *, in_stock: bool) -> list[dict[str, Any]]:
    """Returns an event's lines in the channel's units, which customers know; a part of one counts as one."""
    lines = {line.line_id: line for line in known.order.lines}
    told = []
    for one in event.get("lines", ()):
        if one["line_id"] in lines:
            line = lines[one["line_id"]]
            each = max(1, line.units) if in_stock else 1
            quantity = -(-int(one["quantity"]) // each)
            told.append({"sku": line.sku or line.channel_sku, "name": _name(line, known), "quantity": quantity})
    return told


def _name(line: order_pb2.OrderLine, known: Known) -> str:
    return known.articles.get(line.item_id, "") or line.sku or line.channel_sku


def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en")


def _until(moment: Timestamp, locale: Locale) -> str:
    """Returns the last day before a moment, as by when something arrives is kept; nothing where nobody said."""
    return _on(moment.ToMicroseconds() - SECOND, locale) if moment.seconds else ""


def _told(moment: str, locale: Locale) -> str:
    return format_date((datetime.fromisoformat(moment) - timedelta(seconds=1)).date(), "long", locale)


def _on(moment: int, locale: Locale) -> str:
    return format_date(date.fromisoformat(day_of(moment)), "long", locale)
