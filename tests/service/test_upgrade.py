"""An installation of an earlier version is upgraded with what it holds: stock keeps its value, items their likeness."""

from alembic import command
from sqlalchemy import Connection, text

from chassis.runtime.database import Database
from chassis.runtime.host import wall_clock
from chassis.runtime.migrations import config_for, migrate
from chassis.runtime.settings import Settings
from services.inventory.app import find_facts

LAYER = (
    "INSERT INTO cost_layers (layer_id, item_id, location_id, return_id, line_id, quantity_in, quantity_left, value_in_minor, "
    "value_left_minor, document_id, effective_at) VALUES ('{id}', 'cup', 'BER', '{held}', '', 10, {left}, 1000, {value}, 'r', 5)"
)
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
        "INSERT INTO items (item_id, sku, name, brand, stock_unit, tax_class, weight_g, length_mm, width_mm, height_mm, hs_code, "
        "origin_country_code, restricted_countries, standard_cost_minor, cost_currency_code, lifecycle, submitted_by, version, created_at, "
        "updated_at) VALUES ('cup', 'CUP', 'Blue cup', 'Harbour', 'EA', '', 0, 0, 0, 0, '', '', '', 0, '', 4, '', 1, 1, 1)",
    ),
}
EARLIER = {"inventory": "0002", "catalog": "0001"}


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
