"""When a parcel crosses a customs border, and what customs wants to know of what is in it."""

from collections.abc import Iterable
from typing import NamedTuple

# The customs union of the European Union (Regulation (EU) No 952/2013, article 4), and Monaco, which belongs to it.
UNION = frozenset({
    "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV", "LT", "LU", "MC", "MT", "NL", "PL",
    "PT", "RO", "SK", "SI", "ES", "SE",
})  # fmt: skip
# Parts of its members that are outside of it, by country and the first characters of their postal codes.
OUTSIDE = {"ES": ("51", "52"), "IT": ("23041",), "DE": ("27498", "78266")}


def crosses_border(from_country: str, to_country: str, to_postal_code: str = "") -> bool:
    """Says whether a parcel needs a commercial invoice."""
    if any(to_postal_code.startswith(prefix) for prefix in OUTSIDE.get(to_country, ())):
        return True
    return from_country != to_country and not {from_country, to_country} <= UNION


class Goods(NamedTuple):
    """What customs wants to know of a line."""

    sku: str
    name: str
    hs_code: str
    origin: str


def missing(goods: Iterable[Goods], sender_tax_id: str) -> list[str]:
    """Returns what nobody has entered, as people say it."""
    found = [] if sender_tax_id else ["the sender's tax id: set it at the location's origin"]
    for one in goods:
        for value, name in ((one.hs_code, "HS code"), (one.origin, "country of origin"), (one.name, "name")):
            if not value:
                found.append(f"{one.sku}: its {name}")
    return found
