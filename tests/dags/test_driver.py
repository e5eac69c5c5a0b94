"""The driver against `dag.test()`: the same states, the same ledger, the same requests. What it says elsewhere rests on this."""

import re
import shutil
from collections import Counter

import pytest
from organisation import WATCH

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


def ledger_of(house, batch_id):
    """What a journey wrote, without what differs from run to run: times, ids, looks; uploads run side by side."""
    entries = [entry for entry in house.standing(batch_id).entries if entry.kind != "look"]
    facts = [(e.step, str(e.kind), e.key, e.word, str(e.state), str(e.verdict), tuple(e.counts.items())) for e in entries]
    uploads = [fact for fact in facts if fact[0] == "upload_batch"]
    return [fact for fact in facts if fact not in uploads], sorted(uploads)


def asked_of(house, since):
    """What the vendor was sent: how often each command, and which questions at all (a wait asks as often as it likes)."""
    log = house.control("GET", "/requests", params={"since": since})
    lines = [f"{seen['method']} {ID.sub('ID', seen['path'])} {seen['status']}" for seen in log]
    commands = Counter(line for line in lines if not line.startswith("GET") and "token" not in line)
    return commands, {line for line in lines if line.startswith("GET")}


@pytest.mark.parametrize(("kind", "state"), [("good", "success"), ("clients-refused", "failed")])
def test_the_driver_does_what_airflow_does(house, request, kind, state):
    times = 2 if state == "success" else 1  # a balanced batch is left alone; a refused one would be sent again
    folders = [house.batch(kind) if kind == "good" else house.demo_batch(kind)]
    folders.append(shutil.copytree(folders[0], folders[0].with_name("twin")))
    ended = [house.play("migrate_fenergo", batch_id=folders[0].name) for _ in range(times)]
    theirs = asked_of(house, 0)
    since = len(house.control("GET", "/requests"))

    driver = request.getfixturevalue("driver")
    played = [driver.play("migrate_fenergo", batch_id="twin") for _ in range(times)]
    assert [run.state for run in played] == [str(run.state) for run in ended] == [state] * times
    assert [run.states for run in played] == [house.states(run) for run in ended]
    assert ledger_of(house, "twin") == ledger_of(house, folders[0].name)
    assert asked_of(house, since) == theirs


def test_it_does_so_too_where_a_task_that_waits_wakes_to_tell_a_person_and_waits_on(house, organisation, request, monkeypatch):
    people = f"{house.sandbox}/_sandbox/anon/people/{{{{ migration.id }}}}"
    organisation.notify(monkeypatch, "ActingNotifier", people=people)
    for batch_id in ("mine", "twin"):
        organisation.batch(batch_id, migration=organisation.begin("forgets"))
    ended = house.play(WATCH, batch_id="mine")
    run = request.getfixturevalue("driver").play(WATCH, batch_id="twin")
    assert (run.state, str(ended.state)) == ("success", "success"), run.messages
    assert run.states == house.states(ended)
    facts = [
        [(one.step, one.kind, one.word, one.state, one.verdict, one.counts) for one in organisation.last(batch_id).entries]
        for batch_id in ("mine", "twin")
    ]
    assert facts[0] == facts[1]
    assert [step for step, *_ in facts[0]].count("tell_person") == 2
    assert organisation.told == ["NOT_STARTED, reminder False"] * 2
    organisation.holds("mine", "twin")
