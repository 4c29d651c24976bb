"""A queue of holds is read in its order, and its figures are counted in an index."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
OPEN, ENDED = sa.text("released_at IS NULL"), sa.text("released_at IS NOT NULL")


def upgrade() -> None:
    figures = ["queue", "due_at", "raised_at", "snoozed_until", "owner", "released_at"]
    op.create_index("ix_holds_figures", "holds", figures, unique=False, postgresql_where=OPEN, sqlite_where=OPEN)
    op.create_index("ix_holds_queue", "holds", ["queue", "rank", "hold_id"], unique=False, postgresql_where=OPEN, sqlite_where=OPEN)
    op.create_index("ix_holds_raised_at", "holds", ["raised_at", "queue"], unique=False)
    op.drop_index("ix_holds_released_at", table_name="holds")
    op.create_index("ix_holds_released_at", "holds", ["released_at"], unique=False, postgresql_where=ENDED, sqlite_where=ENDED)


def downgrade() -> None:
    op.drop_index("ix_holds_released_at", table_name="holds", postgresql_where=ENDED, sqlite_where=ENDED)
    op.create_index("ix_holds_released_at", "holds", ["released_at"], unique=False)
    op.drop_index("ix_holds_raised_at", table_name="holds")
    op.drop_index("ix_holds_queue", table_name="holds", postgresql_where=OPEN, sqlite_where=OPEN)
    op.drop_index("ix_holds_figures", table_name="holds", postgresql_where=OPEN, sqlite_where=OPEN)
