"""How the host waits: it looks in a row of small calls, and leaves that where it is in vain."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from limpet import SandboxSnapshot
from limpet.contract import Backend
from limpet.sandbox import waiting
from limpet.sandbox.waiting import Waits

FAR = 300_000_000
"""Nanoseconds: whatever else runs, what is asked below has answered by then."""


class Asked:
    """A process that says what it is told, and how it was waited for."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(["cat"], stdin=pipe, stdout=pipe, bufsize=0)
        assert self.process.stdout
        self._poll = select.poll()
        self._poll.register(self.process.stdout, select.POLLIN)
        self.waits = Waits(self.process.pid)
        self.looks: list[float | None] = []

    def poll(self, patience: float | None) -> list[tuple[int, int]]:
        self.looks.append(patience)
        return self._poll.poll(patience)

    def slept(self, patience: float | None = None, *, word: bytes = b"1") -> bool:
        """Whether somebody slept until the answer to a word came."""
        assert self.process.stdin and self.process.stdout
        self.looks.clear()
        self.process.stdin.write(word)
        found = self.waits.wait(self, patience)  # type: ignore[arg-type]
        assert found == ([(self.process.stdout.fileno(), select.POLLIN)] if word else [])
        assert not found or self.process.stdout.read(1) == word
        return any(each != 0 for each in self.looks)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """One for whom every answer comes soon."""
    monkeypatch.setattr(waiting, "SOON", FAR)
    made = Asked()
    yield made
    made.process.kill()
    made.process.communicate()


def test_in_a_row(asked: Asked) -> None:
    """The first is waited for asleep, and the next ones are not; who only looks never sleeps."""
    assert [asked.slept() for _ in range(20)] == [True] + [False] * 19
    assert asked.waits.wait(asked, 0) == [] and asked.looks[-1] == 0  # type: ignore[arg-type]
    time.sleep(FAR * 1.1 / 1e9)
    assert asked.slept() and not asked.slept()


def test_in_vain(asked: Asked) -> None:
    """It is looked for no longer than that, and then not for a while."""
    assert asked.slept() and not asked.slept()
    before = time.thread_time()
    assert asked.slept(1, word=b"") and 0 in asked.looks
    assert time.thread_time() - before < 2 * FAR / 1e9
    for pause in (1, 2, 4):
        assert asked.waits._pause == 2_000_000 * pause
        asked.waits._again += FAR  # as if it were longer
        assert asked.slept() and 0 not in asked.looks
        asked.waits._again = 0
        assert not asked.slept()
        assert asked.slept(1, word=b"")
    asked.waits._again = 0
    assert asked.slept() is False
    assert not any(asked.slept() for _ in range(waiting._ENOUGH))
    assert asked.waits._pause == waiting._LEAST


def test_who_is_not_alone(asked: Asked) -> None:
    """Where another waits as well, nobody looks: the processors have guests to run."""
    other = Asked()
    assert asked.slept() and not asked.slept()
    thread = threading.Thread(target=other.waits.wait, args=(other, None))
    thread.start()
    try:
        while not waiting._waiting:
            time.sleep(0.001)
        assert [asked.slept() for _ in range(3)] == [True] * 3
    finally:
        other.process.kill()
        thread.join()
        other.process.communicate()
    assert not asked.slept()


def test_where_a_guest_may_run(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is put on another processor once, and may run where it might before."""
    allowed = os.sched_getaffinity(asked.process.pid)
    if len(allowed) < 2:
        pytest.skip("one processor")
    real, put = os.sched_setaffinity, list[tuple[int, set[int]]]()

    def put_on(pid: int, processors: set[int]) -> None:
        put.append((pid, processors))
        real(pid, processors)

    monkeypatch.setattr(os, "sched_setaffinity", put_on)
    for _ in range(9):
        asked.slept()
    assert [pid for pid, _ in put] == [asked.process.pid] * 2
    assert len(put[0][1]) == len(allowed) - 1 and put[1][1] == allowed
    assert os.sched_getaffinity(asked.process.pid) == allowed


HEEDS = """
import signal, sys, threading, time
import limpet

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored behind `&`
prepared = limpet.Sandbox.prepare(backend=sys.argv[1])

def soon(): time.sleep(1); signal.pthread_kill(threading.get_ident(), signal.SIGINT)

def waits(what):
    threading.Thread(target=soon).start()
    try: what()
    except KeyboardInterrupt: print("heard", flush=True)

with prepared.start() as sandbox:
    waits(lambda: sandbox.run("while True: pass"))
with limpet.Pool(prepared, min=1, max=1) as pool:
    busy = threading.Thread(target=lambda: pool.use(lambda sandbox: time.sleep(9)))
    busy.start()
    time.sleep(0.2)
    waits(lambda: pool.run("print(1)"))
    print(busy.is_alive(), flush=True)
"""


def test_a_signal_that_another_thread_takes(snapshot: SandboxSnapshot, backend: Backend) -> None:
    """Python notes it there, and who waits is not woken: it looks by itself."""
    done = subprocess.run(
        [sys.executable, "-c", HEEDS, backend], stdout=subprocess.PIPE, timeout=300, check=True
    )
    assert done.stdout == b"heard\nheard\nTrue\n"
