"""`make demo-compose`: the demo on docker-compose, played from a container of its own beside the services."""

from __future__ import annotations

import os
import sys
import time

from rich.console import Console
from upath import UPath

from ferry.core.errors import FerryError
from ferry.ledger.evidence import Folder
from ferry.ledger.store import LedgerStore
from ferry.steps import places
from scripts.client import ApiError, Client, StackError
from scripts.demo import PATIENCE, days_of, ending_on_signals, rehearse
from scripts.environment import USER
from scripts.judgement import judge
from scripts.outcome import standing_of
from scripts.rehearsal import DemoBatch, DemoError, demo_batches
from scripts.setting import DISPATCH

SLOWER = 2.0
"""How much longer the batches may take here: seven processes of Airflow's share the machine, and some may be killed meanwhile."""
AWAKE = 400.0
"""Seconds until Airflow is up, on a small machine that has just built its image."""


class Composed(Client):
    """The services beside this container."""

    def __init__(self) -> None:
        super().__init__("http://api-server:8080", "http://sandbox:8765", os.environ["ADMIN_PASSWORD"])
        self.evidence = places.evidence().root
        self.ledger = "database ledger of service postgres"
        self.login = f"{os.environ['AIRFLOW__API__BASE_URL']}  user {USER}  password: ADMIN_PASSWORD in .env"


def main() -> int:
    """0 if every batch ended as its demo.yaml says and every number adds up."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    try:
        with ending_on_signals():
            return play(console)
    except (DemoError, StackError, ApiError, FerryError) as error:
        console.print(f"The demo failed: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; the services go on, and so do the batches.", style="yellow")
        return 130


def play(console: Console) -> int:
    """The whole demo."""
    begun, client, ledger, batches = time.monotonic(), Composed(), places.ledger(), demo_batches()
    must_be_new(ledger, batches)
    client.wait_for(lambda: client.sandbox_answers() and client.healthy(), "the sandbox and Airflow to answer", AWAKE)
    put([batch for batch in batches if not batch.expected.begins], places.batches())
    shown = rehearse(console, client, ledger, batches, lambda: dispatch(client, batches), patience=PATIENCE * SLOWER)
    good = judge(shown)
    console.print(f"{time.monotonic() - begun:.0f} s from start to end; the services go on.")
    return 0 if good else 1


def must_be_new(ledger: LedgerStore, batches: list[DemoBatch]) -> None:
    """DemoError if one of the batches was moved already: what arrived is not sent again, so there would be nothing to see."""
    if known := [batch.name for batch in batches if standing_of(ledger, batch)]:
        raise DemoError(
            f"The ledger knows {len(known)} of the demo's batches already, the first is {known[0]}. `docker-compose down -v` "
            "removes it with everything else, then play the demo again."
        )


def put(batches: list[DemoBatch], target: Folder) -> None:
    """The batches' files where the tasks look for them, which may be a bucket."""
    for batch in batches:
        for file in sorted(path for path in batch.folder.rglob("*") if path.is_file()):
            there: Folder = target.joinpath(batch.vendor, batch.batch_id, *file.relative_to(batch.folder).parts)
            there.parent.mkdir(parents=True, exist_ok=True)
            UPath(file).copy(there)


def dispatch(client: Client, batches: list[DemoBatch]) -> None:
    """A backfill of the days on which the batches are due."""
    first, last = days_of(batches)
    told = {"dag_id": DISPATCH, "from_date": f"{first}T00:00:00Z", "to_date": f"{last}T00:00:00Z"}
    client.api("POST", "/backfills", told | {"reprocess_behavior": "failed", "run_backwards": False, "max_active_runs": 10})


if __name__ == "__main__":
    sys.exit(main())
