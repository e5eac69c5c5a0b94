"""`make up` and `make down`: the whole of Ferry left running on this machine, against the sandbox."""

from __future__ import annotations

import json
import socket
import sys

from scripts.client import ApiError, StackError
from scripts.environment import ROOT, USER
from scripts.processes import sweep
from scripts.rehearsal import DemoError, demo_batches
from scripts.setting import prepare
from scripts.stack import Stack, leftovers

HOME = ROOT / "var" / "up"
PORT = 8080


def up() -> int:
    """Start it afresh, and say where it is; 0 also if it runs already."""
    if leftovers(HOME):
        print(f"Already running: {json.loads((HOME / 'stack.json').read_text(encoding='utf-8'))['url']}  (make down ends it)")
        return 0
    print("Starting the sandbox and Airflow; about 30 seconds ...")
    stack = Stack(HOME, port=PORT if _free(PORT) else 0)
    try:
        stack.start()
        prepare(stack, demo_batches())
    except BaseException as error:
        stack.close()
        if not isinstance(error, StackError | ApiError | DemoError):
            raise
        print(f"It did not start: {error}", file=sys.stderr)
        return 1
    print(
        f"Airflow   {stack.base_url}   user {USER}   password {stack.password}\n"
        f"sandbox   {stack.sandbox_url}   (plays the vendors; forgets everything when it ends)\n"
        f"batches   {stack.batches}\n"
        f"ledger    {stack.ledger}\n"
        f"evidence  {stack.evidence}\n"
        f"commands  . {stack.home / 'env.sh'}; .venv/bin/airflow ...   (backfills too: on SQLite the pages cannot create them)\n"
        "Trigger a migrate_ DAG with a batch id, or backfill dispatch_batches over the days the batches are due.\n"
        "`make down` ends it; the next `make up` starts afresh, because the sandbox has forgotten what the ledger remembers."
    )
    return 0


def down() -> int:
    """End it; what it wrote stays in var/up until the next `make up`."""
    mark = leftovers(HOME)
    if not mark:
        print("Nothing is running.")
        return 0
    sweep(mark)
    print(f"Ended. Ledger, evidence and logs are still in {HOME}.")
    return 0


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


if __name__ == "__main__":
    sys.exit(down() if "--down" in sys.argv[1:] else up())
