"""What warehouses of others are given and say, the same for all of them: the port behind which their dialects stand."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct, field

from argosy.common.v1 import address_pb2

ACCEPTED, REJECTED, STUCK, SHIPPED = "ACCEPTED", "REJECTED", "STUCK", "SHIPPED"


class HandedLine(Struct, frozen=True):
    """A line as the warehouse knows it: our number for it, counted from 1, and how much it shall still ship beside what it has."""

    number: int
    line_id: str
    sku: str
    quantity: int
    shipped: int = 0


class Handed(Struct, frozen=True):
    """A fulfilment order as a warehouse is given it. `external_id` is what the warehouse calls it, empty before it said so.

    `whole` are all lines, `left` those of which something shall still ship. Dates are ISO 8601 days, empty where nobody promised.
    """

    reference: str
    external_id: str
    order_number: str
    placed_at: str
    address: address_pb2.Address
    email: str
    method: str
    ship_by: str
    deliver_by: str
    whole: list[HandedLine]

    @property
    def left(self) -> list[HandedLine]:
        """The lines of which something shall still ship."""
        return [line for line in self.whole if line.quantity]


class ShippedLine(Struct, frozen=True):
    """Units in a parcel, named by our line, by its number, or else by the article."""

    quantity: int
    line_id: str = ""
    number: int = 0
    sku: str = ""


class Parcel(Struct, frozen=True):
    """A parcel that left. `number` is the warehouse's own: what it says twice counts once."""

    number: str
    carrier: str
    service: str
    tracking_number: str
    lines: list[ShippedLine]


class Said(Struct, frozen=True):
    """What a warehouse says of one order: of `reference`, ours, or else of `external_id`, its own.

    Where `short` is set, what was not in the parcels will not come any more. `foreign` allows that nobody knows the order: it may
    be another shop's.
    """

    kind: str
    reference: str = ""
    external_id: str = ""
    reason: str = ""
    parcels: list[Parcel] = field(default_factory=list)
    short: bool = False
    foreign: bool = True


class Receipt(Struct, frozen=True):
    """It could read what it was sent under this control number, or could not."""

    control_number: int
    taken: bool
    detail: str = ""


class Arrived(Struct, frozen=True):
    """What came in of a purchase order, by our number for it: good stock units by article, from the first that came until now.

    `document` is the warehouse's own name for what it took in; an order may come in several.
    """

    number: str
    document: str
    units: dict[str, int]


class BackLine(Struct, frozen=True):
    """Stock units that a customer sends back, named by our line or else by the article: all that ever were announced, came, are good."""

    announced: int
    received: int
    good: int
    line_id: str = ""
    sku: str = ""
    reason: str = ""


class ComingBack(Struct, frozen=True):
    """What a customer sends back of an order: of `reference`, ours, or else of `external_id`. `number` is the warehouse's name for it."""

    number: str
    lines: list[BackLine]
    reference: str = ""
    external_id: str = ""


class Heard(Struct, frozen=True):
    """What a delivery of a warehouse means; nothing where `ignored` says why.

    `fetch` are addresses where the rest is said; `acknowledgement` are the segments that say what of it could be read.
    """

    said: list[Said] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    fetch: list[str] = field(default_factory=list)
    acknowledgement: list[list[str]] = field(default_factory=list)
    ignored: str = ""
    unreadable: str = ""
    arrived: list[Arrived] = field(default_factory=list)
    back: list[ComingBack] = field(default_factory=list)


class BillLine(Struct, frozen=True):
    """What a warehouse bills for the freight of a parcel, which it names as in `Parcel.number`; below zero for a credit."""

    line_id: str
    number: str
    amount_minor: int


class Bill(Struct, frozen=True):
    """A bill of a warehouse, as far as it is for freight."""

    number: str
    currency_code: str
    lines: list[BillLine]


class WarehouseApi(Protocol):
    """A warehouse that is called. Methods raise ApiFailure where nobody knows what it did, ApiRefusal where it said no."""

    accepts_by_taking: bool

    async def give(self, order: Handed) -> str:
        """Gives it an order, and returns what it calls it; the one that is there where it was given before."""

    async def change(self, order: Handed) -> bool:
        """Tells it to ship no more than is left, and says whether it agrees."""

    async def look(self, order: Handed) -> Sequence[bytes]:
        """Asks what became of an order, as deliveries that its dialect understands."""

    async def arrived(self, numbers: Sequence[str]) -> Sequence[bytes]:
        """Asks what came in of purchase orders, as deliveries that its dialect understands."""

    async def fetch(self, url: str) -> bytes:
        """Fetches what it said would be there."""


@runtime_checkable
class SaysStock(Protocol):
    """A warehouse that says what it has."""

    async def stock(self) -> Mapping[str, int]:
        """Returns the stock units on hand by SKU, promised or not."""


@runtime_checkable
class SendsBills(Protocol):
    """A warehouse that can be asked for its bills."""

    async def bills(self, since: str) -> Sequence[str]:
        """Returns the numbers of its bills since a day, ISO 8601."""

    async def bill(self, number: str) -> Bill:
        """Returns a bill; raises Unreadable."""
