"""SetTaxRate, ListTaxRates, CalculateTax: effective-dated rates by class and destination."""

from typing import Any

from sqlalchemy import select

from argosy.finance.v1 import finance_service_pb2
from chassis.kernel.clock import day_of, from_timestamp, is_day
from chassis.kernel.errors import InvalidArgument
from chassis.kernel.money import proportion
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Work
from services.finance.store.tables import TAX_RATES

MILLION = 1_000_000
Rates = dict[str, list[Any]]


async def set_tax_rate(work: Work, request: finance_service_pb2.SetTaxRateRequest) -> finance_service_pb2.TaxRate:
    """Refusals: INVALID_FIELD."""
    if not is_day(request.valid_from):
        raise InvalidArgument("INVALID_FIELD", f"valid_from: {request.valid_from} is no day", field="valid_from")
    names = ("country_code", "tax_class", "valid_from", "rate_ppm")
    values = {name: getattr(request, name) for name in names}
    await work.tx.merge(TAX_RATES, names[:3], [values])
    return finance_service_pb2.TaxRate(**values)


async def list_tax_rates(asked: Asked) -> finance_service_pb2.ListTaxRatesResponse:
    """Lists by country, class and day."""
    keys = [TAX_RATES.c.country_code, TAX_RATES.c.tax_class, TAX_RATES.c.valid_from]
    rows, token = await page(asked.tx, select(TAX_RATES), keys, asked.request)
    rates = [finance_service_pb2.TaxRate(**row._mapping) for row in rows]
    return finance_service_pb2.ListTaxRatesResponse(rates=rates, next_page_token=token)


async def calculate_tax(asked: Asked) -> finance_service_pb2.CalculateTaxResponse:
    """Computes each line by itself, half up; headers are sums. Where no rate is in force for an amount it is 0, and `unknown` says so."""
    countries = sorted({order.destination.country_code for order in asked.request.orders})
    query = select(TAX_RATES).where(TAX_RATES.c.country_code.in_(countries)).order_by(TAX_RATES.c.valid_from.desc())
    rates: Rates = {}
    for row in await asked.tx.read(query):
        rates.setdefault(row.country_code, []).append(row)
    response = finance_service_pb2.CalculateTaxResponse()
    for order in asked.request.orders:
        own = rates.get(order.destination.country_code, [])
        day = day_of(from_timestamp(order.placed_at))
        if order.exempt:
            response.orders.add(line_tax_minor=[0] * len(order.lines))
            continue
        taxes = [_tax(own, line.tax_class, day, line.net_minor) for line in order.lines]
        shipping = _tax(own, "", day, order.shipping_minor)
        unknown = not own or None in (*taxes, shipping)
        response.orders.add(line_tax_minor=[tax or 0 for tax in taxes], shipping_tax_minor=shipping or 0, unknown=unknown)
    return response


def _tax(rates: list[Any], tax_class: str, day: str, net_minor: int) -> int | None:
    """Returns the tax of an amount; None where there is one and no rate was in force."""
    in_force = [rate for rate in rates if rate.valid_from <= day]
    own = next((rate for rate in in_force if rate.tax_class == tax_class), None)
    rate = own or next((rate for rate in in_force if not rate.tax_class), None)
    if rate is None:
        return None if net_minor else 0
    return proportion(net_minor * rate.rate_ppm, 1, MILLION)
