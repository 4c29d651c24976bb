"""What was let go in a day is counted in an index; what was raised in it is among that and what is open."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
ENDED = sa.text("released_at IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_holds_raised_at", table_name="holds")
    op.drop_index("ix_holds_released_at", table_name="holds", postgresql_where=ENDED, sqlite_where=ENDED)
    counted = ["released_at", "queue", "raised_at", "due_at"]
    op.create_index("ix_holds_ended", "holds", counted, unique=False, postgresql_where=ENDED, sqlite_where=ENDED)


def downgrade() -> None:
    op.drop_index("ix_holds_ended", table_name="holds", postgresql_where=ENDED, sqlite_where=ENDED)
    op.create_index("ix_holds_released_at", "holds", ["released_at"], unique=False, postgresql_where=ENDED, sqlite_where=ENDED)
    op.create_index("ix_holds_raised_at", "holds", ["raised_at", "queue"], unique=False)
