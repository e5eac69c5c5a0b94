"""`make verify`: every chain and every evidence file of the ledger, checked. `--pack BATCH --to FILE` writes an evidence pack."""

from __future__ import annotations

import sys

from ferry.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["verify", *sys.argv[1:]]))
