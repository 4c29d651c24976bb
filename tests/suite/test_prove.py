"""Data broken by hand is named by the proof, by its check and its place; put right, the proof is clean again."""

from collections.abc import Sequence

from sqlalchemy import text

from argosy.orders.v1 import order_pb2
from chassis.runtime.database import Database
from chassis.runtime.settings import Settings
from gateway.app.prove import prove
from gateway.calls import Calls
from suite.up import running_suite
from tests.builders import open_shop, order, ship_all, until_released, until_status

COSTS = "(SELECT entry_id FROM journal_entries WHERE rule_id = 'cost-of-goods')"
LINE = f"debit_minor > 0 AND entry_id IN {COSTS}"
# (check, what it says, the service, how it is broken, how it is put right)
BROKEN = (
    ("P1", "movements and balance differ", "inventory", "UPDATE stock_balances SET quantity = quantity + 1 WHERE state = 1", "- 1"),
    ("P1", "movements and balance differ", "inventory", "UPDATE stock_movements SET quantity = quantity + 1 WHERE from_state = 0", "- 1"),
    ("P1", "on hand and cost layers differ", "inventory", "UPDATE cost_layers SET quantity_left = quantity_left + 1", "- 1"),
    ("P2", "here,", "inventory", "UPDATE reservations SET allocated = allocated + 1 WHERE allocated > 0", "- 1"),
    ("P2", "here,", "orders", "UPDATE order_lines SET reserved = reserved + 1, ordered = ordered + 1 WHERE shipped = 0", "- 1"),
    ("P3", "debit and credit differ", "finance", f"UPDATE journal_lines SET debit_minor = debit_minor + 1 WHERE {LINE}", "- 1"),
    ("P4", "at its owner", "inventory", "UPDATE cost_layers SET value_left_minor = value_left_minor + 1", "- 1"),
    ("P5", "", "finance", "UPDATE inbox SET sequence = sequence + 1 WHERE aggregate = 'fulfillment_order'", "- 1"),
    ("P7", "", "orders", "UPDATE orders SET deposits_minor = deposits_minor + 1", "- 1"),
    ("P8", "", "orders", "UPDATE audit_rows SET at = at + 1 WHERE position = 2", "- 1"),
)  # fmt: skip


async def change(settings: Settings, service: str, statements: Sequence[str]) -> int:
    """Changes a service's data behind its back and returns how many rows."""
    database = Database(settings.database_for(service))
    try:
        async with database.write() as tx:
            return sum([await tx.write(text(statement)) for statement in statements])
    finally:
        await database.close()


async def test_every_hand_made_break_is_named(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        shipped = await calls.orders.CreateOrder(order("1", 3))
        await ship_all(calls, shipped.order_id)
        await until_status(calls, shipped.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        waiting = await calls.orders.CreateOrder(order("2", 2))
        await until_released(calls, waiting.order_id)
        assert (await prove(suite.channels, settled=True)).breaks == []
        for check, says, service, breaking, back in BROKEN:
            assert await change(settings, service, [breaking]) > 0, breaking
            found = (await prove(suite.channels)).of(check)
            assert found, f"{check} does not see: {breaking}"
            assert any(says in one.detail for one in found), found
            await change(settings, service, [breaking.replace("+ 1", back)])
        assert (await prove(suite.channels, settled=True)).breaks == []


async def test_a_lost_row_is_named(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        placed = await calls.orders.CreateOrder(order("1", 3))
        await until_released(calls, placed.order_id)
        assert (await prove(suite.channels, settled=True)).breaks == []
        for check, service, statement in (
            ("P2", "inventory", "DELETE FROM reservations"),
            ("P1", "inventory", "DELETE FROM stock_movements WHERE from_state = 0"),
            ("P8", "catalog", "DELETE FROM audit_rows WHERE position = 1"),
            ("P5", "orders", "UPDATE event_heads SET sequence = sequence + 1"),
        ):
            assert await change(settings, service, [statement]) > 0, statement
            assert (await prove(suite.channels)).of(check), statement


async def test_an_event_booked_twice_is_named(settings: Settings) -> None:
    async with running_suite(settings) as suite:
        calls = Calls(suite.channels)
        await open_shop(calls, {"BER": 10})
        placed = await calls.orders.CreateOrder(order("1", 3))
        await ship_all(calls, placed.order_id)
        await until_status(calls, placed.order_id, order_pb2.ORDER_STATUS_SHIPPED)
        assert (await prove(suite.channels, settled=True)).breaks == []
        entry = "entity, currency_code, rule_id, rule_version, event_type, order_id, document_id, posted_at"
        lines = "position, account, channel_id, location_id, debit_minor, credit_minor"
        doubled = [
            f"INSERT INTO journal_entries (entry_id, event_id, {entry}) SELECT 'twice', 'twice', {entry} FROM journal_entries "
            "WHERE rule_id = 'cost-of-goods'",
            f"INSERT INTO journal_lines (entry_id, {lines}) SELECT 'twice', {lines} FROM journal_lines "
            f"WHERE entry_id IN {COSTS} AND entry_id <> 'twice'",
        ]
        await change(settings, "finance", doubled)
        breaks = (await prove(suite.channels)).breaks
        assert {one.check for one in breaks} & {"P3", "P4"}, breaks
