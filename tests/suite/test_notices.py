"""What customers are told: in their language, once for each event, by mail or by whoever tells them; what cannot be told is a hold."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import pytest
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from argosy.common.v1 import address_pb2
from argosy.fulfillment.v1 import fulfillment_service_pb2
from argosy.gateway.v1 import notices_service_pb2 as pb
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import changes_service_pb2, order_pb2, orders_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from gateway.voice import sender
from suite.up import running_suite
from tests.builders import address, eventually, open_shop, order, publish_item, receive, ship_all, until_status
from tests.listener import listening
from tests.mailbox import Mailbox, taking_mail
from tests.service.stockroom import refused
from tests.suite.test_changes import change


@asynccontextmanager
async def shop(settings: Settings) -> AsyncIterator[tuple[Calls, Mailbox]]:
    """A suite that sends mail for the channel web; the proof must settle when the test is done."""
    with taking_mail() as (mailbox, url):
        async with running_suite(settings.model_copy(update={"smtp_url": url})) as suite:
            calls = Calls(suite.channels)
            await open_shop(calls, {"BER": 50})
            await calls.notices.SetNoticeRoute(route(language="de"))
            yield calls, mailbox
            assert (await prove(suite.channels, settled=True)).breaks == []


def route(**values: Any) -> pb.SetNoticeRouteRequest:
    given = {
        "request_id": new_id(), "channel_id": "web", "via": pb.NOTICE_VIA_MAIL, "sender": "shop@harbour.example",
        "sender_name": "Harbour Goods", "reply_to": "help@harbour.example", **values,
    }  # fmt: skip
    return pb.SetNoticeRouteRequest(**given)


def to(mail: str, house: str = "1") -> address_pb2.Address:
    given = address(house)
    given.email = mail
    return given


def words(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


async def sent(calls: Calls, order_id: str, *states: int) -> list[pb.Notice]:
    """Waits until an order's notices are in these states, oldest first."""

    async def look() -> list[pb.Notice] | None:
        found = (await calls.notices.ListNotices(pb.ListNoticesRequest(order_id=order_id))).notices
        return list(reversed(found)) if sorted(one.state for one in found) == sorted(states) else None

    return await eventually(look)  # type: ignore[no-any-return]


async def only_shipment(calls: Calls, order_id: str) -> str:
    asked = fulfillment_service_pb2.ListShipmentsRequest(order_id=order_id)
    (shipment,) = (await calls.fulfillment.ListShipments(asked)).shipments
    return shipment.shipment_id


SENT, SKIPPED, FAILED = pb.NOTICE_STATE_SENT, pb.NOTICE_STATE_SKIPPED, pb.NOTICE_STATE_FAILED


async def test_a_customer_is_told_in_their_language_what_happens_to_the_order_once(settings: Settings) -> None:
    async with shop(settings) as (calls, mailbox):
        placed = await calls.orders.CreateOrder(order("W-1", 2, ship_to=to("ada@example.com"), language="de-AT"))
        await sent(calls, placed.order_id, SENT)
        await ship_all(calls, placed.order_id)
        first, second = await sent(calls, placed.order_id, SENT, SENT)
        assert (first.kind, second.kind, first.language) == (pb.NOTICE_KIND_RECEIVED, pb.NOTICE_KIND_SHIPPED, "de")
        received, shipped = mailbox.taken
        assert received["Subject"] == "Ihre Bestellung W-1"
        assert (received["From"], received["To"]) == ("Harbour Goods <shop@harbour.example>", "ada@example.com")
        assert (received["Reply-To"], received["Message-ID"]) == ("help@harbour.example", f"<{first.notice_id}@harbour.example>")
        assert "- 2 × Thing MUG-1, 23,80" in words(received)
        assert "Guten Tag A. Customer" in words(received)
        html = received.get_body(("html",))
        assert html is not None
        assert "<li>2 × Thing MUG-1" in html.get_content()
        assert "Es reist mit PARCELCO" in words(shipped)
        assert "Der Rest folgt" not in words(shipped)
        arrived = fulfillment_service_pb2.RecordTrackingRequest(
            request_id=new_id(), shipment_id=await only_shipment(calls, placed.order_id), status="DELIVERED"
        )
        await calls.fulfillment.RecordTracking(arrived)
        *_, third = await sent(calls, placed.order_id, SENT, SENT, SENT)
        assert third.kind == pb.NOTICE_KIND_DELIVERED
        delivered = mailbox.taken[-1]
        assert delivered["Subject"] == "Ihr Paket zu Bestellung W-1 ist angekommen"
        assert "- 2 × Thing MUG-1" in words(delivered)
        timeline = await calls.orders.GetTimeline(orders_service_pb2.GetTimelineRequest(order_id=placed.order_id))
        told = [entry.text for entry in timeline.entries if entry.kind == "TOLD_CUSTOMER"]
        assert told == [
            "The customer was told, in de: received",
            "The customer was told, in de: shipped",
            "The customer was told, in de: delivered",
        ]
        assert "The customer was told on" in " ".join(one.text for one in timeline.story)
        # Who left no mail address is not told, and nobody has to look at it.
        silent = await calls.orders.CreateOrder(order("W-2", ship_to=to("", "2")))
        (notice,) = await sent(calls, silent.order_id, SKIPPED)
        assert notice.last_result == "the customer left no mail address"
        assert len(mailbox.taken) == 3


async def test_cancellations_and_refunds_are_told_and_channels_word_them_as_they_like(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as (calls, mailbox):
        bad = {"request_id": new_id(), "kind": pb.NOTICE_KIND_CANCELLED, "language": "en", "subject": "Gone", "text": "fine"}
        for text, reason in (
            ("a\n{% if %}", "text: line 2:"), ("{{ order.colour }}", "has no attribute 'colour'"),
            ("{{ 'a' * 99999999 }}", "not for templates"), ("{% for one in range(9) %}{% endfor %}", "'range' is undefined"),
            ("{{ order.__class__ }}", "'__class__'"),
        ):  # fmt: skip
            asked = pb.SetNoticeTemplateRequest(**{**bad, "request_id": new_id(), "text": text})
            refusal = await refused("INVALID_TEMPLATE", calls.notices.SetNoticeTemplate(asked))
            assert reason in refusal.message, refusal.message
            assert refusal.field == "text"
        own = pb.SetNoticeTemplateRequest(
            request_id=new_id(), channel_id="web", kind=pb.NOTICE_KIND_CANCELLED, language="en", subject="No {{ order.number }}",
            text="Sorry, {{ customer.name }}.", html="<p>Sorry, <b>{{ customer.name }}</b></p>",
        )  # fmt: skip
        assert (await calls.notices.SetNoticeTemplate(own)).version == 1
        listed = (await calls.notices.ListNoticeTemplates(pb.ListNoticeTemplatesRequest(kind=pb.NOTICE_KIND_CANCELLED))).templates
        assert [(one.channel_id, one.language, one.version) for one in listed] == [
            ("web", "en", 1),
            ("", "en", 0),
            ("", "de", 0),
            ("", "fr", 0),
        ]
        ship_to = to("bob@example.com")
        ship_to.name = "Bob <b>Bold</b>"
        placed = await calls.orders.CreateOrder(order("W-1", ship_to=ship_to, language="en"))
        await calls.orders.CancelOrder(
            orders_service_pb2.CancelOrderRequest(request_id=new_id(), order_id=placed.order_id, reason="changed my mind")
        )
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_CANCELLED)
        await sent(calls, placed.order_id, SENT, SENT, SENT)
        by_subject = {str(one["Subject"]): one for one in mailbox.taken}
        assert by_subject.keys() == {"Your order W-1", "No W-1", "€17.85 for order W-1 are on their way back"}
        html = by_subject["No W-1"].get_body(("html",))
        assert html is not None
        assert html.get_content().strip() == "<p>Sorry, <b>Bob &lt;b&gt;Bold&lt;/b&gt;</b></p>"
        preview = pb.PreviewNoticeRequest(channel_id="web", kind=pb.NOTICE_KIND_CANCELLED, language="en", order_id=placed.order_id)
        shown = await calls.notices.PreviewNotice(preview)
        assert (shown.subject, shown.text) == ("No W-1", "Sorry, Ada Example.\n"), "who words notices sees no customers"
        drop = pb.DropNoticeTemplateRequest(request_id=new_id(), channel_id="web", kind=pb.NOTICE_KIND_CANCELLED, language="en")
        await calls.notices.DropNoticeTemplate(drop)
        assert (await calls.notices.PreviewNotice(preview)).subject == "Your order W-1 was cancelled"
        again = pb.DropNoticeTemplateRequest(request_id=new_id(), channel_id="web", kind=pb.NOTICE_KIND_CANCELLED, language="en")
        await refused("NO_SUCH_TEMPLATE", calls.notices.DropNoticeTemplate(again))


async def test_a_change_is_told_with_what_the_order_contains_since(sqlite_settings: Settings) -> None:
    async with shop(sqlite_settings) as (calls, mailbox):
        await receive(calls, await publish_item(calls, "PLATE-1"), "BER", 10, 8000)
        placed = await calls.orders.CreateOrder(order("W-1", 2, ship_to=to("ada@example.com"), language="en"))
        await sent(calls, placed.order_id, SENT)
        other = changes_service_pb2.LineChange(line_id=placed.lines[0].line_id, quantity=1, channel_sku="PLATE-1")
        await change(calls, placed.order_id, lines=[other])
        told = await sent(calls, placed.order_id, SENT, SENT, SENT)
        assert {one.kind for one in told[1:]} == {pb.NOTICE_KIND_CHANGED, pb.NOTICE_KIND_REFUNDED}
        (changed,) = [one for one in mailbox.taken if one["Subject"] == "Your order W-1 was changed"]
        assert "was changed. This is what it contains now:" in words(changed)
        assert "- 1 × Thing PLATE-1, €11.90" in words(changed)
        assert "MUG-1" not in words(changed)
        assert "All together €17.85" in words(changed)


async def test_who_cannot_be_told_is_a_hold_and_who_is_not_there_is_tried_again(
    sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "RETRY_US", (100_000, 100_000))
    async with shop(sqlite_settings) as (calls, mailbox):
        mailbox.says["busy@example.com"] = ["451 later", "451 later"]
        patient = await calls.orders.CreateOrder(order("W-1", ship_to=to("busy@example.com")))
        mailbox.says["gone@example.com"] = ["550 no mailbox gone@example.com here"]
        placed = await calls.orders.CreateOrder(order("W-2", ship_to=to("gone@example.com", "2")))
        (waited,) = await sent(calls, patient.order_id, SENT)
        assert waited.attempts == 3
        (failed,) = await sent(calls, placed.order_id, FAILED)
        assert failed.last_result == "550 no mailbox (the customer) here"
        request = holds_service_pb2.ListHoldsRequest(service="gateway")
        (hold,) = (await calls.holds("gateway").ListHolds(request)).holds
        assert (hold.reason, hold.subject_id) == ("NOTICE_FAILED", failed.notice_id)
        assert placed.order_id in hold.detail
        contact = orders_service_pb2.SetContactRequest(request_id=new_id(), order_id=placed.order_id, email="here@example.com")
        assert (await calls.orders.SetContact(contact)).email == "here@example.com"
        await calls.notices.SendNoticeAgain(pb.SendNoticeAgainRequest(request_id=new_id(), notice_id=failed.notice_id))
        await sent(calls, placed.order_id, SENT)
        assert not (await calls.holds("gateway").ListHolds(request)).holds
        assert [str(one["To"]) for one in mailbox.taken].count("here@example.com") == 1


async def test_whoever_tells_customers_for_a_channel_gets_words_and_whom_to_tell(sqlite_settings: Settings) -> None:
    taken: list[tuple[dict[str, str], bytes]] = []

    async def answer(request: Request) -> Response:
        taken.append((dict(request.headers), await request.body()))
        return PlainTextResponse("thanks")

    app = Starlette(routes=[Route("/tell", answer, methods=["POST"])])
    async with listening(app) as url, running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 50})
        assert (await refused("NO_MAIL_SERVER", calls.notices.SetNoticeRoute(route()))).field == "via"
        assert (await refused("INVALID_FIELD", calls.notices.SetNoticeRoute(route(sender="nobody")))).field == "sender"
        made = await calls.notices.SetNoticeRoute(
            route(via=pb.NOTICE_VIA_WEBHOOK, url=f"{url}/tell", kinds=[pb.NOTICE_KIND_SHIPPED], language="fr")
        )
        placed = await calls.orders.CreateOrder(order("W-1", ship_to=to("ada@example.com")))
        await ship_all(calls, placed.order_id)
        (notice,) = await sent(calls, placed.order_id, SENT)
        ((headers, body),) = taken
        told = Webhook(made.secret).verify(body, headers)
        assert (told["type"], headers["webhook-id"]) == ("notice.shipped", notice.notice_id)
        assert told["data"]["to"] == {"name": "A. Customer", "email": "ada@example.com"}
        assert told["data"]["subject"] == "Votre commande W-1 est en route"
        # The secret is shown once; a channel that tells nothing any more skips what waits.
        assert not (await calls.notices.SetNoticeRoute(route(via=pb.NOTICE_VIA_WEBHOOK, url=f"{url}/tell", disabled=True))).secret
        await refused("NO_ROUTE", calls.notices.SendNoticeAgain(pb.SendNoticeAgainRequest(request_id=new_id(), notice_id=notice.notice_id)))
        assert (await prove(suite.channels, settled=True)).breaks == []
