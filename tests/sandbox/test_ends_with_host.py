"""Guests end with the program that started them, and not with its threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from limpet import Sandbox
from limpet.contract import Backend

HOST = """
import sys, threading, time
import limpet
from limpet.sandbox import instance

pids, begin = [], instance.Instance.__init__

def noted(self, *given, **named):
    begin(self, *given, **named)
    pids.append(self.pid)

def busy(number: int) -> int:
    while True:
        number += 1

instance.Instance.__init__ = noted
backend, way = sys.argv[1:]
ways = {"connect": ["127.0.0.1:9"]} if way == "alone" else {}
prepared = limpet.Sandbox.prepare(backend=backend, **ways)
pids.clear()
if way == "pool":
    pool = limpet.Pool(prepared, min=2, max=3)
    executor = limpet.SandboxExecutor(pool)
    calls = [executor.submit(busy, each) for each in range(3)]
else:
    for each in (prepared.start(), prepared.start()):
        threading.Thread(target=each.run, args=["while True: pass"]).start()
    made = []
    another = threading.Thread(target=lambda: made.append(prepared.start()))
    another.start()
    another.join()
    threading.Thread(target=made[0].run, args=["while True: pass"]).start()
while len(pids) < 3:
    time.sleep(0.01)
print(*pids, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("way", ["pool", "singly", "alone"])
def test_a_host_that_is_killed(
    sandbox: Sandbox, backend: Backend, way: str, tmp_path: Path
) -> None:
    """Nothing of it is there a second later, whatever computes; SIGKILL lets nobody clean up."""
    (tmp_path / "host.py").write_text(HOST)
    words = [sys.executable, str(tmp_path / "host.py"), backend, way]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as host:
        try:
            assert host.stdout
            pids = [int(each) for each in host.stdout.readline().split()]
            assert len(pids) == 3
            before = [_computed(each) for each in pids]
            time.sleep(3)
            assert all(map(int.__lt__, before, map(_computed, pids)))
        finally:
            host.kill()
    end = time.monotonic() + 1
    while left := [each for each in pids if _is_there(each)]:
        if time.monotonic() > end:
            for each in left:
                os.kill(each, 9)
            raise AssertionError(left)
        time.sleep(0.01)


def test_a_thread_that_ends(sandbox: Sandbox, backend: Backend) -> None:
    """A sandbox that it has started goes on."""
    made: list[Sandbox] = []
    thread = threading.Thread(target=lambda: made.append(Sandbox(backend=backend)))
    thread.start()
    thread.join()
    with made[0] as started:
        time.sleep(0.1)
        assert started.run("1 + 1").value
        assert started.alive


def test_a_host_that_was_gone_before(sandbox: Sandbox, backend: Backend) -> None:
    """Who starts without anybody at the other end of its line ends at once."""
    bundle = sandbox._there().bundle
    reads, writes = os.pipe()
    os.close(writes)
    ended = subprocess.run([bundle], stdin=reads, capture_output=True, check=False, timeout=60)
    os.close(reads)
    assert (ended.returncode, ended.stderr) == (125, b"limpet: whoever started this has ended\n")


def _computed(pid: int) -> int:
    """Ticks of the kernel's, its virtual machine's included."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
        return sum(map(int, stream.read().rpartition(")")[2].split()[11:13]))


def _is_there(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
            return stream.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
