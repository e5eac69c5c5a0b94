"""Anon, with people who begin, stall and come back by hand: the list wakes the DAG, and a triggerer that dies loses nothing.

One story is lived through once; what each test asserts was seen in it.
"""

from collections import Counter

import pytest

from ferry.ledger.entries import Kind, Verdict

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real"), pytest.mark.timeout(600)]
WAITS, ASKED, DONE, LATE = "waits-for-login", "asked-for-more", "done-meanwhile", "begun-meanwhile"


class Organisation:
    """The people of the sandbox, and what became of their migrations."""

    def __init__(self, ferry):
        self.ferry, self.box = ferry, ferry.boxes["people"]

    def begin(self, *refs):
        for ref in refs:
            self.box.ask("POST", "/anon/records", json={"story": "forgets", "id": ref})

    def does(self, ref, *acts):
        for act in acts:
            self.box.ask("POST", f"/anon/people/{ref}", json={"does": act})

    def run(self, ref):
        """The DAG run of a migration, once Ferry has found it by itself."""
        return self.ferry.found(f"{ref}.1", "watch_anon")

    def waiting(self, ref):
        self.run(ref).until("await_run", "deferred")

    def told(self, ref, word):
        """Wait until somebody was told that a migration stands so."""
        self.ferry.stack.wait_for(
            lambda: (ref, word) in self.ferry.notices.heard, f"somebody to be told of {ref}", 240, every=1.0
        )

    def last(self, ref):
        last = self.ferry.ledger.standing("anon", self.box.url.removeprefix("http://"), ref).last
        assert last is not None
        return last

    @property
    def counters(self):
        return self.box.ask("GET", "/anon/state", params={"migrations": "none"})["counters"]


@pytest.fixture(scope="module")
def lived(ferry):
    """Three people begin; the triggerer is killed; one finishes, one is asked for more, a fourth begins; then it comes back."""
    people = Organisation(ferry)
    people.begin(WAITS, ASKED, DONE)
    for ref in (WAITS, ASKED, DONE):
        people.waiting(ref)
        people.told(ref, "NOT_STARTED")
    ferry.stack.kill("triggerer")
    people.does(DONE, "login", "finish")
    people.does(ASKED, "login", "ask")
    people.begin(LATE)
    ferry.stack.start_service("triggerer")
    assert people.run(DONE).end() == "success"
    people.told(ASKED, "PENDING_USER_INPUT")
    people.told(LATE, "NOT_STARTED")
    seen = {"walks": people.counters["list_calls"], "looks": people.counters["get_calls"], "heard": list(ferry.notices.heard)}
    for ref in (WAITS, LATE):
        people.does(ref, "login", "finish")
    people.does(ASKED, "supply", "finish_with_failures")
    ends = {ref: people.run(ref).end() for ref in (WAITS, ASKED, LATE)}
    return people, seen, ends


def test_nothing_that_happens_while_no_triggerer_lives_is_missed(lived):
    people, _, ends = lived
    assert ends == {WAITS: "success", ASKED: "failed", LATE: "success"}
    verdicts = {ref: people.last(ref).verdict for ref in (WAITS, ASKED, DONE, LATE)}
    assert verdicts == {WAITS: Verdict.BALANCED, ASKED: Verdict.UNBALANCED, DONE: Verdict.BALANCED, LATE: Verdict.BALANCED}


def test_nothing_is_settled_twice(lived):
    people, _, _ = lived
    for ref in (WAITS, ASKED, DONE, LATE):
        entries = people.ferry.ledger.of_batch("anon", people.box.url.removeprefix("http://"), ref)
        assert [entry.kind for entry in entries].count(Kind.VERDICT) == 1, ref
        assert len([entry for entry in entries if (entry.step, entry.kind) == ("find_run", Kind.ADOPTED)]) == 1, ref
    assert people.ferry.ledger.verify("anon") == []


def test_nobody_is_told_twice_of_one_state(lived):
    people, seen, _ = lived
    expected = {
        (WAITS, "NOT_STARTED"),
        (ASKED, "NOT_STARTED"),
        (ASKED, "PENDING_USER_INPUT"),
        (DONE, "NOT_STARTED"),
        (LATE, "NOT_STARTED"),
    }
    assert Counter(seen["heard"]) == dict.fromkeys(expected, 1)
    assert Counter(people.ferry.notices.heard) == dict.fromkeys(expected, 1)


def test_all_who_wait_share_one_walk_and_nobody_asks_by_id(lived):
    """Each is asked for by its id once, when it is adopted; the walks of four who wait for minutes are those of one."""
    _, seen, _ = lived
    assert seen["looks"] == 4
    assert seen["walks"] > 0


def test_the_vendor_is_sent_nothing_but_get(lived):
    people, _, _ = lived
    assert people.counters["other_methods"] == 0
    methods = {asked["method"] for asked in people.box.ask("GET", "/requests", params={"vendor": "anon"})}
    assert methods == {"GET"}
