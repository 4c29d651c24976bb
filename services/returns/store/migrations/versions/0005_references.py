"""A return has a name at the place that takes it in."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("returns", sa.Column("reference", sa.String(length=100), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("returns", "reference")
