"""${message}."""

from __future__ import annotations

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """What the database gains."""
    ${upgrades if upgrades else "op.execute(\"\")"}


def downgrade() -> None:
    """The ledger forgets nothing, so there is no way back."""
    raise NotImplementedError("the ledger is append-only; restore a backup of the database instead")
