"""The chaos harness: a plan that can be replayed, and an oracle that sees what it has to see."""

from random import Random

import pytest

from scripts.chaos.cargo import AnonCargo, DmmCargo, DomoCargo, FenergoCargo, Load, MicroStrategyCargo, all_cargo, shares
from scripts.chaos.plan import POINTS, SENDING, WAITING, Route, tickets

MANY = {f"batch-{n:04d}": Route(("open_run", "start_run"), ("await_run",)) for n in range(500)}


def test_the_same_seed_draws_the_same_ends_and_another_one_others():
    assert tickets(MANY, Random(7)) == tickets(MANY, Random(7))
    assert tickets(MANY, Random(7)) != tickets(MANY, Random(8))


def test_every_point_is_drawn_sooner_or_later():
    assert {ticket.point for ticket in tickets(MANY, Random(1))} == set(POINTS)


def test_who_sends_nothing_is_not_killed_while_it_sends_and_who_never_waits_not_while_it_waits():
    silent, restless = (tickets(dict.fromkeys(MANY, route), Random(1)) for route in (Route(()), Route(("start_run",), ())))
    assert not {ticket.point for ticket in silent} & set(SENDING)
    assert not {ticket.point for ticket in restless} & set(WAITING)


@pytest.mark.parametrize("wanted", [5, 12, 60, 200])
def test_every_vendor_has_its_share(wanted):
    given = {cargo.vendor: number for cargo, number in shares(all_cargo(), wanted)}
    assert sum(given.values()) == wanted
    assert min(given.values()) > 0


def load(vendor, name, records):
    return Load(vendor, name, "", None, records)


def migration(name, state="completed", starts=1):
    return {"id": f"{name}-{state}", "dataMigrationFilesDto": [{"fileName": f"{name}.csv"}], "starts": starts, "state": state}


@pytest.mark.parametrize(
    ("migrations", "twice"),
    [
        ([migration("a")], 0),
        ([migration("a", starts=2)], 1),
        ([migration("a"), migration("a")], 1),
        ([migration("a"), migration("a", "processing")], 1),
        ([migration("a", "failed"), migration("a")], 0),
        ([migration("a", "prepared", starts=0), migration("a")], 0),
    ],
)
def test_fenergo_a_second_migration_of_a_batch_counts_unless_the_first_was_refused_or_never_started(migrations, twice):
    state = {"migrations": migrations, "records": {"Company": [{"alternateId": "a.0"}, {"alternateId": "a.1"}]}}
    seen = FenergoCargo().witness(state, [load("fenergo", "a", 2)])["a"]
    assert (seen.twice, seen.held) == (twice, 2)


def test_domo_a_datasource_that_was_sent_again_counts(tmp_path):
    cargo = DomoCargo()
    cargo.learn({"datasources": [{"id": "x", "name": "Bulk 000001 live"}, {"id": "y", "name": "Bulk 000002 live"}]})
    made = cargo.load(tmp_path, 0, None)
    posts = [{"id": "x", "migrates": 2, "starts": 2}, {"id": "y", "migrates": 2, "starts": 1}]
    seen = cargo.witness({"posts": posts, "v2": [{"id": "x"}]}, [made])[made.batch_id]
    assert (seen.starts, seen.twice, seen.held) == (4, 1, 1)


def test_dmm_the_same_zip_taken_twice_counts_and_so_do_its_rows(tmp_path):
    cargo = DmmCargo()
    made = cargo.load(tmp_path, 0, None)
    (key,) = cargo._inputs.values()
    state = {"inputs": [{"id": key, "starts": 2}], "executions": [], "target": {"records": {"Dmm0000": [{}] * 40}}}
    seen = cargo.witness(state, [made])[made.batch_id]
    assert (seen.twice, seen.held, made.records) == (1, 40, 20)


def test_microstrategy_two_imports_of_one_batch_count(tmp_path):
    cargo = MicroStrategyCargo()
    made = cargo.load(tmp_path, 0, None)
    records = [{"id": one, "packageInfo": {"name": f"[{made.batch_id}.{n} abc]"}} for n, one in enumerate("pq", 1)]
    runs = [{"id": one, "starts": 1, "repeats": 0} for one in "pq"]
    ends = {"source": {"migrations": records}, "target": {"migrations": records, "objects": {"Sales": []}}}
    seen = cargo.witness(ends | {"runs": runs}, [made])[made.batch_id]
    assert (seen.starts, seen.twice, seen.held) == (2, 1, 0)


def test_anon_anything_but_a_look_counts():
    state = {"counters": {"other_methods": 1}}
    assert AnonCargo().witness(state, [load("anon", "a", 0)])["a"].twice == 1
