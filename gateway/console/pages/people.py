"""People: who signs in, and as what; to set up, to change, to keep out."""

import asyncio

from starlette.responses import Response

from argosy.gateway.v1 import access_service_pb2
from gateway.console import show
from gateway.console.visit import ROWS, Notice, Visit, action


async def page(visit: Visit, notice: Notice | None = None, status: int = 200) -> Response:
    """Shows a page of people, one of whom may be chosen to be changed, and what each role may do."""
    asked = access_service_pb2.ListUsersRequest(page_size=ROWS, page_token=visit.query("page"))
    users, roles = await asyncio.gather(
        visit.ask(visit.calls.access.ListUsers, asked), visit.ask(visit.calls.access.ListRoles, access_service_pb2.ListRolesRequest())
    )
    chosen = next((one for one in users.users if one.user_id == visit.query("user")), None)
    return visit.render(
        "people.html", notice, status, users=users.users, chosen=chosen, roles=roles.roles, Role=access_service_pb2.Role,
        following=visit.following(users.next_page_token), choices=show.choices(access_service_pb2.Role),
    )  # fmt: skip


async def _save(visit: Visit) -> Response:
    channels = [one.strip() for one in visit.field("channels").split(",") if one.strip()]
    request = access_service_pb2.SetUserRequest(
        request_id=visit.request_id(), user_id=visit.field("user_id"), role=show.choice(visit.field("role"), "role"),
        password=str(visit.form.get("password", "")), channel_ids=channels, disabled=visit.field("disabled") == "on",
        fresh=bool(visit.field("fresh")),
    )  # fmt: skip
    await visit.ask(visit.calls.access.SetUser, request)
    return visit.go("/console/people", "saved")


save = action(_save, page)
