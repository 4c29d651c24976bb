"""An order: lines, money, parcels, holds, how it was sourced, what was booked, and everything that happened to it."""

import asyncio
from collections.abc import Sequence

from starlette.responses import Response

from argosy.common.v1 import address_pb2
from argosy.finance.v1 import finance_service_pb2
from argosy.fulfillment.v1 import fulfillment_pb2, fulfillment_service_pb2
from argosy.orders.v1 import changes_service_pb2, offers_service_pb2, order_pb2, orders_service_pb2
from argosy.returns.v1 import returns_service_pb2
from gateway.console import show
from gateway.console.pages.common import holds_about, location_ids
from gateway.console.visit import Notice, Visit, action

HOUR_S = 3600
# More than the contract takes, and less than it can hold.
MOST_HOURS = 100_000
# Of so many lines that wait it is said what could go in their place.
MOST_SUGGESTED = 5
REASONS = ("NOT_AS_EXPECTED", "DAMAGED", "WRONG_ITEM", "TOO_LATE", "NO_LONGER_WANTED")


async def page(
    visit: Visit, notice: Notice | None = None, status: int = 200, impact: changes_service_pb2.ChangeImpact | None = None
) -> Response:
    """Shows it; what the person may not see is left out."""
    order_id, calls = visit.path["order_id"], visit.calls
    order = await visit.ask(calls.orders.GetOrder, orders_service_pb2.GetOrderRequest(order_id=order_id))
    timeline, refunds, ship_to, work, parcels, decisions, entries, invoices, returns, holds, locations, offers = await asyncio.gather(
        visit.ask(calls.orders.GetTimeline, orders_service_pb2.GetTimelineRequest(order_id=order_id)),
        visit.ask(calls.orders.ListRefunds, orders_service_pb2.ListRefundsRequest(order_id=order_id)),
        visit.ask_if("orders.shipto.read", calls.orders.GetShipTo, orders_service_pb2.GetShipToRequest(order_id=order_id)),
        visit.ask_if(
            "fulfillment.orders.read", calls.fulfillment.ListFulfillmentOrders,
            fulfillment_service_pb2.ListFulfillmentOrdersRequest(order_id=order_id),
        ),
        visit.ask_if(
            "fulfillment.orders.read", calls.fulfillment.ListShipments, fulfillment_service_pb2.ListShipmentsRequest(order_id=order_id)
        ),
        visit.ask_if(
            "fulfillment.orders.read", calls.fulfillment.ListDecisions, fulfillment_service_pb2.ListDecisionsRequest(order_id=order_id)
        ),
        visit.ask_if("finance.journal.read", calls.finance.ListEntries, finance_service_pb2.ListEntriesRequest(order_id=order_id)),
        visit.ask_if("finance.journal.read", calls.finance.ListInvoices, finance_service_pb2.ListInvoicesRequest(order_id=order_id)),
        visit.ask_if("returns.returns.read", calls.returns.ListReturns, returns_service_pb2.ListReturnsRequest(order_id=order_id)),
        holds_about(visit, order_id),
        location_ids(visit),
        visit.ask(calls.offers.ListOffers, offers_service_pb2.ListOffersRequest(order_id=order_id)),
    )  # fmt: skip
    waiting = [line for line in order.lines if line.waiting and line.item_id][:MOST_SUGGESTED]
    found = await asyncio.gather(*(_substitutes(visit, order_id, line.line_id) for line in waiting))
    substitutes = [(line, one) for line, of_line in zip(waiting, found, strict=True) for one in of_line]
    return visit.render(
        "order.html", notice, status, order=order, substitutes=substitutes,
        impact=impact, timeline=timeline, refunds=refunds.refunds, holds=holds, reasons=REASONS,
        ship_to=ship_to.address if ship_to is not None else None, work=work.fulfillment_orders if work is not None else None,
        parcels=parcels.shipments if parcels is not None else None, decisions=decisions.decisions if decisions is not None else None,
        entries=entries.entries if entries is not None else None, invoices=invoices.invoices if invoices is not None else None,
        skus={line.line_id: line.sku or line.channel_sku for line in order.lines},
        returns=returns.returns if returns is not None else None, locations=locations,
        Work=fulfillment_pb2.FulfillmentStatus, Return=returns_service_pb2.ReturnStatus, Status=order_pb2.OrderStatus,
        Policy=order_pb2.ShortagePolicy, Tender=order_pb2.TenderState, tender_states=show.choices(order_pb2.TenderState)[:3],
        policies=show.choices(order_pb2.ShortagePolicy), adapters=show.choices(order_pb2.PaymentAdapter),
        offers=offers.offers, Offer=offers_service_pb2.OfferStatus, Otherwise=offers_service_pb2.OfferOtherwise,
        otherwises=show.choices(offers_service_pb2.OfferOtherwise),
    )  # fmt: skip


async def _substitutes(visit: Visit, order_id: str, line_id: str) -> Sequence[offers_service_pb2.Substitute]:
    """Returns what could go in place of a line; nothing where the person could not offer it."""
    asked = offers_service_pb2.FindSubstitutesRequest(order_id=order_id, line_id=line_id)
    found = await visit.ask_if("orders.orders.change", visit.calls.offers.FindSubstitutes, asked)
    return found.substitutes if found is not None else ()


async def _cancel(visit: Visit) -> Response:
    order_id = visit.path["order_id"]
    request = orders_service_pb2.CancelOrderRequest(
        request_id=visit.request_id(), order_id=order_id, reason=visit.field("reason"), etag=visit.field("etag")
    )
    await visit.ask(visit.calls.orders.CancelOrder, request)
    return visit.go(f"/console/orders/{order_id}", "cancelled")


async def _contact(visit: Visit) -> Response:
    order_id = visit.path["order_id"]
    request = orders_service_pb2.SetContactRequest(
        request_id=visit.request_id(), order_id=order_id, email=visit.field("email"), phone=visit.field("phone")
    )
    await visit.ask(visit.calls.orders.SetContact, request)
    return visit.go(f"/console/orders/{order_id}", "reached")


async def _change(visit: Visit) -> Response:
    """Shows first what the change would do, where the person asks for that."""
    order_id, method = visit.path["order_id"], visit.field("method")
    given = address_pb2.Address(
        name=visit.field("name"), company=visit.field("company"), lines=[one for one in visit.field("street").splitlines() if one.strip()],
        locality=visit.field("locality"), region=visit.field("region"), postal_code=visit.field("postal_code"),
        country_code=visit.field("country_code").upper(), phone=visit.field("phone"), email=visit.field("email"),
    )  # fmt: skip
    ship_to = given if given.country_code else None
    currency, policy = visit.field("currency"), show.choice(visit.field("policy"), "policy")
    lines = _line_changes(visit, currency)
    shipping = show.minor(visit.field("shipping"), currency, "shipping") if visit.field("shipping") else None
    if visit.field("step") == "preview":
        asked = changes_service_pb2.PreviewChangeRequest(
            order_id=order_id, ship_to=ship_to, shipping_method=method, lines=lines, shipping_minor=shipping, shortage_policy=policy
        )
        return await page(visit, impact=await visit.ask(visit.calls.changes.PreviewChange, asked))
    request = changes_service_pb2.ChangeOrderRequest(
        request_id=visit.request_id(), order_id=order_id, etag=visit.field("etag"), ship_to=ship_to, shipping_method=method,
        reason=visit.field("reason"), lines=lines, shipping_minor=shipping, shortage_policy=policy,
    )  # fmt: skip
    done = await visit.ask(visit.calls.changes.ChangeOrder, request)
    return visit.go(f"/console/orders/{order_id}", "proposed" if done.approval_id else "changing")


def _line_changes(visit: Visit, currency: str) -> list[changes_service_pb2.LineChange]:
    """Returns what the person made of the lines; one without a quantity stays out of it."""
    wanted = []
    for key in [name.removeprefix("units-") for name in visit.form if name.startswith("units-") and visit.field(name)]:
        line = changes_service_pb2.LineChange(
            line_id="" if key == "new" else key, quantity=show.whole(visit.field(f"units-{key}"), "quantity"),
            channel_sku=visit.field(f"sku-{key}"),
        )  # fmt: skip
        if visit.field(f"amount-{key}"):
            line.amount_minor = show.minor(visit.field(f"amount-{key}"), currency, "costs")
        wanted.append(line)
    return wanted


async def _pay(visit: Visit) -> Response:
    order_id, state = visit.path["order_id"], show.choice(visit.field("state"), "state")
    tender = orders_service_pb2.TenderInput(
        method=visit.field("method"), state=state, adapter=show.choice(visit.field("adapter"), "adapter"),
        amount_minor=show.minor(visit.field("amount"), visit.field("currency"), "amount"), reference=visit.field("reference"),
    )  # fmt: skip
    await visit.ask(
        visit.calls.orders.AddTender, orders_service_pb2.AddTenderRequest(request_id=visit.request_id(), order_id=order_id, tender=tender)
    )
    return visit.go(f"/console/orders/{order_id}", "paid")


async def _offer(visit: Visit) -> Response:
    order_id = visit.path["order_id"]
    hours = max(-1, min(show.whole(visit.field("hours"), "hours"), MOST_HOURS))
    request = offers_service_pb2.OfferSubstituteRequest(
        request_id=visit.request_id(), order_id=order_id, line_id=visit.field("line"), channel_sku=visit.field("sku"),
        quantity=show.whole(visit.field("quantity"), "quantity"), answer_within_s=hours * HOUR_S,
        otherwise=show.choice(visit.field("otherwise"), "otherwise"),
    )  # fmt: skip
    if visit.field("amount"):
        request.amount_minor = show.minor(visit.field("amount"), visit.field("currency"), "amount")
    await visit.ask(visit.calls.offers.OfferSubstitute, request)
    return visit.go(f"/console/orders/{order_id}", "offered")


async def _answer_offer(visit: Visit) -> Response:
    request = offers_service_pb2.AnswerOfferRequest(
        request_id=visit.request_id(), offer_id=visit.path["offer_id"], accepted=visit.field("answer") == "yes"
    )
    await visit.ask(visit.calls.offers.AnswerOffer, request)
    return visit.go(f"/console/orders/{visit.path['order_id']}", "answered")


async def _withdraw_offer(visit: Visit) -> Response:
    request = offers_service_pb2.WithdrawOfferRequest(
        request_id=visit.request_id(), offer_id=visit.path["offer_id"], reason=visit.field("reason")
    )
    await visit.ask(visit.calls.offers.WithdrawOffer, request)
    return visit.go(f"/console/orders/{visit.path['order_id']}", "offer-withdrawn")


async def _authorise(visit: Visit) -> Response:
    names = [name for name in visit.form if name.startswith("quantity-")]
    quantities = {name.removeprefix("quantity-"): show.whole(visit.field(name), "quantity") for name in names}
    lines = [
        returns_service_pb2.ReturnLineInput(line_id=line_id, quantity=quantity, reason=visit.field("reason"))
        for line_id, quantity in quantities.items()
        if quantity
    ]
    request = returns_service_pb2.AuthorizeReturnRequest(
        request_id=visit.request_id(), order_id=visit.path["order_id"], location_id=visit.field("location"), lines=lines
    )
    opened = await visit.ask(visit.calls.returns.AuthorizeReturn, request)
    return visit.go(f"/console/returns/{opened.return_id}", "authorised")


cancel = action(_cancel, page)
change = action(_change, page)
contact = action(_contact, page)
pay = action(_pay, page)
offer = action(_offer, page)
answer_offer = action(_answer_offer, page)
withdraw_offer = action(_withdraw_offer, page)
authorise = action(_authorise, page)
