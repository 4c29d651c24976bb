"""Notices: what customers are told, how each channel tells them, and in which words."""

import asyncio

from starlette.responses import Response

from argosy.gateway.v1 import notices_service_pb2
from chassis.kernel.errors import InvalidArgument
from gateway.console import show
from gateway.console.visit import ROWS, Notice, Visit, action
from gateway.voice.wording import LANGUAGES

RECEIVED = notices_service_pb2.NOTICE_KIND_RECEIVED


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows what was told last, the channels' ways, one of which may be chosen to be changed, and one notice's words."""
    asked = notices_service_pb2.ListNoticesRequest(
        state=show.choice(visit.query("state"), "state"), channel_id=visit.query("channel"), page_size=ROWS, page_token=visit.query("page")
    )
    told, routes = await asyncio.gather(
        visit.ask(visit.calls.notices.ListNotices, asked),
        visit.ask(visit.calls.notices.ListNoticeRoutes, notices_service_pb2.ListNoticeRoutesRequest(page_size=500)),
    )
    chosen = next((one for one in routes.routes if one.channel_id == visit.query("route")), None)
    words = await _words(visit) if visit.may("gateway.notices.write") else None
    return visit.render(
        "notices.html", notice, status, told=told.notices, following=visit.following(told.next_page_token), routes=routes.routes,
        chosen=chosen, states=show.choices(notices_service_pb2.NoticeState), kinds=show.choices(notices_service_pb2.NoticeKind),
        vias=show.choices(notices_service_pb2.NoticeVia), languages=LANGUAGES, words_of=words, State=notices_service_pb2.NoticeState,
        Kind=notices_service_pb2.NoticeKind, Via=notices_service_pb2.NoticeVia,
    )  # fmt: skip


async def _words(visit: Visit) -> dict[str, object]:
    """Returns the words that are chosen, or that somebody tries, and how they look; an order of the reader's where one is named."""
    asked = {name: visit.given(name) for name in ("of", "language", "order_id", "subject", "text")}
    kind = show.choice(visit.given("kind"), "kind") or RECEIVED
    request = notices_service_pb2.ListNoticeTemplatesRequest(kind=kind, channel_id=asked["of"], page_size=500)
    preview = notices_service_pb2.PreviewNoticeRequest(
        channel_id=asked["of"], kind=kind, language=asked["language"], order_id=asked["order_id"], subject=asked["subject"],
        text=asked["text"].replace("\r\n", "\n"),
    )  # fmt: skip
    templates = (await visit.ask(visit.calls.notices.ListNoticeTemplates, request)).templates
    try:
        looks = await visit.ask(visit.calls.notices.PreviewNotice, preview)
    except InvalidArgument:
        # Words that cannot be told stay in the form, beside how it looks without them.
        for name in ("subject", "text", "order_id"):
            preview.ClearField(name)
        looks = await visit.ask(visit.calls.notices.PreviewNotice, preview)
    fitting = [one for one in templates if one.language == looks.language and one.channel_id in ("", asked["of"])]
    standing = max(fitting, key=lambda one: (one.channel_id, one.version))
    return {
        **asked, "kind": kind, "language": looks.language, "looks": looks, "standing": standing, "templates": templates,
        "subject": asked["subject"] or standing.subject, "text": asked["text"] or standing.text,
    }  # fmt: skip


async def _tell(visit: Visit) -> Response:
    kinds = [show.choice(one, "kinds") for one in visit.form.getlist("kinds") if isinstance(one, str)]
    request = notices_service_pb2.SetNoticeRouteRequest(
        request_id=visit.request_id(), channel_id=visit.field("channel"), via=show.choice(visit.field("via"), "via"),
        sender=visit.field("sender"), sender_name=visit.field("sender_name"), reply_to=visit.field("reply_to"), url=visit.field("url"),
        language=visit.field("language"), kinds=kinds, disabled=bool(visit.field("disabled")),
    )  # fmt: skip
    made = await visit.ask(visit.calls.notices.SetNoticeRoute, request)
    if made.secret:
        text = f"{made.secret}: it signs the webhooks, and is not shown again."
        return await page(visit, Notice("good", "The channel's secret", text))
    return visit.go("/console/notices", "telling")


async def _word(visit: Visit) -> Response:
    """Tries words, keeps them, or drops them for those that come with Argosy."""
    key = {"channel_id": visit.field("of"), "kind": show.choice(visit.field("kind"), "kind"), "language": visit.field("language")}
    match visit.field("step"):
        case "save":
            words = notices_service_pb2.SetNoticeTemplateRequest(
                request_id=visit.request_id(), **key, subject=visit.field("subject"), text=visit.field("text").replace("\r\n", "\n")
            )
            await visit.ask(visit.calls.notices.SetNoticeTemplate, words)
        case "drop":
            drop = notices_service_pb2.DropNoticeTemplateRequest(request_id=visit.request_id(), **key)
            await visit.ask(visit.calls.notices.DropNoticeTemplate, drop)
        case _:
            return await page(visit)
    return visit.go(f"/console/notices?of={key['channel_id']}&kind={key['kind']}&language={key['language']}", "worded")


async def _send(visit: Visit) -> Response:
    request = notices_service_pb2.SendNoticeAgainRequest(request_id=visit.request_id(), notice_id=visit.path["notice_id"])
    await visit.ask(visit.calls.notices.SendNoticeAgain, request)
    return visit.go("/console/notices", "again")


tell = action(_tell, page)
word = action(_word, page)
send = action(_send, page)
