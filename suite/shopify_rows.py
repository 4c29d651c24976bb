"""Shopify's product export brought in: items, their list prices and, for a channel, their listings."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from argosy.catalog.v1 import channels_service_pb2
from chassis.kernel.ids import request_id
from chassis.runtime.status import from_status
from gateway.calls import Calls
from gateway.channels.shopify_products import Row, Variant, products
from suite.item_rows import ItemRows
from suite.rows import REFUSED, CsvFile, Progress, Report, RowResult, in_batches

NEEDED = ("Handle", "Title", "Variant Price")


class ShopifyProducts:
    """One export on its way in."""

    def __init__(self, calls: Calls, path: Path, channel_id: str, currency_code: str, tax_class: str) -> None:
        """Raises ValueError where the file is no product export."""
        self.file = CsvFile(path, NEEDED)
        self._calls = calls
        self._rows = ItemRows(calls, self.file.digest)
        self._channel_id = channel_id
        self._currency_code = currency_code
        self._tax_class = tax_class

    async def bring(self, progress: Progress, report: Report) -> None:
        """Brings all of it in."""
        await in_batches(self._variants(), self._send, report, lambda done: progress("products", done, self.file.count))
        progress("products", self.file.count, self.file.count)

    def _variants(self) -> Iterator[Variant]:
        for product in products(self.file.rows(), self._currency_code):
            yield from product

    async def _send(self, variants: Sequence[Variant]) -> list[RowResult]:
        wrong = {one.line: RowResult(one.line, one.sku, REFUSED, "INVALID_FIELD", one.wrong) for one in variants if one.wrong}
        results = wrong | {one.row: one for one in await self._rows.send([self._item(one) for one in variants if not one.wrong])}
        taken = [one for one in variants if not results[one.line].refusal]
        await self._set_prices([one for one in taken if one.price_minor >= 0], results)
        if self._channel_id:
            await self._list([one for one in taken if one.own_sku], results)
        return [results[one.line] for one in variants]

    def _item(self, one: Variant) -> Row:
        cells = {
            "sku": one.sku, "name": one.name, "brand": one.brand, "gtin": one.gtin, "weight_g": str(one.weight_g or ""),
            "tax_class": self._tax_class if one.taxable else "", "media_urls": " ".join(one.media_urls),
            "standard_cost_minor": str(one.cost_minor or ""), "cost_currency_code": self._currency_code if one.cost_minor else "",
            **{f"attributes.{name}": value for name, value in one.attributes.items()},
        }  # fmt: skip
        return one.line, cells

    async def _set_prices(self, variants: Sequence[Variant], results: dict[int, RowResult]) -> None:
        batch = channels_service_pb2.BatchSetPriceRequest()
        for one in variants:
            batch.requests.add(
                request_id=request_id("import-prices", self.file.digest, one.line), item_id=one.sku, channel_id=self._channel_id,
                currency_code=self._currency_code, amount_minor=one.price_minor, reason="from the shop's product export",
            )  # fmt: skip
        answers = (await self._calls.sales_channels.BatchSetPrice(batch, timeout=60)).results if variants else []
        for one, answer in zip(variants, answers, strict=True):
            self._note(one, answer, results)

    async def _list(self, variants: Sequence[Variant], results: dict[int, RowResult]) -> None:
        batch = channels_service_pb2.BatchCreateListingRequest()
        for one in variants:
            batch.requests.add(
                request_id=request_id("import-listings", self.file.digest, one.line), channel_id=self._channel_id, channel_sku=one.sku,
                item_id=one.sku, units=1,
            )  # fmt: skip
        answers = (await self._calls.sales_channels.BatchCreateListing(batch, timeout=60)).results if variants else []
        for one, answer in zip(variants, answers, strict=True):
            self._note(one, answer, results)

    @staticmethod
    def _note(
        one: Variant, answer: channels_service_pb2.SetPriceResult | channels_service_pb2.CreateListingResult, results: dict[int, RowResult]
    ) -> None:
        """A price or a listing that was refused makes its row refused; the item stays."""
        if answer.HasField("error"):
            refusal = from_status(answer.error)
            results[one.line] = RowResult(one.line, one.sku, REFUSED, refusal.reason, refusal.message)
