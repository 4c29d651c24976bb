"""The routes: every rpc under its google.api.http binding, found by method and path."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from google.protobuf.descriptor import ServiceDescriptor

from argosy.catalog.v1 import categories_service_pb2, channels_service_pb2, items_service_pb2
from argosy.finance.v1 import finance_service_pb2
from argosy.fulfillment.v1 import (
    fulfillment_service_pb2,
    parcels_service_pb2,
    promise_service_pb2,
    sourcing_service_pb2,
    warehouse_service_pb2,
)
from argosy.gateway.v1 import (
    access_service_pb2,
    connections_service_pb2,
    deliveries_service_pb2,
    notices_service_pb2,
    proofs_service_pb2,
    publications_service_pb2,
    subscriptions_service_pb2,
    warehouses_service_pb2,
)
from argosy.inventory.v1 import (
    counts_service_pb2,
    demands_service_pb2,
    feeds_service_pb2,
    lots_service_pb2,
    planning_service_pb2,
    purchasing_service_pb2,
    reservations_service_pb2,
    stock_service_pb2,
    transfers_service_pb2,
    valuation_service_pb2,
)
from argosy.ops.v1 import approvals_service_pb2, holds_service_pb2, jobs_service_pb2, ops_service_pb2
from argosy.orders.v1 import changes_service_pb2, customers_service_pb2, offers_service_pb2, orders_service_pb2, rules_service_pb2
from argosy.returns.v1 import returns_service_pb2
from chassis.kernel.errors import InvalidArgument, NotFound
from chassis.runtime.contracts import Method, methods_of

MODULES = (
    items_service_pb2, channels_service_pb2, stock_service_pb2, reservations_service_pb2, orders_service_pb2,
    customers_service_pb2, fulfillment_service_pb2, returns_service_pb2, finance_service_pb2, access_service_pb2,
    connections_service_pb2, deliveries_service_pb2, notices_service_pb2, proofs_service_pb2, publications_service_pb2,
    subscriptions_service_pb2, ops_service_pb2, holds_service_pb2, approvals_service_pb2, valuation_service_pb2, lots_service_pb2,
    demands_service_pb2, counts_service_pb2, feeds_service_pb2, purchasing_service_pb2, transfers_service_pb2, planning_service_pb2,
    jobs_service_pb2, categories_service_pb2, rules_service_pb2, promise_service_pb2, sourcing_service_pb2, changes_service_pb2,
    warehouse_service_pb2, parcels_service_pb2, warehouses_service_pb2, offers_service_pb2,
)  # fmt: skip
VARIABLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Route:
    """An rpc and the HTTP binding that reaches it."""

    method: Method
    verb: str
    template: str
    pattern: re.Pattern[str]

    @property
    def variables(self) -> list[str]:
        """The fields that the path fills."""
        return VARIABLE.findall(self.template)

    @property
    def has_body(self) -> bool:
        """True where the request comes as a body."""
        return self.verb != "GET"


def contracts() -> list[ServiceDescriptor]:
    """Returns all services of all contracts."""
    return [service for module in MODULES for service in module.DESCRIPTOR.services_by_name.values()]


def route_of(method: Method) -> Route:
    """Returns the route of an rpc."""
    verb = method.http.WhichOneof("pattern")
    template = getattr(method.http, verb)
    # A variable ends at a slash or at the verb's colon, so that {id}:cancel is not an id.
    expression = VARIABLE.sub(lambda match: f"(?P<{match[1]}>[^/:]+)", re.escape(template).replace(r"\{", "{").replace(r"\}", "}"))
    return Route(method, verb.upper(), template, re.compile(f"^{expression}$"))


def _unquoted(name: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidArgument("INVALID_FIELD", f"{name}: is not UTF-8", field=name) from error


class Routes:
    """Finds the route of a request."""

    def __init__(self, services: Sequence[ServiceDescriptor]) -> None:
        self.all = [route_of(method) for service in services for method in methods_of(service)]
        self._fixed = {(route.verb, route.template): route for route in self.all if not route.variables}
        self._open = [route for route in self.all if route.variables]

    def find(self, verb: str, path: str) -> tuple[Route, dict[str, str]]:
        """Returns the route of a path as it came, and what it fills, unquoted; raises NotFound, or InvalidArgument NO_SUCH_METHOD."""
        fixed = self._fixed.get((verb, path))
        if fixed is not None:
            return fixed, {}
        matches = [(route, match) for route in self._open if (match := route.pattern.match(path))]
        for route, match in matches:
            if route.verb == verb:
                return route, {name: _unquoted(name, value) for name, value in match.groupdict().items()}
        allowed = sorted({route.verb for route, _ in matches} | {v for v, template in self._fixed if template == path})
        if allowed:
            raise InvalidArgument("NO_SUCH_METHOD", f"{path} answers {', '.join(allowed)}", allow=", ".join(allowed))
        raise NotFound("NO_SUCH_PATH", f"nothing answers at {path}; see /openapi.json")
