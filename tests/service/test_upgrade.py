"""An installation of an earlier version is upgraded with what it holds: stock keeps its value, items their likeness, orders what
they took, the audit its chain."""

import hashlib
import json

from alembic import command
from sqlalchemy import Connection, text

from chassis.runtime import audit
from chassis.runtime.database import Database
from chassis.runtime.host import wall_clock
from chassis.runtime.migrations import config_for, migrate
from chassis.runtime.settings import Settings
from services.catalog.store.tables import CHASSIS
from services.inventory.app import find_facts

LAYER = (
    "INSERT INTO cost_layers (layer_id, item_id, location_id, return_id, line_id, quantity_in, quantity_left, value_in_minor, "
    "value_left_minor, document_id, effective_at) VALUES ('{id}', 'cup', 'BER', '{held}', '', 10, {left}, 1000, {value}, 'r', 5)"
)
AUDIT = (
    "INSERT INTO audit_rows (audit_id, at, actor, action, subject_type, subject_id, reason, detail, position, hash) "
    "VALUES ('{id}', 5, 'ada', 'Set', 'Item', 'cup', '', '', {position}, {hash})"
)
LINKS: list[str] = []
for place in (1, 2):
    said = [LINKS[-1] if LINKS else "", place, f"a{place}", 5, "ada", "Set", "Item", "cup", "", ""]
    LINKS.append(hashlib.sha256(json.dumps(said).encode()).hexdigest())
BEFORE = {
    "inventory": (
        "INSERT INTO locations (location_id, name, kind, entity, owned, country_code, postal_prefix, currency_code, created_at) "
        "VALUES ('BER', 'Berlin', 1, 'DE01', 1, 'DE', '', 'EUR', 1)",
        "INSERT INTO items (item_id, sku, standard_cost_minor, retired) VALUES ('cup', 'CUP', 0, 0)",
        LAYER.format(id="a", held="", left=4, value=400),
        LAYER.format(id="b", held="ret-1", left=2, value=150),
        LAYER.format(id="c", held="", left=0, value=0),
        *(
            f"INSERT INTO stock_movements (movement_id, item_id, location_id, lot, from_state, to_state, quantity, value_minor, reason, "
            f"document_type, document_id, actor, moved_at) "
            f"VALUES ('m{state}', 'cup', 'BER', '', 0, {state}, {quantity}, 0, '', '', '', '', 7)"
            for state, quantity in ((1, 4), (7, 2))
        ),
        *(
            f"INSERT INTO stock_balances (item_id, location_id, lot, state, quantity) VALUES ('cup', 'BER', '', {state}, {quantity})"
            for state, quantity in ((1, 4), (7, 2))
        ),
    ),
    "catalog": (
        *(AUDIT.format(id=f"a{n}", position=n, hash=f"'{link}'") for n, link in enumerate(LINKS, 1)),
        AUDIT.format(id="a3", position="NULL", hash="NULL"),
        "INSERT INTO items (item_id, sku, name, brand, stock_unit, tax_class, weight_g, length_mm, width_mm, height_mm, hs_code, "
        "origin_country_code, restricted_countries, standard_cost_minor, cost_currency_code, lifecycle, submitted_by, version, created_at, "
        "updated_at) VALUES ('cup', 'CUP', 'Blue cup', 'Harbour', 'EA', '', 0, 0, 0, 0, '', '', '', 0, '', 4, '', 1, 1, 1)",
    ),
}
# An order that ended after it was held, in two parcels, and one that is with its location, of which refunds are on their way.
ORDERS = (
    "INSERT INTO orders (order_id, channel_id, external_order_id, content_hash, customer_id, entity, currency_code, status, country_code, "
    "region, postal_prefix, ship_to, note, cart_id, shipping_minor, shipping_tax_minor, tax_charged, total_minor, captured_minor, "
    "refunded_minor, deposits_minor, receivable_minor, shipping_refunded, shortage_policy, version, placed_at, created_at) "
    "VALUES ('{id}', 'web', '{id}', '', '', 'DE01', 'EUR', {status}, 'DE', '', '', '', '', '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 100, 100)"
)
TOLD = "INSERT INTO order_history (entry_id, order_id, at, kind, detail, actor) VALUES ('{id}-{at}', '{id}', {at}, '{kind}', '', '')"
PAYING = (
    '{{"refund_id": "{refund}", "order_id": "open", "parts": [{{"tender_id": "a", "amount_minor": 400}}, '
    '{{"tender_id": "b", "amount_minor": 100}}], "paid": [{paid}], "tries": 1}}'
)
BEFORE["orders"] = (
    *(ORDERS.format(id=order_id, status=status) for order_id, status in (("old", 6), ("open", 2))),
    *(TOLD.format(id=order_id, at=at, kind=kind) for order_id, at, kind in (
        ("old", 200, "RELEASED"), ("old", 250, "RELEASED"), ("old", 900, "COMPLETED"), ("open", 300, "RELEASED"),
    )),
    *(f"INSERT INTO order_shipments (shipment_id, order_id, delivered) VALUES ('s{n}', 'old', 1)" for n in range(2)),
    "INSERT INTO holds (hold_id, queue, reason, subject_type, subject_id, blocks, detail, owner_role, owner, raised_at, due_at, "
    "released_at, resolution) VALUES ('h', 'data', 'TAX_MISMATCH', 'order', 'old', '', '', '', '', 150, 150, 160, '')",
    *(
        f"INSERT INTO tenders (tender_id, order_id, method, adapter, state, amount_minor, captured_minor, refunded_minor, reference) "
        f"VALUES ('{tender}', 'open', 'card', 1, 3, 1000, 1000, {refunded}, '')" for tender, refunded in (("a", 400), ("b", 0))
    ),
    *(
        f"INSERT INTO processes (process, process_id, state, schema, version, ended, traceparent, correlation_id, updated_at) "
        f"VALUES ('pay_refund', '{refund}', '{state}', 1, 1, {ended}, '', '', 1)" for refund, ended, state in (
            ("f1", 0, PAYING.format(refund="f1", paid='"a"')), ("f2", 0, PAYING.format(refund="f2", paid="")),
            ("f3", 1, PAYING.format(refund="f3", paid='"a", "b"')),
        )
    ),
)  # fmt: skip
EARLIER = {"inventory": "0002", "catalog": "0001", "orders": "0018"}


async def upgraded(settings: Settings, service: str) -> Database:
    """Brings a database to the earlier version, fills it, and upgrades it as an installation would."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_for(service))

    def begin(connection: Connection) -> None:
        config = config_for(service)
        config.attributes["connection"] = connection
        command.upgrade(config, EARLIER[service])
        for statement in BEFORE[service]:
            connection.execute(text(statement))

    async with database.connection() as connection:
        await connection.run_sync(begin)
        await connection.commit()
    await migrate(service, database)
    return database


async def test_stock_keeps_its_value(bare_settings: Settings) -> None:
    database = await upgraded(bare_settings, "inventory")
    try:
        async with database.read() as tx:
            totals = (await tx.read(text("SELECT quantity, value_minor FROM valuations")))[0]
            assert tuple(totals) == (6, 550)
            held = await tx.read(text("SELECT layer_id FROM cost_layers WHERE held_for = 'ret-1'"))
            assert [row.layer_id for row in held] == ["b"]
            breaks, _ = await find_facts.balances(tx, wall_clock())
            assert not breaks, breaks
    finally:
        await database.close()


async def test_items_are_compared_with_new_ones(bare_settings: Settings) -> None:
    database = await upgraded(bare_settings, "catalog")
    try:
        async with database.read() as tx:
            row = (await tx.read(text("SELECT likeness, published, tracking, units FROM items")))[0]
            assert tuple(row) == ("blue cup harbour", 1, 1, "[]")
    finally:
        await database.close()


async def test_what_was_sealed_stays_sealed(bare_settings: Settings) -> None:
    database = await upgraded(bare_settings, "catalog")
    try:
        async with database.read() as tx:
            chain = await audit.verify(tx, CHASSIS)
        assert (chain.broken, chain.rows, chain.unsealed, chain.head_hash) == ("", 2, 1, LINKS[-1])
    finally:
        await database.close()


async def test_orders_that_ended_are_counted_as_their_history_tells(bare_settings: Settings) -> None:
    database = await upgraded(bare_settings, "orders")
    try:
        async with database.read() as tx:
            rows = await tx.read(text("SELECT released_at, ended_at, was_held, was_changed, parcels FROM orders ORDER BY order_id"))
        assert [tuple(row) for row in rows] == [(200, 900, 1, 0, 2), (300, None, 0, 0, 0)]
    finally:
        await database.close()


async def test_refunds_that_are_not_paid_yet_are_known(bare_settings: Settings) -> None:
    database = await upgraded(bare_settings, "orders")
    try:
        async with database.read() as tx:
            rows = await tx.read(text("SELECT tender_id, refunding_minor FROM tenders ORDER BY tender_id"))
        assert [tuple(row) for row in rows] == [("a", 400), ("b", 200)]
    finally:
        await database.close()
