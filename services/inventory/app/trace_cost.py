"""Where what a receipt brought went: its cost layers, and those that transfers made of them, from location to location."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import select

from chassis.runtime.tx import Tx
from services.inventory.domain.revaluation import Traced
from services.inventory.store.stock_book import Key
from services.inventory.store.tables import CONSUMPTIONS, LAYERS, LOCATIONS

# Stock that goes round and round is followed so far.
MOST_HOPS = 16


class Trace:
    """The layers of some receipts and of all that followed from them, within one entity and currency."""

    def __init__(self) -> None:
        self._by_document: defaultdict[tuple[str, str], list[Traced]] = defaultdict(list)
        self._books: dict[str, tuple[str, str]] = {}

    @staticmethod
    async def of(tx: Tx, receipt_ids: Iterable[str], item_ids: Iterable[str]) -> "Trace":
        """Follows receipts: two queries for each hop."""
        self = Trace()
        self._books = {row.location_id: (row.entity, row.currency_code) for row in await tx.read(select(LOCATIONS)) if row.owned}
        items, seen = set(item_ids), set(receipt_ids)
        documents = set(seen)
        for _ in range(MOST_HOPS):
            rows = [row for row in await tx.find(LAYERS, ("document_id",), [(one,) for one in sorted(documents)]) if row.item_id in items]
            went: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
            for row in await tx.find(CONSUMPTIONS, ("layer_id",), [(row.layer_id,) for row in rows], order=("consumption_id",)):
                went[row.layer_id].append((row.document_id, row.quantity))
            for row in rows:
                traced = Traced(row.layer_id, row.item_id, row.location_id, row.quantity_in, row.quantity_left, tuple(went[row.layer_id]))
                self._by_document[row.document_id, row.item_id].append(traced)
            documents = {document for parts in went.values() for document, _ in parts} - seen
            seen |= documents
            if not documents:
                break
        return self

    @property
    def keys(self) -> set[Key]:
        """Where any of it is left."""
        return {(one.item_id, one.location_id) for layers in self._by_document.values() for one in layers if one.left}

    def layers(self, document_id: str, item_id: str, location_id: str) -> list[Traced]:
        """Returns the layers that a document made of an item at a location."""
        return [one for one in self._by_document[document_id, item_id] if one.location_id == location_id]

    def after(self, item_id: str, location_id: str) -> dict[str, list[Traced]]:
        """Returns the layers that documents made of an item wherever the books are those of a location, by document."""
        own = self._books.get(location_id)
        return {
            document: layers
            for (document, of_item), layers in self._by_document.items()
            if of_item == item_id and layers and all(self._books.get(one.location_id) == own for one in layers)
        }
