"""Books what happens in the locations: released, short, recalled, shipped. A shipment that happened is never refused."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from argosy.inventory.v1 import inventory_events_pb2, stock_pb2
from chassis.kernel.ids import new_id, request_id
from chassis.runtime.inbox import Received
from chassis.runtime.work import HoldKind, NotYet, Work
from services.inventory.app.counts import want_count
from services.inventory.app.drop_ship import buy, prices_for
from services.inventory.app.find_stock import find_stock
from services.inventory.app.supply import fill
from services.inventory.domain.stock import State
from services.inventory.store import reservations
from services.inventory.store.reservations import Held
from services.inventory.store.stock_book import Document, StockBook
from services.inventory.store.tables import ISSUES

COUNT_TASK = HoldKind("SHORT_PICK", "stock", 7200, "operations")
NOTHING_TO_SHIP = HoldKind("NOTHING_TO_SHIP", "stock", 3600, "operations")


async def on_released(work: Work, events: Sequence[Received]) -> None:
    """RESERVED → ALLOCATED; what a more urgent order took in that moment comes from AVAILABLE, else a person stops it."""
    async with _Booking(work, events) as booking:
        for event in events:
            for line in booking.begin(event):
                for held in booking.of(event, line):
                    part = booking.part(min(held.reserved, booking.left))
                    if part:
                        booking.book.move(*held.key, held.lot, (State.RESERVED, State.ALLOCATED), part, booking.document)
                        held.reserved, held.allocated = held.reserved - part, held.allocated + part
                booking.cover(event, line)
                if booking.left:
                    one = event.message
                    text = f"{booking.left} of {line.item_id} that {one.location_id} was told to ship are not there: stop it, or count"
                    work.hold(NOTHING_TO_SHIP, "fulfillment_order", one.fulfillment_order_id, text)


async def on_shorted(work: Work, events: Sequence[Received]) -> None:
    """ALLOCATED → QUARANTINE, with a task to count what is there."""
    async with _Booking(work, events) as booking:
        for event in events:
            for line in booking.begin(event):
                _give_up(booking, event, line, State.QUARANTINE)
                detail = f"{line.quantity} of {line.item_id} were not found at {event.message.location_id}: count it"
                await want_count(work, line.item_id, event.message.location_id, detail)
                work.hold(COUNT_TASK, "item", line.item_id, detail)


async def on_bin_differed(work: Work, events: Sequence[Received]) -> None:
    """A bin held other than was expected: what differed is counted at the whole location."""
    for event in events:
        work.cause = event.cause
        for item_id in event.message.item_ids:
            detail = f"bin {event.message.bin} held other than was expected"
            await want_count(work, item_id, event.message.location_id, detail)


async def on_recalled(work: Work, events: Sequence[Received]) -> None:
    """ALLOCATED → AVAILABLE; who waits for it has it."""
    async with _Booking(work, events) as booking:
        back = set()
        for event in events:
            for line in booking.begin(event):
                _give_up(booking, event, line, State.AVAILABLE)
                back.add((line.item_id, event.message.location_id))
        await fill(work, booking.book, back)


async def on_shipped(work: Work, events: Sequence[Received]) -> None:
    """ALLOCATED → out, at the cost of its layers; what was never promised comes from AVAILABLE, else is found and issued.

    What leaves from stock that is not ours is bought from its owner at that moment.
    """
    async with _Booking(work, events, costs=True) as booking:
        issues = []
        prices = await prices_for(work, booking.book, [event.message for event in events])
        for event in events:
            message = event.message
            location = booking.book.locations.get(message.location_id)
            if location is None:
                raise NotYet(f"there is no location {message.location_id}")
            issued = inventory_events_pb2.StockIssued(
                document_id=f"issue-{message.shipment_id}", shipment_id=message.shipment_id, order_id=message.order_id,
                channel_id=message.channel_id, location_id=message.location_id, entity=location.entity,
                currency_code=location.currency_code,
            )  # fmt: skip
            values: Counter[str] = Counter()
            for line in booking.begin(event, issued.document_id):
                values[line.line_id] += _ship(work, booking, event, line)
            for line in message.lines:
                value = values.pop(line.line_id, 0)
                issued.value_minor += value
                issued.lines.add(item_id=line.item_id, quantity=line.quantity, value_minor=value, line_id=line.line_id)
            work.emit(issued)
            bought = {} if location.owned else buy(work, location, issued, prices)
            issues += [
                {
                    "document_id": issued.document_id, "line_id": line.line_id, "item_id": line.item_id,
                    "location_id": message.location_id, "quantity": line.quantity,
                    "value_minor": line.value_minor + bought.get(line.line_id, 0), "returned_quantity": 0, "issued_at": work.now,
                    "order_id": message.order_id, "channel_id": message.channel_id,
                }
                for line in issued.lines
            ]  # fmt: skip
        await work.tx.insert(ISSUES, issues)


def _give_up(booking: "_Booking", event: Received, line: "_Line", target: State) -> None:
    """Gives up what is allocated: all was, as a fulfilment order's events come in order; what is not any more left with another parcel."""
    for held in booking.of(event, line):
        part = booking.part(min(held.allocated, booking.left))
        if part:
            booking.book.move(*held.key, held.lot, (State.ALLOCATED, target), part, booking.document)
            held.allocated, held.cancelled = held.allocated - part, held.cancelled + part


def _ship(work: Work, booking: "_Booking", event: Received, line: "_Line") -> int:
    book, key = booking.book, (line.item_id, event.message.location_id)
    moves: list[tuple[str, State, int]] = []
    for held in booking.of(event, line):
        # What the order has reserved beside is its own to give back: it may not know yet that it has.
        part = booking.part(min(held.allocated, booking.left))
        if part:
            held.allocated, held.shipped = held.allocated - part, held.shipped + part
            moves.append((held.lot, State.ALLOCATED, part))
    for lot, quantity in book.from_lots(*key, State.AVAILABLE, booking.left):
        moves.append((lot, State.AVAILABLE, booking.part(quantity)))
    if booking.left:
        found = booking.part(booking.left)
        document_id = request_id("found", event.message.shipment_id, line.line_id, line.item_id)
        find_stock(work, book, key, found, document_id, "shipped more than was booked")
        moves.append(("", State.AVAILABLE, found))
    value = 0
    for lot, state, quantity in moves:
        value += book.issue(*key, quantity, booking.document, lot=lot)
        book.move(*key, lot, (state, State.OUTSIDE), quantity, booking.document)
    return value


class _Line:
    """One line of an event, as the booking needs it."""

    def __init__(self, line_id: str, item_id: str, quantity: int, each: int = 1, kit_item_id: str = "") -> None:
        self.line_id = line_id
        self.item_id = item_id
        self.quantity = quantity
        self.each = each
        self.kit_item_id = kit_item_id


class _Booking:
    """Reservations and stock of a set of events, locked; saved at the end."""

    def __init__(self, work: Work, events: Sequence[Received], *, costs: bool = False) -> None:
        self._work = work
        self._events = events
        self._costs = costs
        self.book: StockBook
        self.held: list[Held] = []
        self._fresh: list[Held] = []
        self._by_line: defaultdict[tuple[str, str], list[Held]] = defaultdict(list)
        self.document = Document("", "")
        self.left = 0

    async def __aenter__(self) -> "_Booking":
        self.held = await reservations.load(self._work, {event.message.order_id for event in self._events})
        for held in self.held:
            self._by_line[held.owner_id, held.line_id].append(held)
        keys = {(line.item_id, event.message.location_id) for event in self._events for line in event.message.lines}
        self.book = await StockBook.open(self._work, keys | {held.key for held in self.held}, costs=self._costs)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self.book.write()
            await reservations.save(self._work, self.held)
            await reservations.insert(self._work, self._fresh)

    def begin(self, event: Received, document_id: str = "") -> Iterator[_Line]:
        """Yields an event's lines, a kit's as its components; its document stands behind their movements.

        `left` counts down while a line is booked.
        """
        self._work.cause = event.cause
        self.book.moment = event.occurred_at
        self.document = Document("fulfillment_order", document_id or event.message.fulfillment_order_id, event.message.DESCRIPTOR.name)
        for line in event.message.lines:
            of_kit = dict(self.book.components(line.item_id))
            for item_id, quantity in self.book.parts(line.item_id, line.quantity):
                self.left = quantity
                yield _Line(line.line_id, item_id, quantity, of_kit.get(item_id, 1), line.item_id if of_kit else "")

    def of(self, event: Received, line: _Line) -> list[Held]:
        """Returns the line's reservations at the event's location."""
        key = (line.item_id, event.message.location_id)
        return [held for held in self._by_line[event.message.order_id, line.line_id] if held.key == key]

    def cover(self, event: Received, line: _Line) -> None:
        """Allocates from AVAILABLE what is left of a line."""
        order_id, key = event.message.order_id, (line.item_id, event.message.location_id)
        for lot, there in self.book.from_lots(*key, State.AVAILABLE, self.left) if self.left else ():
            part = self.part(there)
            self.book.move(*key, lot, (State.AVAILABLE, State.ALLOCATED), part, self.document)
            held = Held(
                new_id(), stock_pb2.RESERVATION_KIND_ORDER, order_id, line.line_id, *key, lot, 0, part, 0, 0, None, self._work.now,
                each=line.each, kit_item_id=line.kit_item_id,
            )  # fmt: skip
            self._fresh.append(held)
            self._by_line[order_id, line.line_id].append(held)

    def part(self, quantity: int) -> int:
        """Counts a part of the line as booked and returns it."""
        self.left -= quantity
        return quantity
