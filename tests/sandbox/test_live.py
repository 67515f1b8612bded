"""Snapshots of a sandbox that runs: what is started from one goes on from all that there was."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from limpet import Pool, Sandbox
from limpet.errors import CodeRaised, Died, NeverRan, PlanError

HARD = """
import ctypes, mmap, os, queue, random, threading, time
import snapshot_restore_py as hooks

asked, told = queue.Queue(), queue.Queue()
def work():
    while True:
        told.put(asked.get() * 2)
threading.Thread(target=work, daemon=True).start()

shared = mmap.mmap(-1, 1 << 20)
shared[5000] = 7
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
guarded = libc.mmap(None, 1 << 20, 3, 0x22, -1, 0)
ctypes.memset(guarded, 65, 1 << 20)
libc.mprotect(ctypes.c_void_p(guarded), 4096, 0)
libc.mprotect(ctypes.c_void_p(guarded + 8192), 4096, 1)
reserved = libc.mmap(None, 1 << 30, 0, 0x4022, -1, 0)
libc.mprotect(ctypes.c_void_p(reserved), 1 << 16, 3)
ctypes.memset(reserved, 66, 1 << 16)
given_back = bytearray(b"x") * (30 << 20)
del given_back

log = []
hooks.register_before_snapshot(lambda: log.append("before"))
hooks.register_after_restore(lambda: log.append("after"))
open("/file", "w").write("content")
handle = open("/file")
handle.read(3)
"""

SEEN = """
asked.put(21)
zeros = not any(bytearray(20 << 20)[::997])
(told.get(timeout=20), shared[5000], ctypes.string_at(guarded + 4096, 2),
 ctypes.string_at(reserved + 65534, 2), zeros, list(log), handle.read(), add(1))
"""

MAPS = "open('/proc/self/maps').read()"

FORBIDDEN = (
    "ctypes.memset(guarded, 0, 1)",
    "ctypes.memset(guarded + 8192, 0, 1)",
    "ctypes.string_at(reserved + 70000)",
)


def value(sandbox: Sandbox, code: str) -> Any:
    """The value of code that goes well."""
    result = sandbox.run(code)
    assert result.value and result.value.is_data, result
    return result.value.data


def test_all_of_it(sandbox: Sandbox) -> None:
    """Threads, mappings, rights, files, hooks and functions of the host's; the first goes on."""
    assert sandbox.run(HARD).ok
    snapshot = sandbox.snapshot()
    maps = value(sandbox, MAPS)
    expected = [42, 7, b"AA", b"BB", True, ["before"], "tent", 2]
    assert list(value(sandbox, SEEN)) == expected
    expected[5] = ["before", "after"]
    with snapshot.start() as one, snapshot.start() as two:
        for each in (one, two):
            assert value(each, MAPS) == maps
            assert list(value(each, SEEN)) == expected
    for code in FORBIDDEN:
        with snapshot.start() as other, pytest.raises(Died):
            other.run(code)


def test_each_by_itself(sandbox: Sandbox) -> None:
    """What one does no other sees; random numbers and time are each one's own."""
    sandbox.run("import os, random, ssl, time\nfrom multiprocessing import current_process as own")
    sandbox.run("x = [ssl.RAND_bytes(1)]")  # which keeps a state in memory from then on
    made = sandbox.fork(2)
    secrets = "os.urandom(8), random.random(), ssl.RAND_bytes(8), bytes(own().authkey)"
    code = f"x.append(1); ({secrets}, time.time(), len(x))"
    values = [value(each, code) for each in (sandbox, *made)]
    for column in list(zip(*values, strict=True))[:4]:
        assert len(set(column)) == 3, column
    assert all(abs(each[4] - time.time()) < 60 and each[5] == 2 for each in values)
    for each in made:
        each.close()


def test_of_a_snapshot(sandbox: Sandbox) -> None:
    """One that was started from a snapshot can be kept, reset and pooled like any other."""
    sandbox.run("x = 1")
    with sandbox.snapshot().start() as second:
        second.run("x += 1\ndef f(): return x")
        later = second.snapshot()
        second.run("x = 9")
        second.reset()
        assert value(second, "x") == 1
    with Pool(later, 1, 1) as pool:
        assert pool.call("f") == pool.call("f") == 2


def test_no_count(sandbox: Sandbox) -> None:
    """What is no number of others is said before anything is kept."""
    for wrong in (-1, "2", 1.5, None):
        with pytest.raises(PlanError, match="is no number of sandboxes"):
            sandbox.fork(wrong)  # type: ignore[arg-type]
    assert sandbox.fork(0) == []


def test_a_hook_that_fails(sandbox: Sandbox) -> None:
    """It is said, and the sandbox lives on."""
    sandbox.run(
        "import snapshot_restore_py as hooks\nhooks.register_before_snapshot(lambda: 1 / 0)"
    )
    with pytest.raises(CodeRaised, match="ZeroDivisionError"):
        sandbox.snapshot()
    assert value(sandbox, "1") == 1


def test_memory_that_does_not_fit(sandbox: Sandbox) -> None:
    """A start that cannot go on says so, and nothing of it is left."""
    snapshot = sandbox.snapshot()
    memory = snapshot._prepared.memory
    assert memory
    before = os.listdir("/proc/self/fd")
    for address in (4096, 1 << 62):
        os.pwrite(memory._file, address.to_bytes(8, "little"), 0)
        with pytest.raises(NeverRan, match="does not go on"):
            snapshot.start()
    assert len(os.listdir("/proc/self/fd")) == len(before)
