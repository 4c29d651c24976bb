"""Integer amounts: shared so that the parts always sum to the whole, and shown to people."""

from decimal import Decimal

from babel.numbers import format_currency, get_currency_precision


def shown(amount_minor: int, currency_code: str, language: str = "en") -> str:
    """Returns an amount for people, as Babel writes it; one of no known currency is shown in minor units."""
    if len(currency_code) != 3:
        return str(amount_minor)
    return format_currency(Decimal(amount_minor).scaleb(-get_currency_precision(currency_code)), currency_code, locale=language)


def proportion(total: int, part: int, whole: int) -> int:
    """Returns total · part / whole, rounded half up; `whole` is positive."""
    numerator = total * part * 2 + whole
    return numerator // (whole * 2)


def share(total: int, before: int, quantity: int, units: int) -> int:
    """Returns what `quantity` of `units` is worth when `before` units have had their share.

    r(total·(before+quantity)/units) − r(total·before/units): over all units the shares sum to `total`.
    """
    return proportion(total, before + quantity, units) - proportion(total, before, units)


def allocate(total: int, weights: list[int]) -> list[int]:
    """Spreads `total` over `weights` by largest remainder; equal remainders favour the earlier.

    All weights 0 count as equal. Raises ValueError without weights or with a negative one.
    """
    if not weights or min(weights) < 0:
        raise ValueError("allocate needs weights, none of them negative")
    whole = sum(weights)
    if whole == 0:
        weights, whole = [1] * len(weights), len(weights)
    parts = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    left = total - sum(parts)
    for index in sorted(range(len(weights)), key=lambda i: -remainders[i])[:left]:
        parts[index] += 1
    return parts
