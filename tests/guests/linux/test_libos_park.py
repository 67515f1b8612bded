"""The one place that waits, with several threads parked at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.native import INT, S64, U64, Library, quick

FOREVER, EINTR, ETIMEDOUT, DEADLOCK, PARKED = -1, 4, 110, 1, 1

Waiting = tuple[int, int]
"""A deadline and what is wanted."""


@pytest.fixture(scope="session")
def park(native: Callable[[str], Library]) -> Library:
    """core/park.c."""
    return native("park")


def _wait(park: Library, deadline: int, want: int, *, in_host: bool = False, on: int = 0) -> int:
    return park("wait_for", S64, S64, U64, INT, INT)(deadline, want, in_host, on)


def _model(threads: list[Waiting], answers: list[int]) -> tuple[list[Waiting], list[int]]:
    """What the host is asked, and what each thread gets, until the first may go on."""
    asked: list[Waiting] = []
    got = [PARKED] * len(threads)
    now = 0
    while got[0] == PARKED:
        parked = [each for each, state in zip(threads, got, strict=True) if state == PARKED]
        deadline = min((when for when, _ in parked if when != FOREVER), default=FOREVER)
        want = 0
        for _, each in parked:
            want |= each
        if deadline == FOREVER and not want:
            return asked, [DEADLOCK, *got[1:]]
        ready = answers[len(asked)] & want
        asked.append((deadline, want))
        now = now if ready else max(now, deadline)
        for index, (when, each) in enumerate(threads):
            if got[index] == PARKED and each & ready:
                got[index] = 0
            elif got[index] == PARKED and when != FOREVER and now >= when:
                got[index] = -ETIMEDOUT
    return asked, got


waitings = st.tuples(st.sampled_from([FOREVER, FOREVER, 0, 5, 10, 20]), st.integers(0, 7))


@quick
@given(
    threads=st.lists(waitings, min_size=1, max_size=5),
    answers=st.lists(st.integers(0, 7), min_size=10, max_size=10),
)
def test_one_hypercall_for_all(park: Library, threads: list[Waiting], answers: list[int]) -> None:
    """The earliest deadline and whatever anybody wants; each is woken by what is its own."""
    answers = [*answers, 7, 7, 7, 7, 7, 7]  # in the end all of it is ready
    park("start", None, U64)(len(threads))
    for turn, ready in enumerate(answers):
        park("answer", None, U64, U64)(turn, ready)
    for index, (deadline, want) in enumerate(threads[1:], 1):
        park("parked", None, U64, S64, U64)(index, deadline, want)
    asked, expected = _model(threads, answers)
    got = [_wait(park, *threads[0])]
    got += [park("woken", S64, U64)(index) for index in range(1, len(threads))]
    assert got == expected
    assert [
        (park("deadline_asked", S64, U64)(turn), park("want_asked", U64, U64)(turn))
        for turn in range(park("times_asked", U64)())
    ] == asked


def test_a_read_that_waits_in_the_host(park: Library) -> None:
    """Nobody else could run: no hypercall before it.  With another thread there is one."""
    park("start", None, U64)(1)
    assert (_wait(park, FOREVER, 1, in_host=True), park("times_asked", U64)()) == (0, 0)
    park("start", None, U64)(2)
    park("answer", None, U64, U64)(0, 1)
    assert (_wait(park, FOREVER, 1, in_host=True), park("times_asked", U64)()) == (0, 1)


def test_a_signal_comes_first(park: Library) -> None:
    """A thread with a signal to take does not wait, and a deadlock is none then."""
    park("start", None, U64)(1)
    park("interrupt", None)()
    for deadline, want in ((FOREVER, 0), (FOREVER, 1), (5, 0)):
        assert _wait(park, deadline, want) == -EINTR
    assert park("times_asked", U64)() == 0


OTHER, ALARM, ANY = range(3)
"""What a thread waits on."""


def _alarm(park: Library, at: int, busy: int = 0, then: int = 0) -> None:
    park("alarm", None, S64, S64, S64)(at, busy, then)


@pytest.mark.parametrize("on", [ALARM, ANY])
def test_an_alarm_joins_the_wait(park: Library, on: int) -> None:
    """The host is asked to return for it, and who waits on it looks again; the rest waits on."""
    park("start", None, U64)(2)
    park("parked", None, U64, S64, U64)(1, FOREVER, 0)
    _alarm(park, 7)
    assert _wait(park, 50, 0, on=on) == 0
    assert (park("deadline_asked", S64, U64)(0), park("times_asked", U64)()) == (7, 1)
    assert (park("rang", S64)(), park("slept", S64)(), park("woken", S64, U64)(1)) == (7, 7, PARKED)


def test_an_alarm_that_wakes_nobody(park: Library) -> None:
    """The wait goes on, with the next one; when none is left it is a deadlock as before."""
    park("start", None, U64)(1)
    _alarm(park, 7, then=9)
    assert _wait(park, FOREVER, 0, on=OTHER) == DEADLOCK
    asked = [park("deadline_asked", S64, U64)(turn) for turn in range(2)]
    assert (asked, park("times_asked", U64)()) == ([7, 9], 2)


def test_an_alarm_of_busy_time(park: Library) -> None:
    """Sleep does not bring it nearer: it is no reason to return, and does not ring."""
    park("start", None, U64)(1)
    _alarm(park, 0, busy=3)
    assert _wait(park, 20, 0) == -ETIMEDOUT
    assert (park("deadline_asked", S64, U64)(0), park("rang", S64)()) == (20, 0)


def test_an_alarm_during_a_read(park: Library) -> None:
    """A read does not wait in the host while something else may happen."""
    park("start", None, U64)(1)
    _alarm(park, 7)
    park("answer", None, U64, U64)(0, 0)
    park("answer", None, U64, U64)(1, 1)
    assert _wait(park, FOREVER, 1, in_host=True) == 0
    assert park("times_asked", U64)() == 2
