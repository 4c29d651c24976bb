"""What suppliers are paid for what they ship for us."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drop_ship_prices",
        sa.Column("location_id", sa.String(length=40), nullable=False),
        sa.Column("item_id", sa.String(length=40), nullable=False),
        sa.Column("supplier_id", sa.String(length=40), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity > 0 AND amount_minor >= 0", name=op.f("ck_drop_ship_prices_priced")),
        sa.PrimaryKeyConstraint("location_id", "item_id", name=op.f("pk_drop_ship_prices")),
    )
    op.add_column("issues", sa.Column("channel_id", sa.String(length=64), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("issues", "channel_id")
    op.drop_table("drop_ship_prices")
