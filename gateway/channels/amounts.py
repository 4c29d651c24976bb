"""Decimal texts as integer minor units, by the scale that ISO 4217 gives a currency."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from babel.numbers import get_currency_precision

from gateway.channels.commands import Unreadable

MOST = Decimal(10) ** 12


def decimal(value: Any, where: str) -> Decimal:
    """Returns a number that came as text or as a JSON number; raises Unreadable for a float, NaN or nonsense."""
    if isinstance(value, bool | float) or not isinstance(value, str | int | Decimal):
        raise Unreadable(f"{where}: {value!r} is no amount")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise Unreadable(f"{where}: {value!r} is no amount") from error
    if not number.is_finite() or abs(number) > MOST:
        raise Unreadable(f"{where}: {value!r} is no amount")
    return number


def minor(value: Any, currency_code: str, where: str) -> int:
    """Returns an amount in minor units; raises Unreadable where the currency has fewer decimals than the amount."""
    scaled = decimal(value, where).scaleb(get_currency_precision(currency_code))
    if scaled != scaled.to_integral_value():
        raise Unreadable(f"{where}: {value} has more decimals than {currency_code}")
    return int(scaled)


def decimal_text(amount_minor: int, currency_code: str) -> str:
    """Returns minor units as `minor` reads them."""
    return f"{Decimal(amount_minor).scaleb(-get_currency_precision(currency_code)):f}"


def rounded_minor(amount: Decimal, currency_code: str) -> int:
    """Returns a product of price and quantity in minor units, rounded half up."""
    return int(amount.scaleb(get_currency_precision(currency_code)).to_integral_value(ROUND_HALF_UP))
