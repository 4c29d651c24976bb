"""Manifests have forms that providers make."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("manifests", sa.Column("form_status", sa.Integer(), server_default="1", nullable=False))
    op.add_column("manifests", sa.Column("form_url", sa.Text(), server_default="", nullable=False))
    op.add_column("manifests", sa.Column("form_failure", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("manifests", "form_failure")
    op.drop_column("manifests", "form_url")
    op.drop_column("manifests", "form_status")
