"""What had shipped or was cancelled before an order's last change is settled."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("order_lines", sa.Column("settled", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("orders", sa.Column("settled_shipping_minor", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("orders", sa.Column("settled_shipping_tax_minor", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("orders", "settled_shipping_tax_minor")
    op.drop_column("orders", "settled_shipping_minor")
    op.drop_column("order_lines", "settled")
