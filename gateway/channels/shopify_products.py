"""Shopify's product export (CSV) as items: pure, a product's rows at a time.

A product is one row or several with the same Handle: the first names it, others are further variants or only further pictures.
Both generations of columns are understood; what an item has no field for becomes an attribute. A row with an amount that is
none says what is wrong with it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from itertools import groupby

from stdnum import ean

from gateway.channels.amounts import minor
from gateway.channels.commands import Unreadable

OPTIONS = (1, 2, 3)
DEFAULT = "Default Title"
MOST_PICTURES = 100
Row = tuple[int, dict[str, str]]
# Columns that become attributes of every variant.
KEPT = {
    "Type": "type", "Tags": "tags", "Body (HTML)": "description_html", "Google Shopping / Gender": "gender",
    "Google Shopping / Age Group": "age_group", "Google Shopping / Google Product Category": "google_category",
    "Product Category": "product_category",
}  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """One item of a product; the price is the shop's, in minor units, and -1 where there is none."""

    line: int
    sku: str
    own_sku: bool
    name: str
    brand: str
    gtin: str
    weight_g: int
    taxable: bool
    price_minor: int
    cost_minor: int
    media_urls: list[str]
    attributes: dict[str, str] = field(default_factory=dict)
    # What is wrong with the row; empty where it can be brought in.
    wrong: str = ""


def products(rows: Iterable[Row], currency_code: str) -> Iterator[list[Variant]]:
    """Yields the variants of each product; rows of one follow one another."""
    for handle, group in groupby(rows, key=lambda row: row[1].get("Handle", "")):
        yield list(_variants(handle, list(group), currency_code))


def _variants(handle: str, rows: list[Row], currency_code: str) -> Iterator[Variant]:
    first = rows[0][1]
    names = [first.get(f"Option{number} Name", "") for number in OPTIONS]
    pictures = [row["Image Src"] for _, row in rows if row.get("Image Src")]
    common = {name: first[column] for column, name in KEPT.items() if first.get(column)}
    for line, row in rows:
        if not (row.get("Variant Price") or row.get("Variant SKU")):
            continue
        options = {
            name: value
            for name, number in zip(names, OPTIONS, strict=True)
            if name and (value := row.get(f"Option{number} Value", "")) and value not in (DEFAULT, first.get("Title"))
        }
        barcode = row.get("Variant Barcode", "").lstrip("'")
        right = bool(barcode) and ean.is_valid(barcode)
        own = row.get("Variant SKU", "")
        media = [*([row["Variant Image"]] if row.get("Variant Image") else []), *pictures]
        price_minor, cost_minor, wrong = _amounts(row, currency_code)
        attributes = {**common, **{_attribute(name): value for name, value in options.items()}, "handle": handle}
        yield Variant(
            line=line, sku=(own or "-".join([handle, *map(_slug, options.values())])).upper(), own_sku=bool(own),
            name=" – ".join([first.get("Title", "") or handle, *options.values()])[:300], brand=first.get("Vendor", ""),
            gtin=ean.compact(barcode) if right else "", weight_g=_grams(row), taxable=row.get("Variant Taxable", "true").lower() != "false",
            price_minor=price_minor, cost_minor=cost_minor, wrong=wrong,
            media_urls=list(dict.fromkeys(media))[:MOST_PICTURES],
            attributes={**attributes, **({"barcode": barcode} if barcode and not right else {})},
        )  # fmt: skip


def _amounts(row: dict[str, str], currency_code: str) -> tuple[int, int, str]:
    """Returns price, cost, and what is wrong with them."""
    found = {"Variant Price": -1, "Cost per item": 0}
    try:
        found.update({name: minor(row[name], currency_code, name) for name in found if row.get(name)})
    except Unreadable as error:
        return -1, 0, str(error)
    return found["Variant Price"], found["Cost per item"], ""


def _grams(row: dict[str, str]) -> int:
    """Returns the weight, which the column gives in grams whatever unit the shop shows; a broken one is none."""
    try:
        return max(0, int(Decimal(row.get("Variant Grams") or "0").to_integral_value()))
    except InvalidOperation:
        return 0


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _attribute(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "option"
