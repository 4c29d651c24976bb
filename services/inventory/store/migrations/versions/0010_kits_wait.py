"""Reservations and demands of a kit's components know their kit."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("demands", sa.Column("each", sa.Integer(), server_default="1", nullable=False))
    op.add_column("demands", sa.Column("kit_item_id", sa.String(length=40), server_default="", nullable=False))
    op.add_column("reservations", sa.Column("each", sa.Integer(), server_default="1", nullable=False))
    op.add_column("reservations", sa.Column("kit_item_id", sa.String(length=40), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("reservations", "kit_item_id")
    op.drop_column("reservations", "each")
    op.drop_column("demands", "kit_item_id")
    op.drop_column("demands", "each")
