"""`make chaos N=200 SEED=1`: batches of all vendors under kill -9; 0 if nothing starts twice and nothing is unaccounted for."""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

from rich.console import Console

from ferry.core.errors import FerryError
from scripts.chaos.cargo import Cargo, DomoCargo, FenergoCargo, Load, all_cargo, shares
from scripts.chaos.control import Control
from scripts.chaos.oracle import Findings, find
from scripts.chaos.plan import tickets
from scripts.chaos.play import BY_HAND, Story
from scripts.chaos.report import tell
from scripts.chaos.stage import Stage, stage
from scripts.chaos.supervisor import TICKETS, Supervisor
from scripts.client import ApiError, StackError
from scripts.demo import alone, ending_on_signals
from scripts.environment import ROOT
from scripts.postgres import PostgresError
from scripts.setting import DISPATCH, make_pools, wait_for_dags


def main(arguments: list[str] | None = None) -> int:
    """0 if the promise held; 1 if not, or if the harness failed; 130 if it was interrupted."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("-n", type=int, default=60, help="batches (default: 60)")
    parser.add_argument(
        "--seed", type=int, default=0, help="draws everything (default: the time); printed, so that it can be replayed"
    )
    parser.add_argument("--ledger-away", type=float, default=60.0, help="seconds for which the ledger's database is away")
    parser.add_argument("--patience", type=float, default=0.0, help="seconds after which it is given up (default: by N)")
    parser.add_argument("--var", type=Path, default=ROOT / "var", help="folder for state and results (default: var)")
    told = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    seed = told.seed or int(time.time())
    try:
        with alone(told.var.resolve()), ending_on_signals():
            return play(console, told, seed)
    except (StackError, ApiError, FerryError, PostgresError) as error:
        console.print(f"The harness failed: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; nothing is left running.", style="yellow")
        return 130


def play(console: Console, told: argparse.Namespace, seed: int) -> int:
    """Set the stage, play, judge."""
    begun, random = time.monotonic(), Random(seed)  # noqa: S311 (a plan that can be replayed is no secret)
    var, cargo = told.var.resolve(), all_cargo()
    console.print(f"chaos: {told.n} batches, seed {seed}.  Again: make chaos N={told.n} SEED={seed}", highlight=False)
    with ExitStack() as held:
        scene = held.enter_context(stage(var / "chaos", cargo))
        wait_for_dags(scene.stack, {DISPATCH, "naive_fenergo", *(one.dag_id for one in cargo)})
        make_pools(scene.stack)
        loads = load_all(scene, cargo, told.n, random)
        control = Control(scene, max(2, told.n // 20))
        drawn = tickets({load.batch_id: _cargo_of(cargo, load).route for load in loads.values()}, random)
        for ticket in drawn:
            (scene.folder / TICKETS / ticket.name).write_text(ticket.victim, encoding="utf-8")
        left_open = frozenset(name for name in loads if random.random() < 0.5)
        scene.stack.api("PATCH", "/dags", {"is_paused": False}, dag_id_pattern="%")
        (scene.folder / "dags" / "discover_anon.py").touch()  # its watcher begins when the file of an unpaused DAG is read
        supervisor = Supervisor(scene.stack, scene.folder)
        held.enter_context(supervisor.at_work())
        console.print(f"{time.monotonic() - begun:.0f} s to set the stage; {len(drawn)} ends are planned.", highlight=False)
        patience = told.patience or 600.0 + 20.0 * told.n
        story = Story(console, scene, supervisor, cargo, loads, random, left_open, patience, told.ledger_away)
        control.begin()
        over = story.play()
        control.end()
        findings = find(scene, story, drawn, supervisor.kills)
        good = tell(console, findings, story, control, over=over)
        write(var / "chaos.json", (told.n, seed), findings, story, control)
    console.print(f"{time.monotonic() - begun:.0f} s from start to end; nothing is left running.", highlight=False)
    return 0 if good else 1


def load_all(scene: Stage, cargo: list[Cargo], wanted: int, random: Random) -> dict[str, Load]:
    """The batches, in their folders: some are due with the dispatched ones, some are for people to trigger."""
    loads: dict[str, Load] = {}
    for one, number in shares(cargo, wanted):
        scene.stack.sandbox("PUT", f"/{one.vendor}/switches", dict(one.switches))
        if isinstance(one, DomoCargo):
            scene.stack.sandbox("PUT", "/domo/switches", {"extra_datasources": number * one.parts})
            one.learn(scene.stack.sandbox("GET", "/domo/state"))
        if isinstance(one, FenergoCargo) and random.random() < 0.5:
            # A word that proves nothing: every lost answer to a start is a person's to resolve.
            scene.stack.sandbox("PUT", "/fenergo/switches", {"unstarted_word": "Processing"})
        for n in range(number):
            later = BY_HAND if random.random() < 0.5 else None
            load = one.load(scene.folder / "batches", n, later)
            loads[load.batch_id] = load
    return loads


def write(path: Path, told: tuple[int, int], findings: Findings, story: Story, control: Control) -> None:
    """The result for programs."""
    more = {
        "batches_wanted": told[0],
        "seed": told[1],
        "deeds": story.deeds,
        "twins": story.twins,
        "cleared": story.cleared,
        "mended": sum(story.mends.values()),
        "answered": story.people.answered,
        "waited_for_a_person": sorted(story.were_asked),
        "control": control.to_json(),
    }
    path.write_text(json.dumps(more | findings.to_json(), indent=2) + "\n", encoding="utf-8")


def _cargo_of(cargo: list[Cargo], load: Load) -> Cargo:
    return next(one for one in cargo if one.vendor == load.vendor)


if __name__ == "__main__":
    sys.exit(main())
