"""What comes in at a location that keeps bins waits on its dock; what leaves is taken from its bins."""

from collections.abc import Sequence

from argosy.inventory.v1 import inventory_events_pb2
from chassis.runtime.inbox import Received
from chassis.runtime.work import HoldKind, NotYet, Work
from services.fulfillment.domain.bins import DOCK, MISSED_FROM, SHIPPED_FROM, Kind, take
from services.fulfillment.store.bin_book import BinBook, set_up

BIN_UNKNOWN = HoldKind("BIN_UNKNOWN", "stock", 7200, "operations")
# The documents by which parcels leave, as inventory names them.
SHIPPED = "issue-"
Changed = inventory_events_pb2.OnHandChanged


async def on_on_hand_changed(work: Work, events: Sequence[Received]) -> None:
    """Books what came in on the dock. What leaves beside a parcel and was not missed before must be looked for: a hold."""
    await set_up(work, [event.message.location_id for event in events])
    keys = [(event.message.location_id, line.item_id) for event in events for line in event.message.lines]
    book = await BinBook.open(work, keys)
    for event in events:
        work.cause = event.cause
        message: Changed = event.message
        guessed = set()
        for line in message.lines:
            if line.quantity > 0:
                book.move(message.location_id, line.item_id, line.lot, line.quantity, ("", DOCK), "CAME", message.document_id)
            elif _leave(book, message, line):
                guessed.add(line.item_id)
        for item_id in sorted(guessed):
            text = f"{item_id} left {message.location_id} by {message.document_id}; nobody said from which bin: count its bins"
            work.hold(BIN_UNKNOWN, "item", item_id, text)
    await book.write()


def _leave(book: BinBook, message: Changed, line: inventory_events_pb2.OnHandLine) -> bool:
    """Takes what left from its bins; says whether it is a guess from which."""
    location_id, shipped, bins = message.location_id, message.document_id.startswith(SHIPPED), book.bins[message.location_id]
    guessed = False
    contents = book.contents(location_id, line.item_id)
    for part in take(-line.quantity, line.lot, contents, bins, SHIPPED_FROM if shipped else MISSED_FROM):
        if not part.bin:
            raise NotYet(f"{part.quantity} of {line.item_id} are not known at {location_id}")
        book.move(location_id, line.item_id, part.lot, part.quantity, (part.bin, ""), "LEFT", message.document_id)
        guessed |= not shipped and bins[part.bin].kind in (Kind.PICK, Kind.RESERVE, Kind.OUT)
    return guessed
