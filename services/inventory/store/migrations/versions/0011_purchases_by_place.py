"""Purchase orders are found by where they go."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_purchase_orders_location_id", "purchase_orders", ["location_id", "purchase_order_id"])


def downgrade() -> None:
    op.drop_index("ix_purchase_orders_location_id", "purchase_orders")
