"""Calls in a pool: each from the same state, none hurt by another, and bad ones told apart."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from functools import partial
from typing import TypeAlias

import pytest

import limpet
from limpet import Pool, Sandbox, SandboxExecutor, SandboxSnapshot, sandboxed
from limpet.contract import Backend
from limpet.errors import (
    CodeRaised,
    Died,
    Killed,
    MemoryLimit,
    NeverRan,
    OutputLimit,
    PlanError,
    TimeLimit,
)
from tests.support.children import children

LARGE = bool(os.environ.get("LIMPET_LARGE"))
CALLS = 10_000 if LARGE else 200
Square: TypeAlias = int
"""Nobody has to send what is only an annotation."""

BEHAVIOURS = {3: "crashes", 13: "loops", 23: "eats", 33: "floods"}
"""Of a hundred calls."""

EXPECTED = {"crashes": Died, "loops": TimeLimit, "eats": MemoryLimit, "floods": OutputLimit}


def behave(number: int, kind: str) -> Square:
    """What 1 of 100 calls each does wrong; the others find nothing of the calls before."""
    import os
    import sys

    assert not hasattr(sys, "left_behind") and not os.path.exists("/left_behind")
    sys.left_behind = number  # type: ignore[attr-defined]
    open("/left_behind", "w").close()
    if kind == "crashes":
        os.kill(os.getpid(), 11)
        os._exit(9)
    while kind == "loops":
        pass
    kept = []
    while kind == "eats":
        kept.append(bytes(1 << 24))
    while kind == "floods":
        print("x" * 10_000)
    return number * number


def test_good_and_bad_calls(snapshot: SandboxSnapshot) -> None:
    """Every good call is right, every bad one is told apart, and nothing is left."""
    before, others = set(os.listdir("/proc/self/fd")), children()
    snapshot._prepared.limits = type(snapshot._prepared.limits)(5, 0.5, 1 << 20)
    with Pool(snapshot, 2, 4) as pool, SandboxExecutor(pool) as executor:
        kinds = [BEHAVIOURS.get(number % 100, "good") for number in range(CALLS)]
        calls = [executor.submit(behave, *each) for each in enumerate(kinds)]
        wait(calls)
        found: Counter[str] = Counter()
        for number, (kind, call) in enumerate(zip(kinds, calls, strict=True)):
            error = call.exception()
            if kind == "good":
                assert call.result() == number * number
            elif kind == "loops":
                assert isinstance(error, limpet.errors.LimitReached)
            else:
                assert isinstance(error, EXPECTED[kind]), (kind, error)
            found[kind] += 1
        assert all(found[kind] == CALLS // 100 for kind in EXPECTED)
    assert children() <= others
    assert len(set(os.listdir("/proc/self/fd")) - before) < 3


def test_what_begins_anew_ends_too(snapshot: SandboxSnapshot) -> None:
    """Who has a sandbox may reset it: what is started then ends with the call, and computes no
    more."""
    others = children()

    def work(sandbox: Sandbox) -> None:
        sandbox.reset()
        sandbox.run("import threading\ndef f():\n    while True: pass")
        sandbox.run("threading.Thread(target=f, daemon=True).start()")

    with Pool(snapshot, 1, 1) as pool:
        pool.use(work)
    assert children() <= others


def test_given_back_to_none(snapshot: SandboxSnapshot) -> None:
    """What is given back to a pool that was closed meanwhile is taken away, too."""
    others, has, may_end = children(), threading.Event(), threading.Event()

    def work(sandbox: Sandbox) -> bool:
        has.set()
        return may_end.wait(30)

    with ThreadPoolExecutor(1) as threads:
        with Pool(snapshot, 1, 1) as pool:
            used = threads.submit(pool.use, work)
            assert has.wait(30)
        may_end.set()
        assert used.result()
    assert children() <= others


def test_calls_and_code(snapshot: SandboxSnapshot) -> None:
    """Directly, with errors carried over."""
    with Pool(snapshot, 1, 1) as pool:
        assert pool.call("len", [1, 2]) == 2
        assert pool.run("x = 1\nprint(x)").stdout == "1\n"
        error = pool.run("x").error
        assert error and error.type == "NameError"
        with pytest.raises(CodeRaised, match="ZeroDivisionError"):
            pool.call(divmod, 1, 0)
    with pytest.raises(NeverRan, match="closed"):
        pool.call("len", [])
    with pytest.raises(PlanError, match="a pool of 0"):
        Pool(snapshot, 0)


def test_cancelled(snapshot: SandboxSnapshot) -> None:
    """A call that waits is never made; one that runs is ended with its sandbox."""
    with Pool(snapshot, 1, 1) as pool:
        executor = SandboxExecutor(pool)
        runs, waits = executor.submit(time.sleep, 60), executor.submit(time.sleep, 60)
        while not runs.running():
            time.sleep(0.01)
        time.sleep(0.1)
        assert waits.cancel() and not runs.cancel()
        with pytest.raises(CancelledError):
            waits.result(20)
        with pytest.raises(Killed):
            runs.result(20)
        last = executor.submit(time.sleep, 60)
        while not last.running():
            time.sleep(0.01)
        executor.shutdown(cancel_futures=True)
        assert isinstance(last.exception(20), Killed)


def test_what_is_no_plain_function(snapshot: SandboxSnapshot) -> None:
    """An executor is given anything: it goes as a pickle, which the guest reads."""
    with Pool(snapshot, 1, 2) as pool, SandboxExecutor(pool) as executor:
        assert list(executor.map(partial(pow, 2), range(4))) == [1, 2, 4, 8]
        assert executor.submit(str.upper, "a").result() == "A"
        with pytest.raises(PlanError, match="cannot be pickled"):
            executor.submit(lambda: pool).result()


def test_decorated(snapshot: SandboxSnapshot, backend: Backend) -> None:
    """The function looks as it did, and is called in a guest."""
    assert snapshot  # so that it is made once

    @sandboxed(backend=backend, timeout=30, output=1 << 20)
    def where(start: int, *, step: int = 1) -> list[object]:
        """Said of it."""
        import os

        return [start + step, os.path.exists("/.limpet")]

    assert where.__name__ == "where" and where.__doc__ == "Said of it."
    assert where(1, step=2) == [3, True]
    with pytest.raises(CodeRaised, match="TypeError"):
        where("1")  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="argument cannot be sent"):
        where(object())  # type: ignore[arg-type]


@pytest.mark.skipif(not LARGE, reason="a thousand at once: LIMPET_LARGE=1")
def test_a_thousand_at_once(snapshot: SandboxSnapshot) -> None:
    """Each has random numbers of its own, and the right time."""
    code = "import os, random, time\n(os.urandom(16), random.random(), time.time())"
    sandboxes = [snapshot.start() for _ in range(1000)]
    try:
        values = [each.run(code).value for each in sandboxes]
    finally:
        for each in sandboxes:
            each.close()
    data = [each.data for each in values if each]
    assert len(data) == len({each[0] for each in data}) == len({each[1] for each in data}) == 1000
    assert all(abs(time.time() - each[2]) < 300 for each in data)
