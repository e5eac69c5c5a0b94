"""`python -m ferry verify` and `migrate`: the ledger's own check, and its preparation, on the command line."""

from __future__ import annotations

import sys

from ferry.ledger.command import migrate, verify
from ferry.ledger.evidence import EvidenceStore
from ferry.ledger.store import LedgerStore


def main(arguments: list[str]) -> int:
    """Run one command; 2 for one that is not known."""
    command = {"verify": verify, "migrate": migrate}.get(next(iter(arguments), ""))
    if command is None:
        print("usage: python -m ferry verify|migrate [--help]", file=sys.stderr)  # noqa: T201 (a command's output)
        return 2
    return command(arguments[1:], _places)


def _places() -> tuple[LedgerStore, EvidenceStore]:
    # Imported here: it brings Airflow, which takes seconds and is not needed when options name both places.
    from ferry.steps import places

    return places.ledger(), places.evidence()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
