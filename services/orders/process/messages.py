"""What the process of an order is told, what it asks for, and what it changes. Quantities are in stock units."""

from msgspec import Struct, field


class Part(Struct, frozen=True):
    """Units of a line at a location."""

    line_id: str
    location_id: str
    quantity: int


class LineCount(Struct, frozen=True):
    """Units of a line."""

    line_id: str
    quantity: int


class Taken(LineCount, frozen=True):
    """Units of a line that are to be taken back from a location; from wherever they are where that is empty."""

    location_id: str = ""


# -- told


class Placed(Struct, frozen=True, tag=True):
    """The order was taken."""


class ItemsResolved(Struct, frozen=True, tag=True):
    """Catalog says what the SKUs mean; `items` has no entry for an unknown one."""

    items: dict[str, "Item"]


class Item(Struct, frozen=True):
    """What a line's SKU means."""

    item_id: str
    sku: str
    units: int
    tax_class: str
    weight_g: int
    restricted_countries: list[str]
    list_price_minor: int
    price_includes_tax: bool
    hazmat_class: str = ""
    export_control_class: str = ""
    sellable_from: int = 0


class SaleDated(Struct, frozen=True, tag=True):
    """Catalog says from when lines are sold; 0 where they are."""

    moments: dict[str, int]


class TaxCalculated(Struct, frozen=True, tag=True):
    """Finance says what the tax is, and inventory how much can be promised of each item."""

    line_tax_minor: dict[str, int]
    shipping_tax_minor: int
    unknown: bool
    promisable: dict[str, int] = {}


class Validated(Struct, frozen=True, tag=True):
    """The rules have spoken."""

    reasons: list[str]


class Planned(Struct, frozen=True, tag=True):
    """Fulfillment says what ships from where."""

    parts: list[Part]
    short: list[LineCount]
    deliver_by: int | None = None


class Reserved(Struct, frozen=True, tag=True):
    """Inventory has promised what was planned."""


class Move(Struct, frozen=True):
    """Units of a line that are reserved at one location and better ship from another."""

    line_id: str
    from_location_id: str
    to_location_id: str
    quantity: int


class Moved(Struct, frozen=True, tag=True):
    """Inventory keeps these elsewhere now; the others that it was asked for stay."""

    moves: list[Move]


class ReserveRefused(Struct, frozen=True, tag=True):
    """Inventory could not promise what was planned."""

    reason: str


class Released(Struct, frozen=True, tag=True):
    """The locations have it."""


class ReleaseRefused(Struct, frozen=True, tag=True):
    """Nothing may leave before somebody enters what is missing."""

    reason: str


class Recalled(Struct, frozen=True, tag=True):
    """The locations gave this back; so many units more have to be agreed with who has accepted them."""

    parts: list[Part]
    pending: int = 0


class RecallAnswered(Struct, frozen=True, tag=True):
    """A location that was asked gives this back, and keeps so many units."""

    parts: list[Part]
    kept: int
    reason: str


class ReservationCancelled(Struct, frozen=True, tag=True):
    """Inventory took this back."""


class StepFailed(Struct, frozen=True, tag=True):
    """A step was refused for good."""

    step: str
    reason: str


class Shorted(Struct, frozen=True, tag=True):
    """A location did not find this."""

    parts: list[Part]


class Rejected(Struct, frozen=True, tag=True):
    """A location will not ship this."""

    parts: list[Part]
    reason: str


class Ready(Struct, frozen=True, tag=True):
    """This waits at a location for the customer, until then."""

    parts: list[Part]
    collect_by: int


class NotCollected(Struct, frozen=True, tag=True):
    """The customer did not come for this in time."""

    parts: list[Part]


class Shipped(Struct, frozen=True, tag=True):
    """A parcel left."""

    shipment_id: str
    parts: list[Part]


class CancelRequested(Struct, frozen=True, tag=True):
    """Somebody wants this not to ship; all that is open where empty."""

    lines: list[LineCount]
    reason: str


class ChangeRequested(Struct, frozen=True, tag=True):
    """Somebody wants the order to go elsewhere, another way, or with other lines: so many of the channel's units left to ship, or new."""

    change_id: str
    lines: list[LineCount] = []
    # What happens when stock does not suffice; 0 where that stays.
    policy: int = 0
    # How many units had shipped or were cancelled when it was asked; by line that has shipped, the one as which its rest goes on.
    gone: int = 0
    rests: dict[str, str] = {}


class Paid(Struct, frozen=True, tag=True):
    """The order is paid now."""


class SupplyCame(Struct, frozen=True, tag=True):
    """Inventory has promised what waited for supply."""

    parts: list[Part]


class Demanded(Struct, frozen=True, tag=True):
    """Inventory lets a line wait for supply: whether some of it does, and until when; None where no supply is in sight."""

    line_id: str
    quantity: int
    waits: bool
    promised_at: int | None


class DemandRefused(Struct, frozen=True, tag=True):
    """Inventory lets a line not wait."""

    line_id: str
    reason: str


class DemandCancelled(Struct, frozen=True, tag=True):
    """Inventory lets a line wait no more."""

    line_id: str


class SupplyDated(Struct, frozen=True, tag=True):
    """Supply that a line waits for is expected at another time; None where none is in sight."""

    line_id: str
    promised_at: int | None


class StockTaken(Struct, frozen=True, tag=True):
    """Inventory gave what was promised to a more urgent order."""

    parts: list[Part]
    taken_by: str
    blocked_lot: str = ""


# -- asked for


class ResolveItems(Struct, frozen=True, tag=True):
    """Ask catalog what the order's SKUs mean."""

    order_id: str


class AskSale(Struct, frozen=True, tag=True):
    """Ask catalog from when the order's lines are sold."""

    order_id: str


class CalculateTax(Struct, frozen=True, tag=True):
    """Ask finance for the tax."""

    order_id: str


class PlanOrder(Struct, frozen=True, tag=True):
    """Ask fulfillment where these lines shall ship from; what is `held` is reserved for them already."""

    order_id: str
    lines: list[LineCount]
    excluded_location_ids: list[str]
    ship_complete: bool
    held: list[Part] = field(default_factory=list)


class MoveReservations(Struct, frozen=True, tag=True):
    """Ask inventory to keep these elsewhere, each if it can."""

    order_id: str
    moves: list[Move]


class ReserveStock(Struct, frozen=True, tag=True):
    """Ask inventory to promise this."""

    order_id: str
    parts: list[Part]


class ReleaseOrder(Struct, frozen=True, tag=True):
    """Give this to the locations."""

    order_id: str
    parts: list[Part]


class RecallOrder(Struct, frozen=True, tag=True):
    """Ask the locations to give this back."""

    order_id: str
    lines: list[LineCount]
    reason: str


class CancelReservation(Struct, frozen=True, tag=True):
    """Ask inventory to take this back."""

    order_id: str
    lines: list[Taken]
    reason: str


class GiveBack(Struct, frozen=True, tag=True):
    """Ask inventory to take back what came too late."""

    order_id: str
    parts: list[Part]


class PlaceDemand(Struct, frozen=True, tag=True):
    """Ask inventory to let this wait for supply, as something that is sold out, or not sold yet."""

    order_id: str
    line_id: str
    quantity: int
    preorder: bool = False


class CancelDemand(Struct, frozen=True, tag=True):
    """Ask inventory to let a line wait no more."""

    order_id: str
    line_id: str


# -- changed


class KeepItems(Struct, frozen=True, tag=True):
    """Write what the SKUs mean into the lines."""

    items: dict[str, Item]


class KeepSale(Struct, frozen=True, tag=True):
    """Write from when lines are sold."""

    moments: dict[str, int]


class KeepTax(Struct, frozen=True, tag=True):
    """Write the tax, or compare it with what was charged, and let the rules judge; after a change, what was paid too much goes back."""

    line_tax_minor: dict[str, int]
    shipping_tax_minor: int
    unknown: bool
    changed: bool = False
    promisable: dict[str, int] = {}


class KeepPromise(Struct, frozen=True, tag=True):
    """Write by when the order, or what is left of it where it is `partial`, arrives."""

    deliver_by: int
    partial: bool


class KeepQuantities(Struct, frozen=True, tag=True):
    """Write how far the lines got."""

    lines: dict[str, "Counts"]


class Counts(Struct, frozen=True):
    """How far a line got."""

    waiting: int
    reserved: int
    released: int
    shipped: int
    cancelled: int
    backordered: int = 0


class SettleChange(Struct, frozen=True, tag=True):
    """Write a change into the order, or that it came too late."""

    change_id: str
    refused: str = ""


class BookShipment(Struct, frozen=True, tag=True):
    """Say what shipped is worth."""

    shipment_id: str
    lines: list[LineCount]


class BookCancellation(Struct, frozen=True, tag=True):
    """Say what will not ship, and give money for it back."""

    lines: list[LineCount]
    reason: str


class RaiseHold(Struct, frozen=True, tag=True):
    """Let the order wait for a person."""

    reason: str
    detail: str


class LiftHold(Struct, frozen=True, tag=True):
    """The reason is gone."""

    reason: str


class Record(Struct, frozen=True, tag=True):
    """Write a line of history."""

    kind: str
    detail: str


class Complete(Struct, frozen=True, tag=True):
    """Nothing is left to ship."""
