"""Run by Alembic: the steps go through the connection, inside the transaction, that `hub.store.migrate` has begun."""

from __future__ import annotations

from alembic import context

from hub.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=False,  # the caller's transaction is the only one
)
context.run_migrations()
