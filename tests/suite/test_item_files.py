"""Items, listings and prices in files: out and in again, from a shop's export, a hundred thousand as well as one."""

import csv
from functools import partial
from pathlib import Path

import pytest

from argosy.catalog.v1 import channels_service_pb2, item_pb2, items_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.settings import Settings
from gateway.calls import Calls
from suite.item_rows import export_items, import_items
from suite.listing_rows import export_listings, export_prices, import_listings, import_prices
from suite.shopify_rows import ShopifyProducts
from suite.up import running_suite
from tests.builders import open_shop
from tests.samples import need_samples, samples
from tests.suite.reported import reported, silent, write


async def test_items_go_out_and_come_in_again_as_they_were(sqlite_settings: Settings, tmp_path: Path) -> None:
    header = "sku,name,components,substitutes,units,attributes.colour,tracking,expires,sellable_from,restricted_countries,tax_classes\n"
    rows = (
        "SET,A set,CUP*2; SAUCER,,,,,,,,",
        'CUP,A cup,,MUG*1,"[{""unit"": ""CASE"", ""numerator"": ""12""}]",blue,lot,yes,2026-12-01,FR AT,',
        'SAUCER,A saucer,,,,,,,,,"[{""valid_from"": ""2027-01-01T00:00:00Z"", ""tax_class"": ""reduced""}]"',
        "MUG,A mug,,,,red,,,,,",
        "BAD,Bad,NOTHING*1,,,,,,,,",
        "WORSE,Worse,,,,,sometimes,,,,",
        "ODD,Odd,CUP*²,,,,,,,,",
        "LIST,List,,,7,,,,,,",
        "LATE,Late,,,,,,,soon,,",
    )
    async with running_suite(sqlite_settings, services=("catalog", "gateway")) as suite:
        calls = Calls(suite.channels)
        # What others name is brought in before them, wherever it stands.
        brought = await reported(tmp_path, partial(import_items, calls, write(tmp_path, "items.csv", *rows, header=header)))
        assert {row["subject"]: row["refusal"] for row in brought} == {
            "SET": "", "CUP": "", "SAUCER": "", "MUG": "", "BAD": "INVALID_FIELD", "WORSE": "INVALID_FIELD",
            "ODD": "INVALID_FIELD", "LIST": "INVALID_FIELD", "LATE": "INVALID_FIELD",
        }  # fmt: skip
        details = {row["subject"]: row["detail"] for row in brought}
        assert details["LATE"].startswith("sellable_from: 'soon' is no day or moment")
        assert details["ODD"] == "components: '²' is no whole number"
        assert details["WORSE"].startswith("tracking: 'sometimes' is none of")
        out = tmp_path / "out.csv"
        assert await export_items(calls, out, item_pb2.LIFECYCLE_UNSPECIFIED, silent) == 4
        before = (await calls.items.ListItems(items_service_pb2.ListItemsRequest())).items
        assert [[one.quantity for one in item.components] for item in before if item.sku == "SET"] == [[2, 1]]
        cup = before[0]
        assert (cup.sku, cup.tracking, cup.expires, dict(cup.attributes)) == ("CUP", item_pb2.TRACKING_LOT, True, {"colour": "blue"})
        assert {row["outcome"] for row in await reported(tmp_path, partial(import_items, calls, out))} == {"unchanged"}
        out.write_text(out.read_text().replace("A mug", "A better mug"))
        changed = await reported(tmp_path, partial(import_items, calls, out))
        assert [row["subject"] for row in changed if row["outcome"] == "changed"] == ["MUG"]


async def test_listings_and_prices_come_in_rows(sqlite_settings: Settings, tmp_path: Path) -> None:
    async with running_suite(sqlite_settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 1})
        rows = ("web,M-6,MUG-1,6,", "web,M-X,NOTHING,1,", "web,M-Y,MUG-1,many,", "web,M-Z,MUG-1,9999999999999999999", "web")
        file = write(tmp_path, "l.csv", *rows, header="channel_id,channel_sku,sku,units,unit\n")
        listed = await reported(tmp_path, partial(import_listings, calls, file))
        assert [row["refusal"] for row in listed] == ["", "NO_SUCH_ITEM", *["INVALID_FIELD"] * 3]
        out = tmp_path / "listings.csv"
        assert await export_listings(calls, "web", out, silent) == 1
        assert "web,M-6,MUG-1,6,,ACTIVE,1,listed" in out.read_text()
        prices = write(
            tmp_path, "p.csv", "MUG-1,EUR,12.50,1", "MUG-1,EUR,9.99,12", "MUG-1,EUR,1.234,1", "NO,EUR,1,1", "MUG-1,EUR,1,many",
            header="sku,currency,amount,min_quantity\n",
        )  # fmt: skip
        priced = await reported(tmp_path, partial(import_prices, calls, prices))
        assert [row["refusal"] for row in priced] == ["", "", "INVALID_FIELD", "NO_SUCH_ITEM", "INVALID_FIELD"]
        assert priced[-1]["detail"] == "min_quantity: 'many' is no whole number"
        asked = channels_service_pb2.FindPriceRequest(item_id="MUG-1", channel_id="web", currency_code="EUR", quantity=20)
        assert (await calls.sales_channels.FindPrice(asked)).amount_minor == 999
        written = tmp_path / "prices.csv"
        count = await export_prices(calls, written, silent)
        text = written.read_text()
        assert count == len(text.splitlines()) - 1
        assert "MUG-1,EUR,9.99,,,12,no,20" in text
        again = await reported(tmp_path, partial(import_prices, calls, written))
        assert {row["refusal"] for row in again} == {""}
        assert await export_prices(calls, written, silent) == count


@pytest.mark.parametrize("path", samples("product/shopify_*.csv") or [None], ids=lambda path: path.stem if path else "none")
async def test_a_shops_product_export_loads(sqlite_settings: Settings, tmp_path: Path, path: Path | None) -> None:
    need_samples(path)
    assert path is not None
    async with running_suite(sqlite_settings, services=("catalog", "gateway")) as suite:
        calls = Calls(suite.channels)
        await calls.sales_channels.CreateChannel(
            channels_service_pb2.CreateChannelRequest(
                request_id=new_id(), channel_id="shop", name="Shop", currency_code="USD", entity="US01"
            )
        )

        async def bring() -> list[dict[str, str]]:
            return await reported(tmp_path, ShopifyProducts(calls, path, "shop", "USD", "standard").bring)

        first = await bring()
        with path.open(encoding="utf-8-sig", newline="") as file:
            priced = [row for row in csv.DictReader(file) if row["Variant Price"]]
        assert len(first) == len(priced)
        refused = [row for row in first if row["refusal"]]
        # One of the files has SKUs and barcodes twice, and some longer than ours may be.
        assert len(refused) <= len(first) // 16, refused[:5]
        assert {row["refusal"] for row in refused} <= {"DOUBLE_ROW", "DUPLICATE_GTIN", "INVALID_FIELD"}, refused[:5]
        assert {row["outcome"] for row in await bring()} <= {"unchanged", "refused"}
        taken = next(row["subject"] for row in first if not row["refusal"])
        find = channels_service_pb2.FindPriceRequest(item_id=taken, channel_id="shop", currency_code="USD")
        assert (await calls.sales_channels.FindPrice(find)).amount_minor > 0
