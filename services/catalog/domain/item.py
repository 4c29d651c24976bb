"""What makes an item fit for trade: normal forms, required attributes, and its governed life."""

import re
import unicodedata
from collections.abc import Sequence
from enum import IntEnum

from stdnum import ean
from stdnum.exceptions import ValidationError

from chassis.kernel.errors import FailedPrecondition, InvalidArgument

REQUIRED = ("name", "brand", "tax_class", "weight_g", "origin_country_code", "hs_code")


class Lifecycle(IntEnum):
    """Where an item stands; numbered as in the contract."""

    DRAFT = 1
    IN_REVIEW = 2
    APPROVED = 3
    PUBLISHED = 4
    RETIRED = 5


STEPS = {
    "submit": ({Lifecycle.DRAFT}, Lifecycle.IN_REVIEW),
    "approve": ({Lifecycle.IN_REVIEW}, Lifecycle.APPROVED),
    "publish": ({Lifecycle.APPROVED}, Lifecycle.PUBLISHED),
    "retire": ({Lifecycle.DRAFT, Lifecycle.IN_REVIEW, Lifecycle.APPROVED, Lifecycle.PUBLISHED}, Lifecycle.RETIRED),
}


def normal_sku(sku: str) -> str:
    """Returns a SKU in its one form: upper case, without surrounding blanks. Raises InvalidArgument for an empty one."""
    normal = sku.strip().upper()
    if not normal:
        raise InvalidArgument("INVALID_FIELD", "item.sku: is blank", field="item.sku")
    return normal


def normal_gtin(gtin: str) -> str | None:
    """Returns a GTIN without separators, None where there is none; raises InvalidArgument for a wrong check digit."""
    if not gtin.strip():
        return None
    try:
        return str(ean.validate(gtin))
    except ValidationError as error:
        raise InvalidArgument("INVALID_GTIN", f"item.gtin: {gtin} is no GTIN: {error}", field="item.gtin") from error


def need_units(stock_unit: str, units: Sequence[tuple[str, str]]) -> None:
    """Raises InvalidArgument where a unit is the stock unit, is said twice, or has a wrong GTIN; `units` are (unit, GTIN)."""
    seen = {stock_unit}
    for index, (unit, gtin) in enumerate(units):
        if unit in seen:
            text = f"item.units[{index}].unit: {unit} is said twice, or is the stock unit"
            raise InvalidArgument("DOUBLE_UNIT", text, field=f"item.units[{index}].unit")
        seen.add(unit)
        normal_gtin(gtin)


def likeness(brand: str, name: str) -> str:
    """Returns brand and name in a form in which near-identical ones are equal: words in order, without case, marks and accents."""
    text = unicodedata.normalize("NFKD", f"{brand} {name}").casefold()
    words = re.findall(r"[a-z0-9]+", "".join(one for one in text if not unicodedata.combining(one)))
    return " ".join(sorted(set(words)))[:400]


def missing_attributes(attributes: dict[str, object]) -> list[str]:
    """Returns the required attributes that are empty."""
    return [name for name in REQUIRED if not attributes[name]]


def after(step: str, now: int) -> Lifecycle:
    """Returns where an item stands after a step; raises FailedPrecondition where the step is not open to it."""
    allowed, following = STEPS[step]
    if now not in allowed:
        names = " or ".join(sorted(one.name for one in allowed))
        raise FailedPrecondition(
            "WRONG_LIFECYCLE", f"to {step} it, an item must be {names}; it is {Lifecycle(now).name}", lifecycle=Lifecycle(now).name
        )
    return following
