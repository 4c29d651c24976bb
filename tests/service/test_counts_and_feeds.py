"""Counts are blind and checked by two; feeds are held against the books of their moment, while orders go on."""

import asyncio
import random
from typing import Any

from argosy.inventory.v1 import counts_service_pb2, feeds_service_pb2, reservations_service_pb2, stock_pb2, stock_service_pb2
from argosy.ops.v1 import approvals_service_pb2
from argosy.returns.v1 import returns_events_pb2
from chassis.kernel.clock import SECOND, to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.host import wall_clock
from services.inventory.store.tables import ITEMS
from tests.service.stockroom import Stockroom, refused

Feed = feeds_service_pb2.ApplyStockFeedRequest
SNAPSHOT, DELTA = feeds_service_pb2.FEED_KIND_SNAPSHOT, feeds_service_pb2.FEED_KIND_DELTA
BOOKED, RECOUNT = counts_service_pb2.COUNT_STATUS_BOOKED, counts_service_pb2.COUNT_STATUS_RECOUNT


def by(name: str) -> Any:
    return (("argosy-actor", name),)


async def policy(room: Stockroom, percent: int = 0, quantity: int = 0) -> None:
    await room.calls.counts.SetCountPolicy(
        counts_service_pb2.SetCountPolicyRequest(
            request_id=new_id(), abc_class="A", every_days=30, tolerance_percent=percent, tolerance_quantity=quantity
        )
    )


async def planned(room: Stockroom) -> list[counts_service_pb2.Count]:
    return list((await room.calls.counts.PlanCounts(counts_service_pb2.PlanCountsRequest(request_id=new_id(), location_id="BER"))).counts)


async def counted(room: Stockroom, count: counts_service_pb2.Count, who: str, quantity: int, lot: str = "") -> counts_service_pb2.Count:
    request = counts_service_pb2.SubmitCountRequest(
        request_id=new_id(), count_id=count.count_id, lots=[counts_service_pb2.CountedLot(lot=lot, quantity=quantity)]
    )
    return await room.calls.counts.SubmitCount(request, metadata=by(who))


async def shelf(room: Stockroom, quantity: int = 100, value_minor: int = 1000) -> None:
    await room.item("cup", abc_class="A")
    await room.item("pin")
    await room.receive("cup", quantity, value_minor)
    await room.receive("pin", 5, 5)


async def test_what_is_due_by_its_class_is_planned_once_and_counted_blind(room: Stockroom) -> None:
    await shelf(room)
    await policy(room, percent=2)
    counts = await planned(room)
    assert [(one.item_id, one.expected, one.status) for one in counts] == [("cup", 0, counts_service_pb2.COUNT_STATUS_OPEN)]
    assert await planned(room) == []
    done = await counted(room, counts[0], "ann", 98)
    assert (done.status, done.expected, done.counted, done.difference, done.value_minor) == (BOOKED, 100, 98, -2, -20)
    assert await room.balances("cup") == {("", "AVAILABLE"): 98}
    figures = await room.calls.counts.GetCountFigures(counts_service_pb2.GetCountFiguresRequest(location_id="BER"))
    assert (figures.counts, figures.exact, figures.accuracy_ppm, figures.loss_minor) == (1, 0, 980_000, 20)
    assert not await room.breaks()


async def test_what_differs_is_counted_again_by_somebody_else_and_what_two_find_is_booked(room: Stockroom) -> None:
    await shelf(room)
    await policy(room)
    count = (await planned(room))[0]
    again = await counted(room, count, "ann", 90)
    assert (again.status, again.expected, again.counted) == (RECOUNT, 0, 0)
    await refused("OWN_COUNT", counted(room, count, "ann", 90))
    # Three were sold between: both miss ten.
    await room.ship("o-1", "cup", 3)
    done = await counted(room, count, "bob", 87)
    assert (done.status, done.difference, done.attempts) == (BOOKED, -10, 2)
    assert await room.balances("cup") == {("", "AVAILABLE"): 87}
    await refused("WRONG_STATUS", counted(room, count, "eve", 87))
    assert not await room.breaks()


async def test_a_costly_difference_waits_for_another_person_and_what_moved_meanwhile_stays_moved(room: Stockroom) -> None:
    await shelf(room, value_minor=10_000_000)
    await policy(room, percent=50)
    count = (await planned(room))[0]
    waiting = await counted(room, count, "ann", 80)
    assert (waiting.status, bool(waiting.approval_id)) == (counts_service_pb2.COUNT_STATUS_AWAITING_APPROVAL, True)
    await room.ship("o-1", "cup", 5)
    decide = approvals_service_pb2.DecideApprovalRequest(
        request_id=new_id(), service="inventory", approval_id=waiting.approval_id, approve=True
    )
    await refused("OWN_PROPOSAL", room.calls.approvals("inventory").DecideApproval(decide, metadata=by("ann")))
    decide.request_id = new_id()
    await room.calls.approvals("inventory").DecideApproval(decide, metadata=by("zoe"))
    assert await room.balances("cup") == {("", "AVAILABLE"): 75}
    assert not await room.breaks()


async def test_what_is_missing_and_promised_is_held_not_taken_from_its_order(room: Stockroom) -> None:
    await shelf(room, 10, 100)
    await policy(room, percent=100)
    await reserve(room, "o-1", "cup", 8)
    done = await counted(room, (await planned(room))[0], "ann", 5)
    assert done.difference == -2
    assert await room.balances("cup") == {("", "RESERVED"): 8}
    assert not await room.breaks()


async def test_lots_are_counted_each_by_itself(room: Stockroom) -> None:
    await room.item("tea", abc_class="A", tracking=2)
    for lot in ("L1", "L2"):
        await room.receive("tea", 10, 100, lot=lot)
    await policy(room, quantity=4)
    count = (await planned(room))[0]
    request = counts_service_pb2.SubmitCountRequest(
        request_id=new_id(), count_id=count.count_id,
        lots=[counts_service_pb2.CountedLot(lot="L1", quantity=8), counts_service_pb2.CountedLot(lot="L2", quantity=12)],
    )  # fmt: skip
    assert (await room.calls.counts.SubmitCount(request, metadata=by("ann"))).status == BOOKED
    assert await room.balances("tea") == {("L1", "AVAILABLE"): 8, ("L2", "AVAILABLE"): 12}
    assert not await room.breaks()


async def reserve(room: Stockroom, order_id: str, item_id: str, quantity: int) -> None:
    line = reservations_service_pb2.ReservationLine(line_id="1", item_id=item_id, location_id="BER", quantity=quantity)
    await room.calls.reservations.Reserve(reservations_service_pb2.ReserveRequest(request_id=new_id(), order_id=order_id, lines=[line]))


async def fed(room: Stockroom, *lines: tuple[str, int], **values: Any) -> feeds_service_pb2.StockFeed:
    given = {
        "request_id": new_id(), "source": "wms", "location_id": "BER", "feed_id": new_id(), "kind": SNAPSHOT, "page": 1, "last": True,
        "lines": [feeds_service_pb2.FeedLine(sku=sku, quantity=quantity) for sku, quantity in lines], **values,
    }  # fmt: skip
    if given["kind"] == SNAPSHOT and "as_of" not in given:
        given["as_of"] = to_timestamp(await room.moment())
    return await room.calls.feeds.ApplyStockFeed(Feed(**given))


async def reports(room: Stockroom, feed: feeds_service_pb2.StockFeed) -> list[tuple[str, str, int]]:
    request = feeds_service_pb2.ListDiscrepanciesRequest(feed_id=feed.feed_id)
    return [(one.sku, one.kind, one.applied) for one in (await room.calls.feeds.ListDiscrepancies(request)).discrepancies]


async def test_a_picture_books_what_differs_and_reports_it(room: Stockroom) -> None:
    await shelf(room)
    feed = await fed(room, ("CUP", 97), ("PIN", 6), ("NONE", 4))
    assert (feed.lines, feed.changed, feed.discrepancies, feed.gain_minor, feed.loss_minor) == (3, 2, 3, 1, 30)
    assert sorted(await reports(room, feed)) == [("CUP", "DIFFERENT", -3), ("NONE", "UNKNOWN_ITEM", 0), ("PIN", "DIFFERENT", 1)]
    assert (await room.balances("cup"), await room.balances("pin")) == ({("", "AVAILABLE"): 97}, {("", "AVAILABLE"): 6})
    assert not await room.breaks()


async def test_what_moved_after_the_picture_is_not_undone(room: Stockroom) -> None:
    await shelf(room)
    as_of = to_timestamp(await room.moment())
    await room.ship("o-1", "cup", 4)
    await room.receive("cup", 10, 100)
    feed = await fed(room, ("CUP", 100), as_of=as_of)
    assert (feed.changed, feed.discrepancies) == (0, 0)
    assert await room.balances("cup") == {("", "AVAILABLE"): 106}


async def test_what_may_have_left_with_what_is_released_is_not_booked_twice(room: Stockroom) -> None:
    await shelf(room)
    await reserve(room, "o-1", "cup", 4)
    await room.release("o-1", "cup", 4)
    # The warehouse has sent the parcel; we are told after its picture.
    feed = await fed(room, ("CUP", 96))
    assert await reports(room, feed) == [("CUP", "ON_ITS_WAY_OUT", 0)]
    await room.ship("o-1", "cup", 4)
    assert await room.balances("cup") == {("", "AVAILABLE"): 96}
    assert (await fed(room, ("CUP", 96))).discrepancies == 0


async def test_an_older_picture_a_gap_and_a_repetition(room: Stockroom) -> None:
    await shelf(room)
    now = await room.moment()
    await fed(room, ("CUP", 90), as_of=to_timestamp(now))
    await refused("STALE_FEED", fed(room, ("CUP", 100), as_of=to_timestamp(now - 2000)))
    first = await fed(room, ("CUP", -2), kind=DELTA, sequence=7, feed_id="f-7")
    assert (await fed(room, ("CUP", -2), kind=DELTA, sequence=7, feed_id="f-7")) == first
    assert (await refused("FEED_GAP", fed(room, ("CUP", 1), kind=DELTA, sequence=9))).metadata["expected"] == "8"
    await fed(room, ("CUP", 1), kind=DELTA, sequence=8)
    await refused("FEED_PAGE", fed(room, ("CUP", 1), kind=DELTA, sequence=9, page=2))
    await refused("AS_OF_REQUIRED", fed(room, ("CUP", 1), as_of=None))
    await refused("FUTURE", fed(room, ("CUP", 1), as_of=to_timestamp(now + 3600 * SECOND)))
    assert await room.balances("cup") == {("", "AVAILABLE"): 89}
    assert not await room.breaks()


async def test_lines_that_cannot_be_used_are_reported_by_name_and_the_others_count(room: Stockroom) -> None:
    await shelf(room)
    await room.item("set", kit='[["cup", 2]]')
    await room.item("tea", tracking=2)
    feed = await fed(room, ("SET", 1), ("TEA", 1), ("PIN", -4), ("CUP", 101), ("CUP", 55))
    assert sorted(await reports(room, feed)) == [
        ("CUP", "DIFFERENT", 1), ("CUP", "DOUBLE", 0), ("PIN", "NEGATIVE", 0), ("SET", "KIT", 0), ("TEA", "LOT_REQUIRED", 0),
    ]  # fmt: skip
    states = [
        feeds_service_pb2.FeedLine(sku="cup", quantity=99),
        feeds_service_pb2.FeedLine(sku="cup", quantity=2, state=stock_pb2.STOCK_STATE_DAMAGED),
    ]
    await fed(room, lines=states)
    assert await room.balances("cup") == {("", "AVAILABLE"): 99, ("", "DAMAGED"): 2}


async def test_what_is_more_may_be_what_is_expected_and_is_not_booked_twice(room: Stockroom) -> None:
    await shelf(room)
    coming = returns_events_pb2.ReturnAuthorized(return_id="r-1", order_id="o", channel_id="web", location_id="BER")
    coming.lines.add(line_id="l", item_id="cup", quantity=10, stock_quantity=10)
    await room.hear(coming)
    feed = await fed(room, ("CUP", 106), ("PIN", 6))
    assert sorted(await reports(room, feed)) == [("CUP", "ON_ITS_WAY_IN", 0), ("PIN", "DIFFERENT", 1)]
    # What is beyond that was found.
    assert await reports(room, await fed(room, ("CUP", 113), as_of=to_timestamp(wall_clock()))) == [("CUP", "ON_ITS_WAY_IN", 3)]
    assert (await room.balances("cup"))["", "AVAILABLE"] == 103
    assert not await room.breaks()


async def test_a_picture_may_leave_lots_out_where_they_come_to_the_same(room: Stockroom) -> None:
    await room.item("tea", tracking=2)
    await room.receive("tea", 5, 50, lot="A")
    await room.receive("tea", 3, 30, lot="B")
    as_of = to_timestamp(await room.moment())
    await room.receive("tea", 2, 20, lot="B")
    assert (await fed(room, ("TEA", 8), as_of=as_of)).discrepancies == 0
    assert await reports(room, await fed(room, ("TEA", 9), as_of=to_timestamp(wall_clock()))) == [("TEA", "LOT_REQUIRED", 0)]
    lots = [feeds_service_pb2.FeedLine(sku="tea", quantity=quantity, lot=lot) for lot, quantity in (("A", 5), ("B", 4))]
    assert await reports(room, await fed(room, lines=lots, as_of=to_timestamp(wall_clock()))) == [("tea", "DIFFERENT", -1)]
    assert await room.balances("tea") == {("A", "AVAILABLE"): 5, ("B", "AVAILABLE"): 4}
    assert not await room.breaks()


async def test_a_10000_line_absolute_stock_feed_during_live_orders_loses_no_update(room: Stockroom) -> None:
    count, dice = 10_000, random.Random(4)
    skus = [f"S{n:05d}" for n in range(count)]
    async with room.component.database.write() as tx:
        rows = [{"item_id": sku.lower(), "sku": sku, "standard_cost_minor": 100, "retired": 0, "cost_currency_code": "EUR"} for sku in skus]
        await tx.insert(ITEMS, rows)
    for start in range(0, count, 2000):
        lines = [stock_service_pb2.ReceiptLine(item_id=sku.lower(), quantity=50, value_minor=5000) for sku in skus[start : start + 2000]]
        await room.calls.stock.ReceiveStock(
            stock_service_pb2.ReceiveStockRequest(
                request_id=new_id(), location_id="BER", kind=stock_service_pb2.RECEIPT_KIND_OPENING, lines=lines
            )
        )
    as_of, truth = to_timestamp(await room.moment()), {sku: dice.choice((50, 50, 50, 47, 53)) for sku in skus}
    ordered = dict.fromkeys(skus, 0)

    async def trade(number: int) -> None:
        sku = skus[dice.randrange(count)]
        await reserve(room, f"o-{number}", sku.lower(), 2)
        ordered[sku] += 2
        if number % 2:
            await room.release(f"o-{number}", sku.lower(), 2)
            await room.ship(f"o-{number}", sku.lower(), 2)
            truth[sku] -= 2
            ordered[sku] -= 2

    async def feed(feed_id: str) -> None:
        for page in (1, 2):
            lines = [feeds_service_pb2.FeedLine(sku=sku, quantity=said[sku]) for sku in skus[(page - 1) * 5000 : page * 5000]]
            await fed(room, feed_id=feed_id, page=page, last=page == 2, as_of=as_of, lines=lines)

    said = dict(truth)
    await asyncio.gather(feed("big"), *(trade(number) for number in range(120)))
    # What was missing where something was released may have left with it: the next picture tells.
    off = {sku.upper() for sku, quantity in (await good(room)).items() if quantity != truth[sku.upper()]}
    request = feeds_service_pb2.ListDiscrepanciesRequest(feed_id="big", page_size=500, kind="ON_ITS_WAY_OUT")
    assert off <= {one.sku for one in (await room.calls.feeds.ListDiscrepancies(request)).discrepancies}
    as_of, said = to_timestamp(await room.moment()), dict(truth)
    await feed("next")
    assert await good(room) == {sku.lower(): quantity for sku, quantity in truth.items()}
    assert not await room.breaks()


async def good(room: Stockroom) -> dict[str, int]:
    """Returns what is there of each item, promised or not."""
    token, sums = "", dict[str, int]()
    while True:
        answer = await room.calls.stock.ListBalances(stock_service_pb2.ListBalancesRequest(page_size=500, page_token=token))
        for one in answer.balances:
            sums[one.item_id] = sums.get(one.item_id, 0) + one.quantity
        token = answer.next_page_token
        if not token:
            return sums
