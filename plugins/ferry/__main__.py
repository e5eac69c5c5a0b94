"""`python -m ferry verify`: the ledger's own check, on the command line."""

from __future__ import annotations

import sys

from ferry.ledger.command import verify
from ferry.ledger.evidence import EvidenceStore
from ferry.ledger.store import LedgerStore


def main(arguments: list[str]) -> int:
    """Run one command; 2 for one that is not known."""
    if arguments[:1] != ["verify"]:
        print("usage: python -m ferry verify [--help]", file=sys.stderr)  # noqa: T201 (a command's output)
        return 2
    return verify(arguments[1:], _places)


def _places() -> tuple[LedgerStore, EvidenceStore]:
    # Imported here: it brings Airflow, which takes seconds and is not needed when options name both places.
    from ferry.steps import places

    return places.ledger(), places.evidence()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
