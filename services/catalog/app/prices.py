"""List prices: for a channel and a customer group or for all, from a quantity on, from one moment to another."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from argosy.catalog.v1 import channels_service_pb2
from chassis.kernel.clock import from_timestamp, to_timestamp
from chassis.kernel.errors import AlreadyExists, InvalidArgument, NotFound
from chassis.kernel.ids import new_id
from chassis.runtime.approvals import ApprovalKind, Weight, need_approval
from chassis.runtime.host import wall_clock
from chassis.runtime.pages import page
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Work
from services.catalog.app.item_view import load
from services.catalog.app.manage_channels import need_channel
from services.catalog.domain.pricing import moved_permille, price_in_force
from services.catalog.store.tables import PRICES

Price = channels_service_pb2.Price
ALL = "-"
PLAIN = ("price_id", "item_id", "channel_id", "currency_code", "amount_minor", "customer_group", "min_quantity", "set_by", "reason")


async def set_price(work: Work, request: channels_service_pb2.SetPriceRequest) -> Price:
    """What moves the price in force too far waits for another person. Refusals: NO_SUCH_ITEM, NO_SUCH_CHANNEL, INVALID_FIELD,
    PRICE_EXISTS.
    """  # fmt: skip
    row = await _row(work, request)
    before = await _before(work, row)
    if before is not None:
        moved = moved_permille(before.amount_minor, row["amount_minor"])
        whose = " ".join(filter(None, ("for", row["channel_id"], row["customer_group"])))
        summary = (
            f"price of {(await load(work.tx, row['item_id'])).sku} {whose if whose != 'for' else ''} from {row['min_quantity']} on: "
            f"{row['amount_minor']} instead of {before.amount_minor} {row['currency_code']} in minor units. {row['reason']}"
        )
        subject = ":".join((row["item_id"], row["channel_id"], row["currency_code"], row["customer_group"], str(row["min_quantity"])))
        # Without a moment of its own it holds from when it is approved.
        if approval_id := await need_approval(work, PRICE, request, Weight("price", subject, summary, moved)):
            shown = _message(row)
            shown.price_id, shown.approval_id = "", approval_id
            return shown
    return await _write(work, row)


async def carry_out(work: Work, request: channels_service_pb2.SetPriceRequest) -> Price:
    """Refusals: those of `set_price`."""
    return await _write(work, await _row(work, request))


PRICE = ApprovalKind(
    "catalog.price", "List prices, by how far they move in thousandths", "catalog.prices.approve", channels_service_pb2.SetPriceRequest,
    carry_out, limit_minor=200,
)  # fmt: skip


async def _row(work: Work, request: channels_service_pb2.SetPriceRequest) -> dict[str, Any]:
    item = await load(work.tx, request.item_id)
    if request.channel_id:
        await need_channel(work.tx, request.channel_id)
    valid_from = from_timestamp(request.valid_from) if request.HasField("valid_from") else work.now
    valid_until = from_timestamp(request.valid_until) if request.HasField("valid_until") else 0
    if valid_until and valid_until <= valid_from:
        raise InvalidArgument("INVALID_FIELD", "valid_until: must be after valid_from", field="valid_until")
    return {
        "price_id": new_id(), "item_id": item.item_id, "channel_id": request.channel_id, "currency_code": request.currency_code,
        "amount_minor": request.amount_minor, "includes_tax": int(request.includes_tax), "valid_from": valid_from,
        "valid_until": valid_until, "customer_group": request.customer_group, "min_quantity": request.min_quantity or 1,
        "set_by": work.cause.actor, "reason": request.reason,
    }  # fmt: skip


async def _before(work: Work, row: dict[str, Any]) -> Any:
    """Returns the price that held for just these when the new one begins."""
    rows = await work.tx.find(PRICES, ("item_id",), [(row["item_id"],)])
    same = [one for one in rows if all(getattr(one, name) == row[name] for name in ("channel_id", "customer_group", "min_quantity"))]
    return price_in_force(same, row["channel_id"], row["currency_code"], row["customer_group"], row["min_quantity"], row["valid_from"])


async def _write(work: Work, row: dict[str, Any]) -> Price:
    key = ("item_id", "channel_id", "currency_code", "customer_group", "min_quantity", "valid_from")
    if kept := await work.tx.find(PRICES, key, [tuple(row[name] for name in key)]):
        if all(getattr(kept[0], name) == row[name] for name in ("amount_minor", "includes_tax", "valid_until")):
            return _message(kept[0]._mapping)
        raise AlreadyExists("PRICE_EXISTS", "another price from this very moment on is kept already", field="valid_from")
    await work.tx.insert(PRICES, [row])
    return _message(row)


async def list_prices(asked: Asked) -> channels_service_pb2.ListPricesResponse:
    """Lists newest first."""
    query = select(PRICES)
    if asked.request.item_id != ALL:
        query = query.where(PRICES.c.item_id == asked.request.item_id)
    rows, token = await page(asked.tx, query, [PRICES.c.price_id], asked.request, descending=True)
    return channels_service_pb2.ListPricesResponse(prices=[_message(row._mapping) for row in rows], next_page_token=token)


async def find_price(asked: Asked) -> Price:
    """Refusals: NO_SUCH_ITEM, NO_PRICE."""
    request = asked.request
    item = await load(asked.tx, request.item_id)
    moment = from_timestamp(request.at) if request.HasField("at") else wall_clock()
    rows: Sequence[Any] = await asked.tx.find(PRICES, ("item_id",), [(item.item_id,)])
    found = price_in_force(rows, request.channel_id, request.currency_code, request.customer_group, request.quantity or 1, moment)
    if found is None:
        raise NotFound("NO_PRICE", f"no price of {item.sku} in {request.currency_code} is in force then; set one", field="item_id")
    return _message(found._mapping)


def _message(row: Any) -> Price:
    return Price(
        **{name: row[name] for name in PLAIN}, includes_tax=bool(row["includes_tax"]), valid_from=to_timestamp(row["valid_from"]),
        valid_until=to_timestamp(row["valid_until"]) if row["valid_until"] else None,
    )  # fmt: skip
