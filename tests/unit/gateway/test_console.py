"""What a page shows where not all services answer, and of what nobody can read."""

from types import SimpleNamespace
from typing import Any, cast

from google.protobuf.message_factory import GetMessageClass
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from argosy.ops.v1 import ops_pb2
from argosy.orders.v1 import order_pb2
from chassis.kernel.errors import PermissionDenied, Unavailable
from chassis.runtime.writer import Principal
from gateway.calls import Calls
from gateway.console.pages import approvals, holds, overview
from gateway.console.pages.integrations import content_of
from gateway.console.visit import Visit, templates
from tests.service.stockroom import refused


class Services:
    """Every rpc of every service: each answers that there is nothing, but for those that are silent or forbid it."""

    def __init__(self, silent: str = "", forbids: str = "") -> None:
        self._silent, self._forbids = silent, forbids

    def __getattr__(self, name: str) -> "Services":
        return self

    def __call__(self, asked: Any, metadata: Any = None) -> Any:
        return self if isinstance(asked, str) else self._answer(asked)

    async def _answer(self, request: Any) -> Any:
        descriptor = request.DESCRIPTOR
        service = getattr(request, "service", "") or descriptor.file.package.split(".")[1]
        if service == self._silent:
            raise Unavailable("UNREACHABLE", "the service cannot be reached; try again")
        if service == self._forbids:
            raise PermissionDenied("NOT_PERMITTED", "a permission is needed")
        methods = (method for one in descriptor.file.services_by_name.values() for method in one.methods)
        return GetMessageClass(next(method.output_type for method in methods if method.input_type is descriptor))()


async def shown(page: Any, services: Services) -> str:
    """Returns a page as somebody sees it who may see all."""
    request = Request({"type": "http", "path": "/console/", "query_string": b"", "headers": [], "path_params": {}})
    visit = Visit(request, "/console/", FormData(), Principal("olivia", ("*",)), "secret", cast(Calls, services), templates())
    response: Response = await page(visit)
    return bytes(response.body).decode()


async def test_a_page_says_who_does_not_answer_and_shows_the_rest() -> None:
    for page in (overview.page, holds.page, approvals.page):
        assert "not answer" not in await shown(page, Services())
        told = await shown(page, Services(silent="finance"))
        assert "<strong>finance</strong> does not answer" in told
        await refused("NOT_PERMITTED", shown(page, Services(forbids="finance")))


def test_a_dead_letter_that_nobody_can_read_is_shown_as_such() -> None:
    order = order_pb2.Order(order_id="O-1")
    assert '"order_id": "O-1"' in content_of(ops_pb2.EventRecord(type="argosy.orders.v1.Order", payload=order.SerializeToString()))
    for unread in (
        SimpleNamespace(type="argosy.orders.v9.Order", payload=b"1"),
        SimpleNamespace(type="argosy.orders.v1.Order", payload=b"\xff"),
    ):
        assert "1 bytes that cannot be read here" in content_of(cast(ops_pb2.EventRecord, unread))
