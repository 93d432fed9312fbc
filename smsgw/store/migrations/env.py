"""What alembic runs to apply steps: it uses the connection it is given and nothing else."""

from __future__ import annotations

from alembic import context

from smsgw.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
