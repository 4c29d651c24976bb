"""Something else in place of what is short: the customer is asked, and what they say, or do not say, is done."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from argosy.catalog.v1 import channels_service_pb2, item_pb2, items_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import offers_service_pb2 as pb
from argosy.orders.v1 import order_pb2, orders_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from gateway.http.offers import Links
from suite.up import running_suite
from tests.builders import eventually, open_shop, order, publish_item, receive, until_released, until_status
from tests.mailbox import Mailbox, taking_mail
from tests.service.stockroom import refused
from tests.suite.test_notices import SENT, route, sent, to, words

URL = "https://orders.harbour.example"
CANCEL, WAIT = pb.OFFER_OTHERWISE_CANCEL, pb.OFFER_OTHERWISE_WAIT
HELD, OPEN, CANCELLED = order_pb2.ORDER_STATUS_ON_HOLD, order_pb2.ORDER_STATUS_OPEN, order_pb2.ORDER_STATUS_CANCELLED


class Shop:
    """A suite where MUG-1 is gone and PLATE-1, listed as P-1, is there."""

    def __init__(self, calls: Calls, mailbox: Mailbox, http: httpx.AsyncClient) -> None:
        self.calls, self.mailbox, self.http = calls, mailbox, http
        self.item_id = ""

    async def short(self, number: str) -> order_pb2.Order:
        """Returns an order of two mugs that waits for stock."""
        placed = await self.calls.orders.CreateOrder(order(number, 2, ship_to=to("ada@example.com"), language="fr"))
        return await until_status(self.calls, placed.order_id, HELD)

    async def offer(self, waiting: order_pb2.Order, **values: Any) -> pb.Offer:
        given = {"request_id": new_id(), "order_id": waiting.order_id, "line_id": waiting.lines[0].line_id, "channel_sku": "P-1"}
        return await self.calls.offers.OfferSubstitute(pb.OfferSubstituteRequest(**{**given, "otherwise": WAIT, **values}))

    async def answer(self, offer: pb.Offer, *, accepted: bool) -> pb.Offer:
        return await self.calls.offers.AnswerOffer(pb.AnswerOfferRequest(request_id=new_id(), offer_id=offer.offer_id, accepted=accepted))

    async def until_ended(self, offer: pb.Offer) -> pb.Offer:
        async def look() -> pb.Offer | None:
            found = await self.calls.offers.GetOffer(pb.GetOfferRequest(offer_id=offer.offer_id))
            return found if found.HasField("ended_at") else None

        return await eventually(look)  # type: ignore[no-any-return]

    async def get(self, order_id: str) -> order_pb2.Order:
        return await self.calls.orders.GetOrder(orders_service_pb2.GetOrderRequest(order_id=order_id))


@asynccontextmanager
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    with taking_mail() as (mailbox, url):
        changed = settings.model_copy(update={"smtp_url": url, "public_url": URL + "/"})
        base = f"http://{settings.host}:{settings.http_port}"
        async with running_suite(changed) as suite, httpx.AsyncClient(base_url=base, timeout=20) as http:
            calls = Calls(suite.channels)
            await open_shop(calls, {"BER": 1})
            await until_released(calls, (await calls.orders.CreateOrder(order("W-0"))).order_id)
            await calls.notices.SetNoticeRoute(route())
            own = Shop(calls, mailbox, http)
            own.item_id = await publish_item(calls, "PLATE-1", name="Assiette <bleue>")
            await receive(calls, own.item_id, "BER", 10, 8_000)
            await calls.sales_channels.CreateListing(
                channels_service_pb2.CreateListingRequest(
                    request_id=new_id(), channel_id="web", channel_sku="P-1", item_id=own.item_id, units=1
                )
            )
            yield own
            assert (await prove(suite.channels, settled=True)).breaks == []


async def test_what_may_be_offered_is_ranked_priced_and_looked_for(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as own:
        calls = own.calls
        vase = await publish_item(calls, "VASE-1", restricted_countries=["DE"])
        bowl = await publish_item(calls, "BOWL-1")
        (mug,) = (await calls.items.FindItems(items_service_pb2.FindItemsRequest(skus=["MUG-1"]))).items
        named = (
            "sku", "name", "brand", "tax_class", "weight_g", "hs_code", "origin_country_code", "standard_cost_minor", "cost_currency_code",
        )  # fmt: skip
        given = item_pb2.ItemInput(
            **{name: getattr(mug, name) for name in named},
            substitutes=[
                item_pb2.Substitute(item_id=bowl, rank=3, condition='country == "FR"'), item_pb2.Substitute(item_id=vase, rank=2),
                item_pb2.Substitute(item_id=own.item_id, rank=1, condition='channel == "web"'),
            ],
        )  # fmt: skip
        wrong = items_service_pb2.UpdateItemRequest(request_id=new_id(), item_id=mug.item_id, item=given)
        wrong.item.substitutes[0].condition = "colour == 1"
        refusal = await refused("INVALID_FIELD", calls.items.UpdateItem(wrong))
        assert refusal.field == "item.substitutes[0].condition"
        await calls.items.UpdateItem(items_service_pb2.UpdateItemRequest(request_id=new_id(), item_id=mug.item_id, item=given))
        price = channels_service_pb2.SetPriceRequest(request_id=new_id(), item_id=own.item_id, currency_code="EUR", amount_minor=900)
        await calls.sales_channels.SetPrice(price)

        waiting = await own.short("W-1")
        asked = pb.FindSubstitutesRequest(order_id=waiting.order_id, line_id=waiting.lines[0].line_id)
        first, second, third = (await calls.offers.FindSubstitutes(asked)).substitutes
        assert (first.channel_sku, first.quantity, first.list_amount_minor, first.short_units, first.unfit) == ("P-1", 2, 1800, 0, "")
        assert (second.unfit, third.unfit) == ("it must not go to DE", 'only where country == "FR"')
        asked.line_id = "nobody"
        await refused("NO_SUCH_LINE", calls.offers.FindSubstitutes(asked))


async def test_a_customer_takes_what_is_offered_by_the_link_that_they_are_sent(settings: Settings) -> None:
    async with shop(settings) as own:
        waiting = await own.short("W-1")
        offer = await own.offer(waiting, amount_minor=waiting.lines[0].amount_minor - 100, otherwise=CANCEL)
        assert (offer.status, offer.quantity, offer.channel_sku_before) == (pb.OFFER_STATUS_OPEN, 2, "MUG-1")
        told = await sent(own.calls, waiting.order_id, *[SENT] * 2)
        assert [one.kind for one in told] == [1, 10]
        letter = words(own.mailbox.taken[-1])
        # What goes back is told with its tax.
        assert "2 × Assiette <bleue>" in letter
        assert "1,19" in letter
        (link,) = re.findall(rf"{URL}(/offers/\S+)", letter)
        page = await own.http.get(link)
        assert (page.status_code, page.headers["referrer-policy"]) == (200, "same-origin")
        assert "Assiette &lt;bleue&gt;" in page.text
        assert 'lang="fr"' in page.text
        # Looking is no answer, and a link that was guessed leads nowhere.
        assert (await own.calls.offers.GetOffer(pb.GetOfferRequest(offer_id=offer.offer_id))).status == pb.OFFER_STATUS_OPEN
        guessed = await own.http.post(link[:-1] + ("0" if link[-1] != "0" else "1"), data={"answer": "yes"})
        assert guessed.status_code == 404
        assert Links("another secret", URL).token(offer.offer_id) not in link
        for body in ({}, {"answer": "maybe"}, {"answer": "y" * 2000}):
            assert (await own.http.post(link, data=body)).status_code == 415
        for _ in range(2):
            assert (await own.http.post(link, data={"answer": "yes"})).status_code == 200
        (released,) = await until_released(own.calls, waiting.order_id)
        assert [(line.sku, line.quantity) for line in released.lines] == [("PLATE-1", 2)]
        assert (await own.until_ended(offer)).status == pb.OFFER_STATUS_ACCEPTED
        # It was said: the other answer comes too late.
        late = await own.http.post(link, data={"answer": "no"})
        assert late.status_code == 422
        assert "was accepted already" in late.text
        changed = await own.get(waiting.order_id)
        assert changed.total_minor == waiting.total_minor - 119
        story = await own.calls.orders.GetTimeline(orders_service_pb2.GetTimelineRequest(order_id=waiting.order_id))
        text = " ".join(sentence.text for sentence in story.story)
        assert "the customer was offered 2 × P-1 for MUG-1" in text
        assert "the customer took 2 × P-1 for MUG-1" in text


async def test_a_no_or_silence_does_what_was_agreed_otherwise(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as own:
        first = await own.short("W-1")
        declined = await own.answer(await own.offer(first, otherwise=CANCEL), accepted=False)
        assert declined.status == pb.OFFER_STATUS_DECLINED
        await until_status(own.calls, first.order_id, CANCELLED)
        second = await own.short("W-2")
        await own.answer(await own.offer(second), accepted=False)
        # Declined, it waits on, and something else may be offered.
        silent = await own.offer(second, answer_within_s=1, otherwise=CANCEL)
        expired = await own.until_ended(silent)
        assert (expired.status, expired.ended_by) == (pb.OFFER_STATUS_EXPIRED, "the clock")
        await until_status(own.calls, second.order_id, CANCELLED)
        listed = (await own.calls.offers.ListOffers(pb.ListOffersRequest(order_id=second.order_id))).offers
        assert [one.status for one in listed] == [pb.OFFER_STATUS_EXPIRED, pb.OFFER_STATUS_DECLINED]
        await refused("OFFER_ENDED", own.answer(silent, accepted=True))


async def test_what_is_found_meanwhile_needs_no_answer(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as own:
        waiting = await own.short("W-1")
        offer = await own.offer(waiting, answer_within_s=3, otherwise=CANCEL)
        mug = waiting.lines[0].item_id
        await receive(own.calls, mug, "BER", 5, 5_000)

        async def released() -> bool:
            holds = own.calls.holds("orders")
            for hold in (await holds.ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds:
                await holds.ReleaseHold(
                    holds_service_pb2.ReleaseHoldRequest(request_id=new_id(), service="orders", hold_id=hold.hold_id, resolution="it came")
                )
            return (await own.get(waiting.order_id)).lines[0].waiting == 0

        await eventually(released)
        await refused("OFFER_ENDED", own.answer(offer, accepted=True))
        ended = await own.until_ended(offer)
        assert ended.status == pb.OFFER_STATUS_WITHDRAWN
        assert (await own.get(waiting.order_id)).lines[0].cancelled == 0


async def test_what_cannot_be_offered_is_refused_by_name(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as own:
        waiting = await own.short("W-1")
        await refused("UNKNOWN_SKU", own.offer(waiting, channel_sku="NOTHING"))
        await refused("SUBSTITUTE_SHORT", own.offer(waiting, quantity=50))
        refusal = await refused("INVALID_FIELD", own.offer(waiting, amount_minor=waiting.lines[0].amount_minor + 1))
        assert refusal.field == "amount_minor"
        await refused("NO_SUCH_LINE", own.offer(waiting, line_id="nothing"))
        await refused("NO_SUCH_ORDER", own.offer(waiting, order_id="nothing"))
        offer = await own.offer(waiting)
        await refused("OFFERED_ALREADY", own.offer(waiting))
        withdraw = pb.WithdrawOfferRequest(request_id=new_id(), offer_id=offer.offer_id, reason="a mistake")
        assert (await own.calls.offers.WithdrawOffer(withdraw)).status == pb.OFFER_STATUS_WITHDRAWN
        again = pb.WithdrawOfferRequest(request_id=new_id(), offer_id=offer.offer_id, reason="a mistake")
        assert (await own.calls.offers.WithdrawOffer(again)).outcome == "a mistake"
        await refused("NO_SUCH_OFFER", own.calls.offers.GetOffer(pb.GetOfferRequest(offer_id="nothing")))
        with pytest.raises(Exception, match="otherwise"):
            await own.offer(waiting, otherwise=0)
