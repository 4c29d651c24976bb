"""What was billed for a parcel before anybody told that it left waits for it."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "early_charges",
        sa.Column("charge_id", sa.String(length=40), nullable=False),
        sa.Column("carrier", sa.String(length=60), nullable=False),
        sa.Column("bill_number", sa.String(length=100), nullable=False),
        sa.Column("line_id", sa.String(length=100), nullable=False),
        sa.Column("tracking_number", sa.String(length=100), nullable=False),
        sa.Column("reference", sa.String(length=100), nullable=False),
        sa.Column("location_id", sa.String(length=64), nullable=False),
        sa.Column("billed_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency_code", sa.String(length=3), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("charge_id", name=op.f("pk_early_charges")),
    )
    op.create_index(
        "ix_early_charges_number",
        "early_charges",
        ["tracking_number"],
        unique=False,
        postgresql_where=sa.text("tracking_number <> ''"),
        sqlite_where=sa.text("tracking_number <> ''"),
    )
    op.create_index(op.f("ix_early_charges_recorded_at"), "early_charges", ["recorded_at"], unique=False)
    op.create_index(
        "ix_early_charges_reference",
        "early_charges",
        ["reference", "location_id"],
        unique=False,
        postgresql_where=sa.text("reference <> ''"),
        sqlite_where=sa.text("reference <> ''"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_early_charges_reference",
        table_name="early_charges",
        postgresql_where=sa.text("reference <> ''"),
        sqlite_where=sa.text("reference <> ''"),
    )
    op.drop_index(op.f("ix_early_charges_recorded_at"), table_name="early_charges")
    op.drop_index(
        "ix_early_charges_number",
        table_name="early_charges",
        postgresql_where=sa.text("tracking_number <> ''"),
        sqlite_where=sa.text("tracking_number <> ''"),
    )
    op.drop_table("early_charges")
