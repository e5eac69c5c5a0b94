import asyncio

import pytest

from sandbox.clock import Clock
from sandbox.machine import Machine, Transition
from sandbox.switches import BadSwitchError, Switch, Switches


def stopped_clock() -> Clock:
    clock = Clock()
    clock.run_at(0)
    return clock


def test_without_conditions_a_machine_moves_at_once():
    machine = Machine(stopped_clock(), "a", [Transition("a", "b"), Transition("b", "c")])
    assert machine.advance() == "c"


def test_by_looks_exactly_so_many_looks_see_the_old_state():
    machine = Machine(stopped_clock(), "a", [Transition("a", "b", looks=3)])
    assert [machine.look() for _ in range(5)] == ["a", "a", "a", "b", "b"]


def test_by_time_changes_fall_due_when_they_should_not_when_somebody_looks():
    clock, seen = stopped_clock(), []
    start = clock.now()
    steps = [Transition("a", "b", seconds=10), Transition("b", "c", seconds=5)]
    machine = Machine(clock, "a", steps, lambda state, at: seen.append((state, round(at - start))))
    clock.advance(9)
    assert machine.advance() == "a"
    clock.advance(100)
    assert machine.advance() == "c"
    assert seen == [("b", 10), ("c", 15)]


def test_a_guard_holds_a_transition_back():
    ready: list[int] = []
    machine = Machine(stopped_clock(), "a", [Transition("a", "b", when=lambda: bool(ready))])
    assert machine.advance() == "a"
    ready.append(1)
    assert machine.advance() == "b"


def test_a_sleeper_wakes_when_the_clock_jumps():
    async def sleep_an_hour() -> float:
        clock = stopped_clock()
        began = clock.now()
        sleeper = asyncio.create_task(clock.sleep_until(began + 3600))
        await asyncio.sleep(0)
        clock.advance(1800)
        await asyncio.sleep(0)
        assert not sleeper.done()
        clock.advance(1800)
        await sleeper
        return clock.now() - began

    assert asyncio.run(sleep_an_hour()) == pytest.approx(3600)


@pytest.mark.parametrize(
    ("value", "fits"), [(True, False), (3, True), (2.5, True), ("3", False), (-1, False), (None, False), ([], False)]
)
def test_a_number_switch_takes_numbers_only(value, fits):
    switches = Switches([Switch("pace", 1.0, "how fast")])
    if fits:
        switches.set({"pace": value})
        assert switches.number("pace") == value
    else:
        with pytest.raises(BadSwitchError, match="'pace'"):
            switches.set({"pace": value})


@pytest.mark.parametrize(
    ("switch", "text", "value"),
    [
        (Switch("a", default=False, description=""), "yes", True),
        (Switch("a", 1, ""), "20", 20),
        (Switch("a", 1.0, ""), "0.5", 0.5),
        (Switch("a", "x", "", ("x", "y")), "y", "y"),
    ],
)
def test_the_command_line_is_read_in_the_switch_s_type(switch, text, value):
    assert switch.parsed(text) == value


@pytest.mark.parametrize(("default", "text"), [(False, "maybe"), (1, "many"), (1.0, "fast"), (1, "-1")])
def test_nonsense_on_the_command_line_is_refused(default, text):
    with pytest.raises(BadSwitchError, match="'a' takes"):
        Switch("a", default, "").parsed(text)
