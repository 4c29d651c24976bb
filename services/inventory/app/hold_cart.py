"""HoldCart: holds stock for a cart or a wave until it expires; and the job that lets holds lapse."""

from sqlalchemy import select

from argosy.inventory.v1 import reservations_service_pb2, stock_pb2
from chassis.kernel.clock import SECOND
from chassis.runtime.statements import NOW
from chassis.runtime.tx import gate
from chassis.runtime.work import Work
from services.inventory.app.reserve_stock import Owner, lines_of, need_lines, take_lines
from services.inventory.app.supply import fill, give_back
from services.inventory.app.views import with_reservations
from services.inventory.domain.stock import State
from services.inventory.store import reservations
from services.inventory.store.stock_book import Document, StockBook
from services.inventory.store.tables import RESERVATIONS

TTL_S = 900
# Carts that hold something past their time.
LATE_CARTS = select(RESERVATIONS.c.owner_id).where(RESERVATIONS.c.expires_at <= NOW, RESERVATIONS.c.reserved > 0).distinct()
MOST = 500


async def hold_cart(work: Work, request: reservations_service_pb2.HoldCartRequest) -> reservations_service_pb2.ReserveResponse:
    """A second hold replaces the first. Refusals: NO_SUCH_LOCATION, NO_SUCH_ITEM, INSUFFICIENT_STOCK."""
    await work.tx.close(gate("cart", request.cart_id))
    before = await reservations.load(work, [request.cart_id])
    lines = lines_of(request.lines)
    book = await StockBook.open(work, [line.key for line in lines] + [one.key for one in before])
    need_lines(book, lines, before)
    replaced = Document("cart", request.cart_id, "replaced")
    for one in before:
        give_back(book, one, one.reserved, replaced)
    until = work.now + (request.ttl_s or TTL_S) * SECOND
    owner = Owner(request.cart_id, request.kind or stock_pb2.RESERVATION_KIND_CART, State.SOFT_RESERVED, expires_at=until)
    made = take_lines(work, book, lines, owner)
    await fill(work, book, [one.key for one in before])
    await book.write()
    await reservations.save(work, before)
    await reservations.insert(work, made)
    return with_reservations(reservations_service_pb2.ReserveResponse(), made)


async def expire_carts(work: Work) -> None:
    """Gives back what carts hold past their time."""
    owners = [row.owner_id for row in await work.tx.read(LATE_CARTS.limit(MOST), {"now": work.now})]
    if not owners:
        return
    held = [one for one in await reservations.load(work, owners) if one.expires_at is not None and one.expires_at <= work.now]
    book = await StockBook.open(work, [one.key for one in held])
    expired = Document("cart", "expiry", "expired")
    for one in held:
        give_back(book, one, one.reserved, expired)
    await fill(work, book, [one.key for one in held])
    await book.write()
    await reservations.save(work, held)
