"""A short chaos run: the promise holds, and the naive operator beside it is caught. `make chaos` plays longer ones."""

import json
import subprocess
import sys

import pytest

from scripts.chaos.plan import POINTS
from scripts.environment import ROOT

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("a stack of their own"), pytest.mark.timeout(900)]
BATCHES, SEED = 6, 826  # a seed that ends quickly and meets a start that nobody can know about


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """What the command wrote and said, and how it ended."""
    var = tmp_path_factory.mktemp("chaos")
    told = ["-n", str(BATCHES), "--seed", str(SEED), "--ledger-away", "6", "--patience", "700", "--var", str(var)]
    command = [sys.executable, "-m", "scripts.chaos", *told]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said, _ = process.communicate()
    finally:
        if process.poll() is None:  # it clears away what it has started
            process.terminate()
            process.wait(60)
    assert (var / "chaos.json").exists(), said
    return {"code": process.returncode, "said": said} | json.loads((var / "chaos.json").read_text(encoding="utf-8"))


def test_nothing_is_started_twice_whatever_is_killed(played):
    assert (played["duplicates"], [one for one in played["batches"] if one["twice"]]) == (0, [])


def test_no_row_is_unaccounted_for(played):
    assert (played["unaccounted"], [one for one in played["batches"] if one["unaccounted"]]) == (0, [])


def test_every_batch_of_every_vendor_ends_as_its_files_deserve(played):
    assert played["unsettled"] == []
    assert len({one["vendor"] for one in played["batches"]}) == 5
    assert len(played["batches"]) == BATCHES


def test_processes_were_killed_at_marked_points_and_at_random(played):
    assert set(played["kills"]) <= {*POINTS, "random"}
    assert "random" in played["kills"]
    assert sum(number for point, told in played["kills"].items() if point != "random" for number in told.values()) > 1


def test_the_same_kills_catch_the_naive_operator(played):
    assert played["control"]["duplicates"] > 0


def test_the_ledgers_chains_hold_and_the_command_says_so(played):
    assert played["ledger"] == []
    assert played["code"] == 0, played["said"]
    assert "starts sent twice: 0   rows unaccounted for: 0" in played["said"]
