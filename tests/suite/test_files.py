"""Files from the command line's side: items and stock row by row, order files from delivery to the journal."""

import asyncio
import csv
from functools import partial
from pathlib import Path

import pytest

from argosy.catalog.v1 import items_service_pb2
from argosy.gateway.v1 import deliveries_service_pb2
from argosy.ops.v1 import holds_service_pb2
from argosy.orders.v1 import order_pb2, orders_service_pb2
from argosy.returns.v1 import returns_service_pb2
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.file_day import FileDay
from suite.files import MAPPINGS, connect_files, import_orders, import_stock, load_mapping
from suite.item_rows import import_items
from suite.rows import Report
from suite.up import running_suite
from tests.builders import eventually, open_shop, publish_item, ship_all, until_status
from tests.samples import need_samples, samples
from tests.suite.reported import reported, silent, write

MAPPING = load_mapping(MAPPINGS / "online_retail.json")


async def found(calls: Calls, number: str) -> order_pb2.Order:
    return await calls.orders.FindOrder(orders_service_pb2.FindOrderRequest(channel_id="web", external_order_id=number))


async def test_an_order_file_goes_to_the_ledger_and_what_comes_back_finds_its_order(settings: Settings, tmp_path: Path) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 100})
        await connect_files(calls, "web", "DE01", MAPPING, "BER")
        first = write(
            tmp_path, "monday.csv",
            "7001,MUG-1,MUG,10,2026-01-05 08:00:00,10.00,17.0,Germany", "7001,POST,POSTAGE,1,2026-01-05 08:00:00,5.00,17.0,Germany",
            "7001,POST,POSTAGE,1,2026-01-05 08:00:00,5.00,17.0,Germany", "7002,MUG-1,MUG,4,2026-01-05 09:00:00,10.00,18.0,Germany",
            "7002,MUG-1,MUG,x,2026-01-05 09:00:00,10.00,18.0,Germany", "7003,NO-SUCH,LOST,1,2026-01-05 09:30:00,1.00,,Germany",
            "C7004,MUG-1,MUG,-1,2026-01-05 10:00:00,10.00,18.0,Germany",
        )  # fmt: skip
        done = await import_orders(calls, first, "web", silent)
        assert done.state == deliveries_service_pb2.DELIVERY_STATE_DONE
        report = done.report
        assert (report.rows, report.duplicates, report.orders, report.give_backs, report.left_out) == (7, 1, 3, 1, 1)
        assert [(row.row, row.field) for row in report.reported] == [(6, "Quantity")]

        # The file does not say the tax, and the tender covers what it says: the rest waits for money.
        order = await found(calls, "7001")
        held = await until_status(calls, order.order_id, order_pb2.ORDER_STATUS_ON_HOLD)
        assert (held.shipping_minor, held.lines[0].amount_minor, held.captured_minor) == (500, 10_000, 10_500)

        async def cancelled() -> bool:
            return (await found(calls, "7002")).lines[0].cancelled == 1

        await eventually(cancelled)
        again = await import_orders(calls, first, "web", silent)
        assert again.delivery_id == done.delivery_id
        # The same rows under another name are the same orders and take nothing back twice.
        same = write(tmp_path, "copy.csv", *first.read_text().splitlines()[1:])
        await import_orders(calls, same, "web", silent)
        assert (await found(calls, "7002")).lines[0].cancelled == 1
        assert len((await calls.orders.ListOrders(orders_service_pb2.ListOrdersRequest())).orders) == 3
        assert (await prove(suite.channels, settled=True)).breaks == []


async def test_what_comes_back_after_it_shipped_is_a_return(sqlite_settings: Settings, tmp_path: Path) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 100})
        await connect_files(calls, "web", "DE01", MAPPING, "BER")
        # Sold to Ireland, where no tax rate is set: a person lets it go untaxed.
        await import_orders(calls, write(tmp_path, "a.csv", "7101,MUG-1,MUG,4,2026-01-05 08:00:00,10.00,17,EIRE"), "web", silent)
        order = await found(calls, "7101")
        await until_status(calls, order.order_id, order_pb2.ORDER_STATUS_ON_HOLD)
        for hold in (await calls.holds("orders").ListHolds(holds_service_pb2.ListHoldsRequest(service="orders"))).holds:
            request = holds_service_pb2.ReleaseHoldRequest(
                request_id=f"release-{hold.hold_id}", service="orders", hold_id=hold.hold_id, resolution="untaxed export"
            )
            await calls.holds("orders").ReleaseHold(request)
        await ship_all(calls, order.order_id)
        await until_status(calls, order.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        await import_orders(calls, write(tmp_path, "b.csv", "C7102,mug-1,MUG,-3,2026-01-06 08:00:00,10.00,17,EIRE"), "web", silent)
        missing = await calls.returns.ListReturns(returns_service_pb2.ListReturnsRequest())
        # SKUs are compared as the file writes them.
        assert not missing.returns
        await import_orders(calls, write(tmp_path, "c.csv", "C7103,MUG-1,MUG,-3,2026-01-06 08:00:00,10.00,17,EIRE"), "web", silent)
        opened = (await calls.returns.ListReturns(returns_service_pb2.ListReturnsRequest())).returns
        assert [(one.status, one.lines[0].quantity) for one in opened] == [(returns_service_pb2.RETURN_STATUS_AUTHORIZED, 3)]
        assert (await prove(suite.channels, settled=True)).breaks == []


async def test_items_and_stock_are_imported_row_by_row(sqlite_settings: Settings, tmp_path: Path) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 1})
        items = write(
            tmp_path,
            "items.csv",
            "new-1,4006381333931,Pen,Harbour,standard,20,DE,960810,AT FR",
            "NEW-2,,Box,,,,,,",
            "new-1,,Pen again,,,,,,",
            "NEW-3,4006381333930,Bad,,,,,,",
            "NEW-4,4006381333931,Same code,,,,,,",
            "NEW-5,,Heavy,,,many,,,",
            ",,No sku,,,,,,",
            header="sku,gtin,name,brand,tax_class,weight_g,origin_country_code,hs_code,restricted_countries\n",
        )
        rows = await reported(tmp_path, partial(import_items, calls, items))
        assert [(row["row"], row["refusal"]) for row in rows] == [
            ("2", ""), ("3", ""), ("4", "DOUBLE_ROW"), ("5", "INVALID_GTIN"), ("6", "DUPLICATE_GTIN"), ("7", "INVALID_FIELD"),
            ("8", "INVALID_FIELD"),
        ]  # fmt: skip
        assert rows[1]["detail"] == "lacks brand, tax_class, weight_g, origin_country_code, hs_code"
        # The same file again is the same items.
        again = await reported(tmp_path, partial(import_items, calls, items))
        assert [row["refusal"] for row in again] == [row["refusal"] for row in rows]
        assert [row["outcome"] for row in again[:2]] == ["unchanged", "unchanged"]
        listed = (await calls.items.ListItems(items_service_pb2.ListItemsRequest())).items
        assert [item.sku for item in listed] == ["MUG-1", "NEW-1", "NEW-2"]

        await publish_item(calls, "LAMP-1")
        stock = write(
            tmp_path,
            "stock.csv",
            "BER,LAMP-1,5,50.00",
            "BER,NEW-1,5,50.00",
            "BER,LAMP-1,x,1.00",
            "NOWHERE,LAMP-1,1,1.00",
            "BER,LAMP-1,1,1.001",
            "BER,LAMP-1,-3,1.00",
            "BER,LAMP-1,9999999999999999999999,1.00",
            "BER,LAMP-1",
            header="location_id,sku,quantity,value\n",
        )
        await asyncio.sleep(1)
        taken = await reported(tmp_path, partial(import_stock, calls, stock, "EUR"))
        assert [(row["row"], row["refusal"]) for row in taken] == [
            ("2", ""), ("3", "INVALID_FIELD"), ("4", "INVALID_FIELD"), ("5", "NO_SUCH_LOCATION"), ("6", "INVALID_FIELD"),
            ("7", "INVALID_FIELD"), ("8", "INVALID_FIELD"), ("9", "INVALID_FIELD"),
        ]  # fmt: skip
        # What is refused beside it keeps no row out.
        assert "quantity" in taken[5]["detail"] and taken[6]["detail"] == "quantity: 9999999999999999999999 is too large"
        with pytest.raises(ValueError, match="line 3: has 5 cells, the header 4 columns: quote what holds a comma"):
            torn = write(tmp_path, "torn.csv", "BER,LAMP-1,1,1.00,", "BER,LAMP-1,1,1,00", header="location_id,sku,quantity,value\n")
            await import_stock(calls, torn, "EUR", silent, Report())
        with pytest.raises(ValueError, match="the header lacks value"):
            bad = write(tmp_path, "bad.csv", "x", header="location_id,sku,quantity\n")
            await import_stock(calls, bad, "EUR", silent, Report())
        assert (await prove(suite.channels, settled=True)).breaks == []


DAYS = samples("datasets/uci_online_retail/2010-12-*.csv")


async def test_a_real_day_of_trade_from_a_file(sqlite_settings: Settings) -> None:
    need_samples(DAYS)
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        small = min(DAYS, key=lambda path: path.stat().st_size)
        day = FileDay(calls, [small], MAPPING, silent)
        await day.run()
        assert (await prove(suite.channels, settled=True)).breaks == []
        with small.open(newline="") as file:
            rows = list(csv.DictReader(file))
        report = day.delivered[0].report
        numbers = {row["InvoiceNo"] for row in rows}
        left_out = {row.order_number for row in report.reported}
        assert report.rows == len(rows)
        assert report.duplicates == len(rows) - len({tuple(row.values()) for row in rows})
        assert report.orders + report.give_backs >= len(numbers - left_out)
        figures = await calls.orders.GetFigures(orders_service_pb2.GetFiguresRequest())
        assert sum(figures.by_status.values()) == report.orders
        # Who gets what is scarce is a race, so that how many ship varies; that nobody waits without a reason does not.
        shipped, waiting = figures.by_status["SHIPPED"], figures.by_status["ON_HOLD"]
        assert shipped + waiting + figures.by_status["PARTIALLY_SHIPPED"] == report.orders
        assert shipped > report.orders // 3
        assert figures.by_reason["OUT_OF_STOCK"] >= waiting
