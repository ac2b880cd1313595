"""Alembic's entry: runs the versions over the connection that the store hands in."""

from alembic import context

from assistant.store.schema import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
context.run_migrations()
