"""SetNoticeTemplate, DropNoticeTemplate, ListNoticeTemplates, PreviewNotice: how notices are worded, for each channel and language."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import and_, func, select

from argosy.gateway.v1 import notices_service_pb2
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import NotFound
from chassis.runtime.channels import Channels
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked, Looking
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from gateway.app.notice_routes import load_routes
from gateway.store.tables import NOTICE_TEMPLATES
from gateway.voice.facts import Asker, Known, as_json, facts_of, made_up, made_up_event, made_up_link
from gateway.voice.wording import FALLBACK, LANGUAGES, Words, choices, own_words, render

KEY = ("channel_id", "kind", "language")
KINDS = tuple(value for value in notices_service_pb2.NoticeKind.values() if value)
Template = notices_service_pb2.NoticeTemplate


def name_of(kind: Any) -> str:
    """Returns a kind's name, e.g. return_opened."""
    return notices_service_pb2.NoticeKind.Name(kind).removeprefix("NOTICE_KIND_").lower()


async def set_template(work: Work, request: notices_service_pb2.SetNoticeTemplateRequest) -> Template:
    """Refusals: INVALID_TEMPLATE, which names the part and the line."""
    words = Words(request.subject, request.text, request.html, request.language)
    render(words, facts_of(request.kind, made_up_event(request.kind), made_up(), "Shop", request.language, made_up_link))
    return await _word(work, request, words)


async def drop_template(
    work: Work, request: notices_service_pb2.DropNoticeTemplateRequest
) -> notices_service_pb2.DropNoticeTemplateResponse:
    """Refusals: NO_SUCH_TEMPLATE."""
    key = tuple(getattr(request, name) for name in KEY)
    if not any((row.channel_id, row.kind, row.language) == key for row in await _in_force(work.tx, [request.channel_id])):
        raise NotFound("NO_SUCH_TEMPLATE", "nobody has worded this: what comes with Argosy cannot be dropped", field="kind")
    await _word(work, request, Words("", ""))
    return notices_service_pb2.DropNoticeTemplateResponse()


async def _word(work: Work, request: Any, words: Words) -> Template:
    own = and_(*(NOTICE_TEMPLATES.c[name] == getattr(request, name) for name in KEY))
    before = (await work.tx.read(select(func.max(NOTICE_TEMPLATES.c.version).label("version")).where(own)))[0].version or 0
    row = {
        **{name: getattr(request, name) for name in KEY}, "version": before + 1, "subject": words.subject, "text": words.text,
        "html": words.html, "written_by": work.cause.actor, "written_at": work.now,
    }  # fmt: skip
    await work.tx.insert(NOTICE_TEMPLATES, [row])
    return Template(**{name: row[name] for name in row if name != "written_at"}, written_at=to_timestamp(work.now))


async def list_templates(asked: Asked) -> notices_service_pb2.ListNoticeTemplatesResponse:
    """Lists those that were worded here by channel, kind and language; those that come with Argosy on the last page."""
    request, table = asked.request, NOTICE_TEMPLATES
    query = select(table).where(_is_last(), table.c.text != "")
    if request.channel_id:
        query = query.where(table.c.channel_id.in_(["", request.channel_id]))
    if request.kind:
        query = query.where(table.c.kind == request.kind)
    rows, token = await page(asked.tx, query, [table.c[name] for name in KEY], request)
    found = [_to_template(row) for row in rows]
    if not token:
        found += [_own(kind, language) for kind in KINDS if request.kind in (0, kind) for language in LANGUAGES]
    return notices_service_pb2.ListNoticeTemplatesResponse(templates=found, next_page_token=token)


class Previews:
    """Shows notices before anybody gets them."""

    def __init__(self, channels: Channels) -> None:
        self._asker = Asker(channels)

    async def preview_notice(self, asked: Looking) -> notices_service_pb2.RenderedNotice:
        """Refusals: INVALID_TEMPLATE, NO_SUCH_ORDER."""
        request = asked.request
        async with asked.database.read() as tx:
            route = (await load_routes(tx, {request.channel_id})).get(request.channel_id)
            wordings = await Wordings.load(tx, [request.channel_id])
        wanted = choices(request.language, route.language if route is not None else "")
        words = wordings.choose(request.channel_id, request.kind, wanted)
        if request.subject or request.text or request.html:
            words = words._replace(subject=request.subject or words.subject, text=request.text or words.text, html=request.html)
        known = await self._known(request.order_id, asked.principal.channel_ids)
        shop_name = (route.sender_name if route is not None else "") or request.channel_id or "Shop"
        facts = facts_of(request.kind, made_up_event(request.kind), known, shop_name, words.language, made_up_link)
        made = render(words, facts)
        return notices_service_pb2.RenderedNotice(
            subject=made.subject, text=made.text, html=made.html, language=made.language, facts=as_json(facts)
        )

    async def _known(self, order_id: str, channel_ids: Collection[str]) -> Known:
        """Returns an order of nobody: who words notices need not know who the customers are."""
        nobody = made_up()
        if not order_id:
            return nobody
        known, refused = await self._asker.ask([order_id])
        if refused:
            raise refused[order_id]
        if channel_ids and known[order_id].order.channel_id not in channel_ids:
            raise NotFound("NO_SUCH_ORDER", "there is no such order", field="order_id")
        return known[order_id]._replace(name=nobody.name, email=nobody.email)


class Wordings:
    """The templates of some channels, as they are in force."""

    def __init__(self, found: dict[tuple[str, int, str], Words]) -> None:
        self._found = found

    @classmethod
    async def load(cls, tx: Tx, channel_ids: Iterable[str]) -> "Wordings":
        """Reads those of the channels and those for all, one query."""
        rows = await _in_force(tx, channel_ids)
        words = {
            (row.channel_id, row.kind, row.language): Words(row.subject, row.text, row.html, row.language, row.version) for row in rows
        }
        return cls(words)

    def choose(self, channel_id: str, kind: Any, languages: Iterable[str]) -> Words:
        """Returns how something is worded: in each language first the channel's, then that for all, then what comes with Argosy."""
        name = name_of(kind)
        for language in languages:
            for owner in (channel_id, ""):
                if words := self._found.get((owner, kind, language)):
                    return words
            if language in LANGUAGES:
                return own_words(name, language)
        return own_words(name, FALLBACK)


async def _in_force(tx: Tx, channel_ids: Iterable[str]) -> list[Any]:
    wanted = sorted({"", *channel_ids})
    rows = await tx.read(select(NOTICE_TEMPLATES).where(NOTICE_TEMPLATES.c.channel_id.in_(wanted), _is_last()))
    return [row for row in rows if row.text]


def _is_last() -> Any:
    other = NOTICE_TEMPLATES.alias("other")
    same = and_(*(other.c[name] == NOTICE_TEMPLATES.c[name] for name in KEY), other.c.version > NOTICE_TEMPLATES.c.version)
    return ~select(other.c.version).where(same).exists()


def _to_template(row: Any) -> Template:
    names = (*KEY, "subject", "text", "html", "version", "written_by")
    return Template(**{name: getattr(row, name) for name in names}, written_at=to_timestamp(row.written_at))


def _own(kind: Any, language: str) -> Template:
    words = own_words(name_of(kind), language)
    return Template(kind=kind, language=language, subject=words.subject, text=words.text)
