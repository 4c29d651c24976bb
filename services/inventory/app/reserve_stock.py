"""Reserve: promises stock to orders, each all or nothing, many orders in one set of statements.

Demand is summed per item and location before it is checked, so that two lines of one item cannot both take the last.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from argosy.inventory.v1 import reservations_service_pb2, stock_pb2
from chassis.kernel.errors import FailedPrecondition, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.inventory.app.checks import need_known
from services.inventory.app.views import with_reservations
from services.inventory.domain.stock import WAVE, State
from services.inventory.store import reservations
from services.inventory.store.reservations import Held
from services.inventory.store.stock_book import Document, Key, StockBook


class Line(NamedTuple):
    """What is wanted for an owner's line: of which item and where, how much, and how many days it must live."""

    line_id: str
    key: Key
    quantity: int
    min_life_days: int = 0


def lines_of(lines: Iterable[reservations_service_pb2.ReservationLine]) -> list[Line]:
    """Returns the lines of a request, read from the message once."""
    return [Line(one.line_id, (one.item_id, one.location_id), one.quantity, one.min_life_days) for one in lines]


async def reserve_stock(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each with its reservations or a Refusal: OWNER_CANCELLED, NO_SUCH_ITEM, INSUFFICIENT_STOCK."""
    owners = {call.request.order_id for call in calls}
    carts = {cart_id for call in calls if (cart_id := call.request.cart_id)}
    buried = set[str]() if work.hopeful else await reservations.buried(work, owners)
    held = await reservations.load(work, carts) if carts else []
    wanted = [lines_of(call.request.lines) for call in calls]
    sums = Counter[Key]()
    for lines in wanted:
        for line in lines:
            sums[line.key] += line.quantity
    # What a cart holds is not remembered.
    book = await StockBook.open(work, [*sums, *(one.key for one in held)], lock=not work.hopeful, wanted=sums if not carts else None)
    outcomes: list[Outcome] = []
    fresh: list[Held] = []
    for call, lines in zip(calls, wanted, strict=True):
        work.cause = call.cause
        try:
            cart = [one for one in held if one.owner_id == call.request.cart_id] if held else []
            made = _reserve(work, book, call.request, lines, buried, cart)
        except Refusal as refusal:
            outcomes.append(refusal)
            continue
        fresh += made
        outcomes.append(with_reservations(reservations_service_pb2.ReserveResponse(), made))
    await book.write()
    await reservations.insert(work, fresh)
    await reservations.save(work, held)
    if work.hopeful:
        await reservations.need_unburied(work, owners)
    return outcomes


def _reserve(
    work: Work, book: StockBook, request: reservations_service_pb2.ReserveRequest, lines: Sequence[Line], buried: set[str],
    cart: Sequence[Held],
) -> list[Held]:  # fmt: skip
    order_id = request.order_id
    if order_id in buried:
        raise FailedPrecondition("OWNER_CANCELLED", "the order's reservations were cancelled; it cannot reserve any more", field="order_id")
    need_lines(book, lines, cart)
    if cart:
        _let_go(book, order_id, lines, cart)
    return take_lines(work, book, lines, Owner(order_id, stock_pb2.RESERVATION_KIND_ORDER, State.RESERVED, priority=request.priority))


def need_lines(book: StockBook, lines: Sequence[Line], before: Sequence[Held]) -> None:
    """Raises a Refusal where an item or location of the lines is not known, or not as much is available as they want together."""
    for index, line in enumerate(lines):
        if not book.has(*line.key):
            need_known(book, *line.key, f"lines[{index}]")
    need_available(book, lines, before)


def _let_go(book: StockBook, order_id: str, lines: Sequence[Line], cart: Sequence[Held]) -> None:
    document = Document("reservation", order_id)
    left = _wanted(book, lines) if any(one.kind == WAVE for one in cart) else Counter[Key]()
    for one in cart:
        # A cart becomes the order; a wave holds the rest for its other orders.
        quantity = min(one.reserved, left[one.key]) if one.kind == WAVE else one.reserved
        if quantity:
            left[one.key] -= quantity
            book.move(*one.key, one.lot, (State.SOFT_RESERVED, State.AVAILABLE), quantity, document)
            one.cancelled, one.reserved = one.cancelled + quantity, one.reserved - quantity


def _wanted(book: StockBook, lines: Sequence[Line]) -> Counter[Key]:
    wanted = Counter[Key]()
    for line in lines:
        item_id, location_id = line.key
        for part, quantity in book.parts(item_id, line.quantity):
            wanted[part, location_id] += quantity
    return wanted


class Owner(NamedTuple):
    """Whom stock is promised to, and how."""

    owner_id: str
    kind: int
    state: State
    priority: int = 0
    expires_at: int | None = None


def need_available(book: StockBook, lines: Sequence[Line], before: Sequence[Held]) -> None:
    """Raises FailedPrecondition where the lines together want more than is available, with what the owner held before.

    Who wants longer remaining life can use fewer lots, and those are among the lots of who wants less: so the demands for
    at least each life must fit into the lots that live as long.
    """
    if not before and not book.kits and not any(line.min_life_days for line in lines):
        sums: dict[Key, int] = {}
        for line in lines:
            sums[line.key] = sums.get(line.key, 0) + line.quantity
        for key, quantity in sums.items():
            _need(key, quantity, book.sellable(*key))
        return
    wanted: defaultdict[Key, Counter[int]] = defaultdict(Counter)
    for line in lines:
        item_id, location_id = line.key
        for part, quantity in book.parts(item_id, line.quantity):
            wanted[part, location_id][line.min_life_days] += quantity
    for key, by_life in wanted.items():
        total = 0
        for life_days in sorted(by_life, reverse=True):
            total += by_life[life_days]
            held = sum(one.reserved for one in before if one.key == key and book.lives(one.item_id, one.lot, life_days))
            _need(key, total, book.sellable(*key, life_days) + held)


def _need(key: Key, wanted: int, there: int) -> None:
    if there < wanted:
        text = f"{wanted} of {key[0]} are wanted at {key[1]}, {there} are available"
        raise FailedPrecondition("INSUFFICIENT_STOCK", text, field="lines", item_id=key[0], location_id=key[1], available=there)


def take_lines(work: Work, book: StockBook, lines: Sequence[Line], owner: Owner) -> list[Held]:
    """Moves what the lines want out of AVAILABLE and returns the reservations that hold it, one for each lot."""
    made = []
    document = Document("reservation", owner.owner_id)
    change = (State.AVAILABLE, owner.state)
    for line in sorted(lines, key=lambda one: -one.min_life_days) if len(lines) > 1 else lines:
        item_id, location_id = line.key
        for part, wanted in book.parts(item_id, line.quantity):
            for lot, quantity in book.from_lots(part, location_id, State.AVAILABLE, wanted, line.min_life_days):
                book.move(part, location_id, lot, change, quantity, document)
                made.append(
                    Held(
                        new_id(), owner.kind, owner.owner_id, line.line_id, part, location_id, lot,
                        quantity, 0, 0, 0, owner.expires_at, work.now, owner.priority, wanted // line.quantity,
                        "" if part == item_id else item_id,
                    )
                )  # fmt: skip
    return made
