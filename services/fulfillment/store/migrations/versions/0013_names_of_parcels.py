"""A parcel keeps what its location calls it, so that a location's bill finds it."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("shipments", sa.Column("reference", sa.String(length=100), server_default="", nullable=False))
    op.create_index(
        "ix_shipments_reference",
        "shipments",
        ["reference", "location_id"],
        unique=False,
        postgresql_where=sa.text("reference <> ''"),
        sqlite_where=sa.text("reference <> ''"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_shipments_reference",
        table_name="shipments",
        postgresql_where=sa.text("reference <> ''"),
        sqlite_where=sa.text("reference <> ''"),
    )
    op.drop_column("shipments", "reference")
