"""SetNoticeRoute, ListNoticeRoutes: whether and how the customers of a channel are told."""

import json
import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from argosy.gateway.v1 import notices_service_pb2
from chassis.kernel.errors import FailedPrecondition, InvalidArgument
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.tx import Tx
from chassis.runtime.work import Work
from gateway.app.subscriptions import new_secret
from gateway.store.tables import NOTICE_ROUTES
from gateway.voice.egress import Egress
from gateway.voice.mail import Mail
from gateway.voice.wording import FALLBACK

MAIL, WEBHOOK = notices_service_pb2.NOTICE_VIA_MAIL, notices_service_pb2.NOTICE_VIA_WEBHOOK
# What a header of a mail takes; whether somebody reads it, only a mail can tell.
ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+\.[^\s@<>,;:\"()\[\]\\]+$")
Route = notices_service_pb2.NoticeRoute


class NoticeRoutes:
    """The rpcs; `egress` says which addresses may be told, `mail` whether mail can be sent."""

    def __init__(self, egress: Egress, mail: Mail) -> None:
        self._egress = egress
        self._mail = mail

    async def set_route(self, work: Work, request: notices_service_pb2.SetNoticeRouteRequest) -> Route:
        """Refusals: INVALID_FIELD, PRIVATE_ADDRESS, NO_MAIL_SERVER."""
        self._check(request)
        before = (await load_routes(work.tx, {request.channel_id})).get(request.channel_id)
        known = before.secret if before is not None else ""
        secret = known or (new_secret() if request.via == WEBHOOK else "")
        row = {
            **{name: getattr(request, name) for name in ("channel_id", "via", "sender", "sender_name", "reply_to", "url")},
            "secret": secret, "kinds": json.dumps(sorted(set(request.kinds))), "language": request.language or FALLBACK,
            "disabled": int(request.disabled), "updated_at": work.now,
        }  # fmt: skip
        await work.tx.merge(NOTICE_ROUTES, ("channel_id",), [row])
        shown = _to_route((await load_routes(work.tx, {request.channel_id}))[request.channel_id])
        shown.secret = "" if known else secret
        return shown

    def _check(self, request: notices_service_pb2.SetNoticeRouteRequest) -> None:
        for name in ("sender", "reply_to"):
            given = getattr(request, name)
            if given and not ADDRESS.match(given):
                raise InvalidArgument("INVALID_FIELD", f"{name}: is no mail address", field=name)
        if any(ord(one) < 32 for one in request.sender_name):
            raise InvalidArgument("INVALID_FIELD", "sender_name: must be one line", field="sender_name")
        match request.via:
            case notices_service_pb2.NOTICE_VIA_MAIL if not request.sender:
                raise InvalidArgument("INVALID_FIELD", "sender: customers must see who writes to them", field="sender")
            case notices_service_pb2.NOTICE_VIA_MAIL if not self._mail.is_set:
                text = "this installation sends no mail: set ARGOSY_SMTP_URL first"
                raise FailedPrecondition("NO_MAIL_SERVER", text, field="via")
            case notices_service_pb2.NOTICE_VIA_WEBHOOK:
                self._egress.check(request.url, "url")


async def list_routes(asked: Asked) -> notices_service_pb2.ListNoticeRoutesResponse:
    """Lists by channel, without secrets."""
    rows, token = await page(asked.tx, select(NOTICE_ROUTES), [NOTICE_ROUTES.c.channel_id], asked.request)
    return notices_service_pb2.ListNoticeRoutesResponse(routes=map(_to_route, rows), next_page_token=token)


async def load_routes(tx: Tx, channel_ids: Iterable[str]) -> dict[str, Any]:
    """Returns the routes of channels; those that have none are not in it."""
    rows = await tx.find(NOTICE_ROUTES, ("channel_id",), [(one,) for one in sorted(channel_ids)])
    return {row.channel_id: row for row in rows}


def allows(route: Any, kind: int) -> bool:
    """Says whether customers are told of something."""
    return route is not None and not route.disabled and (not json.loads(route.kinds) or kind in json.loads(route.kinds))


def _to_route(row: Any) -> Route:
    names = ("channel_id", "via", "sender", "sender_name", "reply_to", "url", "language")
    return Route(**{name: getattr(row, name) for name in names}, kinds=json.loads(row.kinds), disabled=bool(row.disabled))
