"""Reserve: promises stock to orders, each all or nothing, many orders in one set of statements.

Demand is summed per item and location before it is checked, so that two lines of one item cannot both take the last.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from argosy.inventory.v1 import reservations_service_pb2, stock_pb2
from chassis.kernel.errors import FailedPrecondition, Refusal
from chassis.kernel.ids import new_id
from chassis.runtime.work import Work
from chassis.runtime.writer import Call, Outcome
from services.inventory.app.checks import need_known
from services.inventory.app.views import to_reservation
from services.inventory.domain.stock import WAVE, State
from services.inventory.store import reservations
from services.inventory.store.reservations import Held
from services.inventory.store.stock_book import Document, Key, StockBook


async def reserve_stock(work: Work, calls: Sequence[Call]) -> list[Outcome]:
    """Answers each with its reservations or a Refusal: OWNER_CANCELLED, NO_SUCH_ITEM, INSUFFICIENT_STOCK."""
    owners = {call.request.order_id for call in calls}
    carts = {call.request.cart_id for call in calls if call.request.cart_id}
    buried = set[str]() if work.hopeful else await reservations.buried(work, owners)
    held = await reservations.load(work, carts) if carts else []
    keys = [(line.item_id, line.location_id) for call in calls for line in call.request.lines]
    book = await StockBook.open(work, keys + [one.key for one in held], lock=not work.hopeful)
    outcomes: list[Outcome] = []
    fresh: list[Held] = []
    for call in calls:
        work.cause = call.cause
        try:
            cart_id = call.request.cart_id
            cart = [one for one in held if one.owner_id == cart_id] if cart_id else []
            made = _reserve(work, book, call.request, buried, cart)
        except Refusal as refusal:
            outcomes.append(refusal)
            continue
        fresh += made
        outcomes.append(reservations_service_pb2.ReserveResponse(reservations=[to_reservation(one) for one in made]))
    await book.write()
    await reservations.insert(work, fresh)
    await reservations.save(work, held)
    if work.hopeful:
        await reservations.need_unburied(work, owners)
    return outcomes


def _reserve(
    work: Work, book: StockBook, request: reservations_service_pb2.ReserveRequest, buried: set[str], cart: Sequence[Held]
) -> list[Held]:
    if request.order_id in buried:
        raise FailedPrecondition("OWNER_CANCELLED", "the order's reservations were cancelled; it cannot reserve any more", field="order_id")
    for index, line in enumerate(request.lines):
        need_known(book, line.item_id, line.location_id, f"lines[{index}]")
    need_available(book, request.lines, cart)
    if cart:
        _let_go(book, request, cart)
    owner = Owner(request.order_id, stock_pb2.RESERVATION_KIND_ORDER, State.RESERVED, priority=request.priority)
    return take_lines(work, book, request.lines, owner)


def _let_go(book: StockBook, request: reservations_service_pb2.ReserveRequest, cart: Sequence[Held]) -> None:
    document = Document("reservation", request.order_id)
    left = _wanted(book, request.lines) if any(one.kind == WAVE for one in cart) else Counter[Key]()
    for one in cart:
        # A cart becomes the order; a wave holds the rest for its other orders.
        quantity = min(one.reserved, left[one.key]) if one.kind == WAVE else one.reserved
        if quantity:
            left[one.key] -= quantity
            book.move(*one.key, one.lot, (State.SOFT_RESERVED, State.AVAILABLE), quantity, document)
            one.cancelled, one.reserved = one.cancelled + quantity, one.reserved - quantity


def _wanted(book: StockBook, lines: Sequence[reservations_service_pb2.ReservationLine]) -> Counter[Key]:
    wanted = Counter[Key]()
    for line in lines:
        for part, quantity in book.parts(line.item_id, line.quantity):
            wanted[part, line.location_id] += quantity
    return wanted


class Owner(NamedTuple):
    """Whom stock is promised to, and how."""

    owner_id: str
    kind: int
    state: State
    priority: int = 0
    expires_at: int | None = None


def need_available(book: StockBook, lines: Sequence[reservations_service_pb2.ReservationLine], before: Sequence[Held]) -> None:
    """Raises FailedPrecondition where the lines together want more than is available, with what the owner held before.

    Who wants longer remaining life can use fewer lots, and those are among the lots of who wants less: so the demands for
    at least each life must fit into the lots that live as long.
    """
    if not before and not any(line.min_life_days or book.components(line.item_id) for line in lines):
        sums: dict[Key, int] = {}
        for line in lines:
            key = (line.item_id, line.location_id)
            sums[key] = sums.get(key, 0) + line.quantity
        for key, quantity in sums.items():
            _need(key, quantity, book.sellable(*key))
        return
    wanted: defaultdict[Key, Counter[int]] = defaultdict(Counter)
    for line in lines:
        for part, quantity in book.parts(line.item_id, line.quantity):
            wanted[part, line.location_id][line.min_life_days] += quantity
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


def take_lines(work: Work, book: StockBook, lines: Sequence[reservations_service_pb2.ReservationLine], owner: Owner) -> list[Held]:
    """Moves what the lines want out of AVAILABLE and returns the reservations that hold it, one for each lot."""
    made = []
    document = Document("reservation", owner.owner_id)
    change = (State.AVAILABLE, owner.state)
    for line in sorted(lines, key=lambda one: -one.min_life_days) if len(lines) > 1 else lines:
        item_id, location_id = line.item_id, line.location_id
        kit_item_id = item_id if book.components(item_id) else ""
        for part, wanted in book.parts(item_id, line.quantity):
            for lot, quantity in book.from_lots(part, location_id, State.AVAILABLE, wanted, line.min_life_days):
                book.move(part, location_id, lot, change, quantity, document)
                made.append(
                    Held(
                        new_id(), owner.kind, owner.owner_id, line.line_id, part, location_id, lot,
                        quantity, 0, 0, 0, owner.expires_at, work.now, owner.priority, wanted // line.quantity, kit_item_id,
                    )
                )  # fmt: skip
    return made
