"""What every dialect's deliveries mean: commands about orders, the same for all channels."""

from msgspec import Struct, field


class Unreadable(Exception):
    """Nobody understands the delivery; the text says what is wrong and where."""


class Unmapped(Unreadable):
    """It says a status of which nobody said what it means here."""


class PlaceOrder(Struct, frozen=True, tag=True):
    """There must be this order. `order` is a CreateOrderRequest as JSON, without its request id.

    Where it is not known yet and `review` is set, a person looks at it first.
    """

    order: str
    review: str = ""


class CompareLines(Struct, frozen=True, tag=True):
    """The order's lines are these quantities, by external line id; a person looks at it where they are not."""

    quantities: dict[str, int]


class FindOrder(Struct, frozen=True, tag=True):
    """The order must be known before what follows."""


class CapturePayment(Struct, frozen=True, tag=True):
    """What was announced or authorised has been paid."""


class CancelOrder(Struct, frozen=True, tag=True):
    """Nothing more of it shall ship."""

    reason: str


class GiveBack(Struct, frozen=True, tag=True):
    """Units come off the order: cancelled while they have not shipped, else refunded, or expected back at a location.

    `lines` are quantities by external line id; `amount_minor` is what the channel paid back, -1 where it does not say.
    """

    key: str
    reason: str
    lines: dict[str, int]
    amount_minor: int = -1
    location_id: str = ""


class RecordPayment(Struct, frozen=True, tag=True):
    """A payment provider says this of a payment. `event` is a RecordPaymentEventRequest as JSON, without its request id."""

    event: str


class RecordTracking(Struct, frozen=True, tag=True):
    """A carrier says this of a parcel. `event` is a RecordTrackingRequest as JSON, without its request id."""

    event: str


class TellLocation(Struct, frozen=True, tag=True):
    """A warehouse of others says this of a fulfilment order.

    `request` is the request of fulfillment's rpc as JSON, without its request id; `rpc` is one of TELLING.
    """

    rpc: str
    request: str


class TakeIn(Struct, frozen=True, tag=True):
    """A warehouse of others took these more stock units in, by article, of the purchase order with our number.

    Once a person has `reviewed` it, what still cannot be booked is left out.
    """

    number: str
    location_id: str
    document: str
    units: dict[str, int]
    reviewed: bool = False


class BackUnits(Struct, frozen=True):
    """All stock units of an order's line that ever shall come back by one return, that came, and that can be sold again."""

    line_id: str
    expected: int
    received: int
    good: int
    reason: str


class TakeBack(Struct, frozen=True, tag=True):
    """A warehouse of others says this of a return; `number` is its name for it. Once `reviewed`, what cannot be booked is left out."""

    number: str
    order_id: str
    location_id: str
    lines: list[BackUnits]
    reviewed: bool = False


class NeedsPerson(Struct, frozen=True, tag=True):
    """Something is said that only a person can do something about."""

    reason: str
    detail: str


TELLING = ("AcceptFulfillmentOrder", "RejectFulfillmentOrder", "ConfirmShipment", "AcceptCancellation", "RejectCancellation")
Command = (
    PlaceOrder | CompareLines | FindOrder | CapturePayment | CancelOrder | GiveBack | RecordPayment | RecordTracking | TellLocation
    | TakeIn | TakeBack | NeedsPerson
)  # fmt: skip


class Step(Struct, frozen=True):
    """A command; where `once` names it, only the first delivery that says it carries it out."""

    command: Command
    once: str = ""


class OrderSteps(Struct, frozen=True):
    """What a delivery says of one order. `updated_at` (µs) orders whole pictures of an order; 0 is no whole picture."""

    external_order_id: str
    steps: list[Step]
    updated_at: int = 0


class Understood(Struct, frozen=True):
    """What a delivery means; nothing where `ignored` says why."""

    orders: list[OrderSteps] = field(default_factory=list)
    ignored: str = ""
