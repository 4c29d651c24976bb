"""Drafts the next migration of a service from what its tables say: python -m suite.draft_migration <service> <slug>.

Writes to the service's `store/migrations/versions`; read it before it is committed, and never change it after.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from chassis.runtime.database import Database
from chassis.runtime.migrations import config_for, folder_of, migrate
from suite.modules import composed

HEAD = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down}
branch_labels = None
depends_on = None


'''


def differences(connection: Connection, metadata: MetaData) -> tuple[str, str]:
    """Returns the upgrade and downgrade code that lead from a database to the metadata."""
    script = produce_migrations(MigrationContext.configure(connection), metadata)
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    return render_python_code(script.upgrade_ops), render_python_code(script.downgrade_ops)


async def draft(service: str, slug: str) -> Path:
    """Writes the draft and returns its path."""
    metadata = composed(service).metadata
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite+aiosqlite:///{folder}/{service}.db")
        await migrate(service, database)
        async with database.connection() as connection:
            upgrade, downgrade = await connection.run_sync(differences, metadata)
        await database.close()
    heads = ScriptDirectory.from_config(config_for(service)).get_heads()
    number = f"{len(list((folder_of(service) / 'versions').glob('[0-9]*.py'))) + 1:04d}"
    path = folder_of(service) / "versions" / f"{number}_{slug}.py"
    head = HEAD.format(title=slug.replace("_", " ").capitalize(), revision=number, down=repr(heads[0]) if heads else "None")
    path.write_text(head + f"def upgrade() -> None:\n    {upgrade}\n\n\ndef downgrade() -> None:\n    {downgrade}\n")
    return path


if __name__ == "__main__":
    print(asyncio.run(draft(sys.argv[1], sys.argv[2])))
