"""A warehouse of others is asked what it has on hand and what it billed, where its connection says so."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("channel_connections", sa.Column("takes_stock", sa.Integer(), server_default="0", nullable=False))
    op.add_column("channel_connections", sa.Column("takes_bills", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("channel_connections", "takes_bills")
    op.drop_column("channel_connections", "takes_stock")
