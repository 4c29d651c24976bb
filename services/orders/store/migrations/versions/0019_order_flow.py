"""What orders took until nothing was left to ship stands with them; of those that ended before, as their history tells."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None
ENDED = sa.text("ended_at IS NOT NULL")
COUNTED = ["ended_at", "channel_id", "created_at", "released_at", "was_held", "was_changed", "parcels"]
TOLD = "SELECT min(at) FROM order_history WHERE order_history.order_id = orders.order_id AND kind"
THERE = "EXISTS (SELECT 1 FROM {table} WHERE {table}.{name} = orders.order_id)"


def upgrade() -> None:
    op.add_column("orders", sa.Column("released_at", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("ended_at", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("was_held", sa.Integer(), server_default="0", nullable=False))
    op.add_column("orders", sa.Column("was_changed", sa.Integer(), server_default="0", nullable=False))
    op.add_column("orders", sa.Column("parcels", sa.Integer(), server_default="0", nullable=False))
    op.execute(f"UPDATE orders SET released_at = ({TOLD} = 'RELEASED')")
    held = THERE.format(table="holds", name="subject_id")
    changed = " OR ".join(THERE.format(table=table, name="order_id") for table in ("order_changes", "offers"))
    op.execute(
        f"UPDATE orders SET ended_at = ({TOLD} = 'COMPLETED'), was_held = CASE WHEN {held} THEN 1 ELSE 0 END, "
        f"was_changed = CASE WHEN {changed} THEN 1 ELSE 0 END, "
        "parcels = (SELECT count(*) FROM order_shipments WHERE order_shipments.order_id = orders.order_id) WHERE status >= 5"
    )
    op.create_index("ix_orders_ended_at", "orders", COUNTED, unique=False, postgresql_where=ENDED, sqlite_where=ENDED)


def downgrade() -> None:
    op.drop_index("ix_orders_ended_at", table_name="orders", postgresql_where=ENDED, sqlite_where=ENDED)
    for name in ("parcels", "was_changed", "was_held", "ended_at", "released_at"):
        op.drop_column("orders", name)
