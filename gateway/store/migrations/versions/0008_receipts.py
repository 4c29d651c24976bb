"""What warehouses of others say that they took in is counted."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "warehouse_receipts",
        sa.Column("channel_id", sa.String(length=40), nullable=False),
        sa.Column("document", sa.String(length=100), nullable=False),
        sa.Column("sku", sa.String(length=100), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", "document", "sku", name=op.f("pk_warehouse_receipts")),
    )


def downgrade() -> None:
    op.drop_table("warehouse_receipts")
