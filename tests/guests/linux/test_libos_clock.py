"""The library OS's clocks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.native import EINVAL, S64, U64, Library, quick


@pytest.fixture(scope="session")
def clock(native: Callable[[str], Library]) -> Library:
    """parts/clock."""
    return native("clock")


SECOND = 10**9

U64_MAX = (1 << 64) - 1

start_arguments = (None, U64, U64, U64)

u64s = st.one_of(st.integers(0, U64_MAX), st.integers(0, 64).map(lambda n: (1 << n) - 1))


@settings(quick, max_examples=500)
@given(nanoseconds=u64s, elapsed=u64s, tick=u64s)
def test_rate(clock: Library, nanoseconds: int, elapsed: int, tick: int) -> None:
    """A rate is exact to 32 binary places, or refused; no division can overflow."""
    rate = clock("rate", U64, U64, U64)(nanoseconds, elapsed)
    exact = (nanoseconds << 32) // elapsed if elapsed else 0
    assert rate == (exact if exact < 1 << 64 else 0)
    if rate:
        most = clock("renewed_after", U64)()
        assert most == (SECOND << 32) // rate
        count = tick % (most + 1)
        ns = clock("in_nanoseconds", U64, U64)(count)
        assert ns == count * rate >> 32 <= SECOND
        assert ns <= clock("in_nanoseconds", U64, U64)(count + 1)


@pytest.mark.parametrize("khz", [1, 1000, 1_000_000, 2_999_999, 6_000_001, 10**9])
def test_rates_of_processors(clock: Library, khz: int) -> None:
    """A second is a second, to a few nanoseconds, at every rate there is."""
    clock("rate", U64, U64, U64)(1_000_000, khz)
    ticks = min(khz * 1000, clock("renewed_after", U64)())
    assert abs(clock("in_nanoseconds", U64, U64)(ticks) - ticks * 10**6 // khz) <= 1 + (ticks >> 32)


def test_a_guest_that_goes_on_asks_once(clock: Library) -> None:
    """Of the first answer of a host is the clock that goes on, and the time of day there."""
    clock("start", *start_arguments)(1_000_000, 5 * SECOND, 9 * SECOND)
    before = clock("after", U64, U64)(SECOND // 2)
    clock("renew", None, U64, U64)(100 * SECOND, 200 * SECOND)
    assert before <= clock("after", U64, U64)(0) < before + SECOND // 10
    assert 200 * SECOND <= clock("realtime", U64)() < 201 * SECOND
    assert clock("times_asked", U64)() == 2


def test_a_guest_that_goes_on_asks_when_it_has_to(clock: Library) -> None:
    """What passes since then is told by the TSC; the time of day, and a wait, are the host's."""
    clock("start", *start_arguments)(1_000_000, 5 * SECOND, 9 * SECOND)
    before = clock("after", U64, U64)(0)
    clock("renew", None, U64, U64)(100 * SECOND, 200 * SECOND)
    passed = clock("behind_the_moment", U64, U64)(SECOND // 2) - before
    assert SECOND // 2 <= passed < SECOND
    assert clock("times_asked", U64)() == 1
    assert 200 * SECOND <= clock("realtime", U64)() < 201 * SECOND
    assert SECOND // 2 <= 100 * SECOND - clock("host_is_ahead", U64)() - before < SECOND
    assert clock("times_asked", U64)() == 2


def test_a_guest_that_goes_on_waits_by_the_hosts_clock(clock: Library) -> None:
    """Also where it asks for nothing else before, of a host that has started again since."""
    clock("start", *start_arguments)(1_000_000, 500 * SECOND, 900 * SECOND)
    clock("after", U64, U64)(0)
    clock("renew", None, U64, U64)(5 * SECOND, 990 * SECOND)
    assert clock("sleep", S64, S64, S64, S64, S64)(1, 0, 1, 0) == 0
    assert 5 * SECOND < clock("longest_wait", S64)() < 7 * SECOND


def test_processor_time_begins_where_a_guest_goes_on(clock: Library) -> None:
    """Not where it first asks."""
    clock("start", *start_arguments)(1_000_000, 5 * SECOND, 9 * SECOND)
    clock("after", U64, U64)(0)
    clock("renew", None, U64, U64)(100 * SECOND, 200 * SECOND)
    before = clock("busy", U64)()
    clock("behind_the_moment", U64, U64)(SECOND // 2)
    assert SECOND // 3 < clock("busy", U64)() - before < SECOND


def test_a_guest_without_a_rate_asks_at_once(clock: Library) -> None:
    """A process is not told one: nothing else says what passes."""
    clock("start", *start_arguments)(0, 5 * SECOND, 9 * SECOND)
    clock("after", U64, U64)(0)
    asked = clock("times_asked", U64)()
    clock("renew", None, U64, U64)(100 * SECOND, 200 * SECOND)
    assert clock("times_asked", U64)() == asked + 1


def test_a_guest_without_a_rate_asks_for_the_time_of_day_once(clock: Library) -> None:
    """Whoever looks at the clock soon again has it from before; later the host's may be another."""
    clock("start", *start_arguments)(0, 5 * SECOND, 1000 * SECOND)
    after, of_day = clock("after", U64, U64), clock("times_asked_of_day", U64)
    assert (after(0), of_day()) == (5 * SECOND, 1)
    clock("host_is", None, U64, U64)(5 * SECOND + 5, 1000 * SECOND + 5)
    assert (after(100), clock("times_asked", U64)(), of_day()) == (5 * SECOND + 5, 2, 1)
    assert clock("realtime", U64)() == 1000 * SECOND + 5
    clock("host_is", None, U64, U64)(5 * SECOND + 10, 2000 * SECOND)
    assert (after(SECOND), of_day()) == (5 * SECOND + 10, 2)
    assert clock("realtime", U64)() == 2000 * SECOND


def test_before_the_moment_the_time_of_day_is_behind(clock: Library) -> None:
    """By as much at each look, also where the host did not tell it again."""
    clock("start", *start_arguments)(0, 5 * SECOND, 1000 * SECOND)
    clock("is_behind", None, U64)(600 * SECOND)
    for passed in range(3):
        clock("host_is", None, U64, U64)(5 * SECOND + passed, 1000 * SECOND + passed)
        clock("after", U64, U64)(100)
        assert clock("realtime", U64)() == 400 * SECOND + passed
    assert clock("times_asked_of_day", U64)() == 1


answers = st.lists(st.tuples(st.integers(0, 1 << 62), u64s), max_size=20)


@quick
@given(khz=st.sampled_from([0, 1, 2_400_000, 5_000_000, U64_MAX]), answers=answers)
def test_time_never_runs_back(clock: Library, khz: int, answers: list[tuple[int, int]]) -> None:
    """Whatever the host and the TSC do."""
    clock("start", *start_arguments)(khz, 5 * SECOND, 9 * SECOND)
    last = 0
    for host, elapsed in answers:
        clock("host_is", None, U64, U64)(host, host + 7)
        now = clock("after", U64, U64)(elapsed)
        assert now >= last
        last = now


def test_host_is_asked_once_a_second(clock: Library) -> None:
    """Between answers the TSC counts; after a second's worth of it the host is asked."""
    clock("start", *start_arguments)(2_000_000, 5 * SECOND, 1000 * SECOND)
    after, asked = clock("after", U64, U64), clock("times_asked", U64)
    assert after(0) == 5 * SECOND
    half = after(1_000_000_000)
    assert 0 <= half - 5 * SECOND - SECOND // 2 < 10**7
    assert asked() == 1
    assert 0 <= clock("realtime", U64)() - (995 * SECOND + half) < 10**7
    clock("host_is", None, U64, U64)(8 * SECOND, 1003 * SECOND)
    assert (after(2_100_000_000), asked()) == (8 * SECOND, 2)
    assert (after(-SECOND), asked()) == (8 * SECOND, 3)  # the TSC of another processor is behind


REALTIME, MONOTONIC, ABSOLUTE = 0, 1, 1


@pytest.mark.parametrize(
    ("which", "flags", "seconds", "until"),
    [
        (MONOTONIC, 0, 3, 8),
        (MONOTONIC, ABSOLUTE, 30, 30),
        (MONOTONIC, ABSOLUTE, 2, 5),
        (REALTIME, ABSOLUTE, 1010, 15),
        (REALTIME, ABSOLUTE, 999, 5),
        (REALTIME, ABSOLUTE, 0, 5),
        (MONOTONIC, 0, 1 << 40, 1 << 31),
        (MONOTONIC, ABSOLUTE, (1 << 63) - 1, 1 << 31),
        (REALTIME, ABSOLUTE, (1 << 63) - 1, 1 << 31),
    ],
)
def test_sleep(clock: Library, which: int, flags: int, seconds: int, until: int) -> None:
    """Sleep ends when it should: what is past at once, what is absurdly far some time."""
    clock("start", *start_arguments)(2_000_000, 5 * SECOND, 1000 * SECOND)
    assert clock("sleep", S64, S64, S64, S64, S64)(which, flags, seconds, 0) == 0
    assert clock("longest_wait", S64)() >= 0
    now = clock("after", U64, U64)(0)
    assert now >= until * SECOND
    assert now < until * SECOND + 10**7 or seconds >= 1 << 40


def test_sleep_refuses(clock: Library) -> None:
    """What Linux calls invalid is."""
    sleep = clock("sleep", S64, S64, S64, S64, S64)
    for seconds, nanoseconds in ((-1, 0), (0, -1), (0, SECOND)):
        assert sleep(MONOTONIC, 0, seconds, nanoseconds) == -EINVAL
    assert sleep(99, 0, 0, 0) == -EINVAL
