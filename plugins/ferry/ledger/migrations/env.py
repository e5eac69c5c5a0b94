"""Runs the migrations on the connection that `LedgerStore.migrate` holds the lock on."""

from __future__ import annotations

from alembic import context

from ferry.ledger.schema import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
