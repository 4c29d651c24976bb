"""What became of a parcel, from all that its carrier said."""

from collections.abc import Iterable
from typing import NamedTuple

# What is later in a parcel's life holds where two things happened at one moment.
LIFE = ("PRE_TRANSIT", "IN_TRANSIT", "OUT_FOR_DELIVERY", "AVAILABLE_FOR_PICKUP", "FAILURE", "LOST", "DELIVERED", "RETURNED")


class Told(NamedTuple):
    """One thing that a carrier said, and when it happened (microseconds)."""

    status: str
    at: int
    detail: str = ""
    place: str = ""


def latest(told: Iterable[Told]) -> Told:
    """Returns what holds: the latest; but what was delivered stays so until it is returned. Raises ValueError for nothing."""
    ordered = sorted(told, key=lambda one: (one.at, LIFE.index(one.status)))
    if not ordered:
        raise ValueError("nothing was said of the parcel")
    delivered = next((one for one in ordered if one.status == "DELIVERED"), None)
    if delivered is None:
        return ordered[-1]
    returned = [one for one in ordered if one.status == "RETURNED" and one.at >= delivered.at]
    return returned[-1] if returned else delivered
