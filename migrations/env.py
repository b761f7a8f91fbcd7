"""How Alembic runs here: on the open connection it is handed, inside the caller's transaction (see bridge.state.database)."""

from alembic import context

from bridge.state.tables import metadata

attributes = context.config.attributes

context.configure(
    connection=attributes["connection"],
    target_metadata=metadata,
    on_version_apply=attributes.get("on_version_apply"),
)
context.run_migrations()
