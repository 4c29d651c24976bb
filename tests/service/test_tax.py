"""Tax by class, destination and day; what has no rate is said, not taken for free of tax."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from argosy.common.v1 import address_pb2
from argosy.finance.v1 import finance_service_pb2
from chassis.kernel.clock import from_datetime, to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.component import Component
from gateway.calls import Calls
from tests.service.conftest import Bench


async def test_what_has_no_rate_is_unknown(bench: Bench, started: Callable[[str], Awaitable[Component]]) -> None:
    await started("finance")
    calls = Calls(bench.channels)
    for country, tax_class, rate_ppm, since in (
        ("DE", "", 190_000, "2020-01-01"), ("DE", "food", 70_000, "2020-01-01"), ("DE", "food", 50_000, "2025-07-01"),
        ("FR", "books", 55_000, "2020-01-01"), ("NO", "", 250_000, "2030-01-01"),
    ):  # fmt: skip
        request = finance_service_pb2.SetTaxRateRequest(
            request_id=new_id(), country_code=country, tax_class=tax_class, rate_ppm=rate_ppm, valid_from=since
        )
        await calls.finance.SetTaxRate(request)

    def order(country: str, *classes: str, shipping_minor: int = 0, day: int = 1) -> finance_service_pb2.TaxableOrder:
        lines = [finance_service_pb2.TaxableLine(tax_class=one, net_minor=1000) for one in classes]
        placed_at = to_timestamp(from_datetime(datetime(2025, 7, day, tzinfo=UTC)))
        to = address_pb2.Destination(country_code=country)
        return finance_service_pb2.TaxableOrder(destination=to, lines=lines, shipping_minor=shipping_minor, placed_at=placed_at)

    asked = [
        order("DE", "food", "standard", shipping_minor=500), order("FR", "books"), order("FR", "books", "toys"),
        order("FR", "books", shipping_minor=500), order("NO", "books"), order("US", "books"),
    ]  # fmt: skip
    found = (await calls.finance.CalculateTax(finance_service_pb2.CalculateTaxRequest(orders=asked))).orders
    assert [(list(one.line_tax_minor), one.shipping_tax_minor, one.unknown) for one in found] == [
        ([50, 190], 95, False), ([55], 0, False), ([55, 0], 0, True), ([55], 0, True), ([0], 0, True), ([0], 0, True),
    ]  # fmt: skip
