"""Stock equals its accounts to the minor unit, whatever happens to it: bought, landed, moved, counted, fed, sent back, valued anew."""

from datetime import UTC, datetime, timedelta
from typing import Any

from argosy.catalog.v1 import item_pb2, items_service_pb2
from argosy.finance.v1 import finance_service_pb2
from argosy.inventory.v1 import (
    counts_service_pb2,
    feeds_service_pb2,
    purchasing_service_pb2,
    stock_pb2,
    stock_service_pb2,
    transfers_service_pb2,
    valuation_service_pb2,
)
from chassis.kernel.clock import to_timestamp
from chassis.kernel.errors import NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.host import wall_clock
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import OTHER, eventually, open_shop, order, publish_item, ship_all

METHODS = {"FIFO": item_pb2.VALUATION_FIFO, "AVG": item_pb2.VALUATION_AVERAGE, "STD": item_pb2.VALUATION_STANDARD}


async def balances(calls: Calls) -> dict[str, int]:
    answer = await calls.finance.GetTrialBalance(finance_service_pb2.GetTrialBalanceRequest())
    sums: dict[str, int] = {}
    for row in answer.rows:
        sums[row.account] = sums.get(row.account, 0) + row.balance_minor
    return {account: sums[account] for account in sums if sums[account]}


async def buy(calls: Calls, items: list[str]) -> list[str]:
    """Orders ten of each at 4.50, takes them in with one broken, and returns the receipts."""
    await calls.purchasing.SetSupplier(
        purchasing_service_pb2.SetSupplierRequest(
            request_id=new_id(), supplier_id="KILN", name="Kiln", currency_code="EUR", lead_time_days=3
        )
    )
    lines = [purchasing_service_pb2.PurchaseLineInput(item_id=item_id, quantity=10, unit_cost_millionths=450_000_000) for item_id in items]

    async def draft() -> purchasing_service_pb2.PurchaseOrder | None:
        try:
            return await calls.purchasing.CreatePurchaseOrder(
                purchasing_service_pb2.CreatePurchaseOrderRequest(request_id=new_id(), supplier_id="KILN", location_id="BER", lines=lines)
            )
        except NotFound:
            return None

    made = await eventually(draft)
    named: dict[str, Any] = {"purchase_order_id": made.purchase_order_id}
    await calls.purchasing.ApprovePurchaseOrder(purchasing_service_pb2.ApprovePurchaseOrderRequest(request_id=new_id(), **named))
    await calls.purchasing.SendPurchaseOrder(purchasing_service_pb2.SendPurchaseOrderRequest(request_id=new_id(), **named))
    box = purchasing_service_pb2.ReceivedBox(
        lines=[purchasing_service_pb2.ReceivedLine(line_id=line.line_id, quantity=10, damaged=1) for line in made.lines]
    )
    receipt = await calls.purchasing.ReceivePurchaseOrder(
        purchasing_service_pb2.ReceivePurchaseOrderRequest(request_id=new_id(), boxes=[box], **named)
    )
    await calls.purchasing.ClosePurchaseOrder(purchasing_service_pb2.ClosePurchaseOrderRequest(request_id=new_id(), **named))
    return [receipt.document_id]


async def move(calls: Calls, items: list[str]) -> None:
    """Sends four of each to another entity's place, of which one is lost."""
    lines = [transfers_service_pb2.TransferLineInput(item_id=item_id, quantity=4) for item_id in items]
    expected = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    one = await calls.transfers.CreateTransfer(
        transfers_service_pb2.CreateTransferRequest(
            request_id=new_id(), from_location_id="BER", to_location_id="LYS", lines=lines, expected_on=expected, reason="sells there"
        )
    )
    await calls.transfers.ShipTransfer(transfers_service_pb2.ShipTransferRequest(request_id=new_id(), transfer_id=one.transfer_id))
    arrived = [transfers_service_pb2.TransferArrival(line_id=line.line_id, quantity=3) for line in one.lines]
    await calls.transfers.ReceiveTransfer(
        transfers_service_pb2.ReceiveTransferRequest(request_id=new_id(), transfer_id=one.transfer_id, lines=arrived)
    )
    await calls.transfers.CloseTransfer(
        transfers_service_pb2.CloseTransferRequest(request_id=new_id(), transfer_id=one.transfer_id, reason="lost")
    )


async def correct(calls: Calls, items: list[str], receipts: list[str]) -> None:
    """A late freight bill, a dearer invoice, a count, a picture, a vendor return, a write-down, a conversion and a till's sale."""
    await calls.valuation.AddLandedCost(
        valuation_service_pb2.AddLandedCostRequest(
            request_id=new_id(), receipt_ids=receipts, amount_minor=1001, basis=valuation_service_pb2.COST_BASIS_VALUE, reason="freight"
        )
    )
    for item_id in items:
        await calls.valuation.CorrectReceiptCost(
            valuation_service_pb2.CorrectReceiptCostRequest(
                request_id=new_id(), receipt_id=receipts[0], item_id=item_id, value_minor=4999, reason="bill"
            )
        )
        count = await calls.counts.CreateCount(
            counts_service_pb2.CreateCountRequest(request_id=new_id(), item_id=item_id, location_id="LYS", reason="spot check")
        )
        for who in ("ann", "bob"):
            lots = [counts_service_pb2.CountedLot(quantity=2)]
            submit = counts_service_pb2.SubmitCountRequest(request_id=new_id(), count_id=count.count_id, lots=lots)
            await calls.counts.SubmitCount(submit, metadata=(("argosy-actor", who),))
        line = purchasing_service_pb2.VendorReturnLine(item_id=item_id, quantity=1, credit_minor=400)
        await calls.purchasing.ReturnToVendor(
            purchasing_service_pb2.ReturnToVendorRequest(
                request_id=new_id(), supplier_id="KILN", location_id="BER", lines=[line], reason="broken"
            )
        )
    picture = [feeds_service_pb2.FeedLine(sku=item_id, quantity=3) for item_id in items]
    await calls.feeds.ApplyStockFeed(
        feeds_service_pb2.ApplyStockFeedRequest(
            request_id=new_id(), source="wms", location_id="LYS", feed_id="f", kind=feeds_service_pb2.FEED_KIND_SNAPSHOT,
            as_of=to_timestamp(wall_clock() - 1000), page=1, last=True, lines=picture,
        )
    )  # fmt: skip
    await calls.valuation.WriteDownStock(
        valuation_service_pb2.WriteDownStockRequest(
            request_id=new_id(), item_id=items[0], location_id="BER", unit_value_minor=300, reason="out of fashion"
        )
    )
    await calls.stock.RecordSale(
        stock_service_pb2.RecordSaleRequest(
            request_id=new_id(), location_id="LYS", channel_id="web", reference="bon 1",
            lines=[stock_service_pb2.SaleLine(item_id=items[1], quantity=9)],
        )
    )  # fmt: skip
    line = stock_service_pb2.ConversionLine
    await calls.stock.ConvertStock(
        stock_service_pb2.ConvertStockRequest(
            request_id=new_id(), location_id="BER", reason="repacked", inputs=[line(item_id=items[1], quantity=1)],
            outputs=[line(item_id=items[0], quantity=2)],
        )
    )  # fmt: skip


async def set_standard(calls: Calls, item_id: str, standard_cost_minor: int) -> None:
    """Gives an item a new standard cost."""
    item = await calls.items.GetItem(items_service_pb2.GetItemRequest(item_id=item_id))
    given = item_pb2.ItemInput(
        sku=item.sku, name=item.name, brand=item.brand, tax_class=item.tax_class, weight_g=item.weight_g, hs_code=item.hs_code,
        origin_country_code=item.origin_country_code, standard_cost_minor=standard_cost_minor, cost_currency_code="EUR",
        valuation=item.valuation,
    )  # fmt: skip
    await calls.items.UpdateItem(items_service_pb2.UpdateItemRequest(request_id=new_id(), item_id=item_id, item=given), metadata=OTHER)


async def test_stock_equals_its_accounts_whatever_happens_to_it(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 5})
        await calls.stock.CreateLocation(
            stock_service_pb2.CreateLocationRequest(
                request_id=new_id(), location_id="LYS", name="Lyon", kind=stock_pb2.LOCATION_KIND_STORE, entity="FR01", country_code="FR",
                currency_code="EUR",
            )
        )  # fmt: skip
        items = [await publish_item(calls, sku, valuation=method) for sku, method in METHODS.items()]
        receipts = await buy(calls, items)
        placed = [await calls.orders.CreateOrder(order(f"n{n}", 2, sku=sku)) for n, sku in enumerate(METHODS)]
        for one in placed:
            await ship_all(calls, one.order_id)
        await move(calls, items)
        await correct(calls, items, receipts)
        await set_standard(calls, items[2], 470)

        async def revalued() -> bool:
            request = valuation_service_pb2.ListValueEntriesRequest(item_id=items[2])
            return (await calls.valuation.ListValueEntries(request)).entries[0].document_type == "revaluation"

        await eventually(revalued)
        proof = await prove(suite.channels, settled=True)
        assert proof.settled, proof.breaks
        totals = (await calls.valuation.GetStockValue(valuation_service_pb2.GetStockValueRequest())).totals
        booked = await balances(calls)
        assert sum(one.value_minor for one in totals) == booked["1300"]
        assert {"1310", "1320"} & set(booked) == set()
        # The other entity owes what was sent to it, to the minor unit.
        assert booked["1400"] == -booked["2400"] > 0
