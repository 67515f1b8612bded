"""Snapshots of bundles for both backends: taken on one, they go on on either."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

import limpet
from limpet.audit.verify import verify
from limpet.contract import Backend
from limpet.running.snapshot import Snapshot, _command, snapshot
from tests.support import SUPPORT
from tests.support.bundles import Maker, Ran
from tests.support.without_kvm import without_kvm

pytestmark = pytest.mark.kvm
PYTHON = Path("/usr/bin/python3")
EITHER: tuple[Backend, Backend] = ("kvm", "process")
On: TypeAlias = Callable[[Sequence[str | Path]], list[str | Path]]
ON: dict[Backend, On] = {"kvm": list, "process": without_kvm}
"""How a command is started so that a bundle of both is that."""


def taken(
    guest: limpet.Guest, on: Backend, words: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> Snapshot:
    """A snapshot for both, of a guest that ran there."""
    with monkeypatch.context() as patched:
        patched.setattr("limpet.running.snapshot._command", lambda *given: ON[on](_command(*given)))
        options = limpet.Options(backends=EITHER, snapshot=True, memory=64 << 20)
        return snapshot(limpet.plan(guest, options), words)


def starts(path: Path, on: Backend, stdin: bytes = b"\n") -> Iterator[Ran]:
    """One on each: a virtual machine may have a lesser processor than the process that stopped."""
    for each in EITHER:
        command = ON[each]([path])
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)
        lesser = b"was stopped on a processor that can more than this one" in done.stderr
        assert not lesser or (on, each, done.returncode) == ("process", "kvm", 125)
        if not lesser:
            yield Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("on", EITHER)
def test_memory_threads_and_timers(
    make: Maker, on: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a program is as on Linux, wherever it goes on, with other random numbers each time."""
    source = (SUPPORT / "programs" / "moment.c").read_text(encoding="utf-8")
    program = make.compile(source, "moment", "-lpthread")
    native = subprocess.run([program, "x"], input=b"some\n", capture_output=True, check=False)
    found = taken(limpet.load(program), on, ["x"], monkeypatch)
    found.bundle.write(tmp_path / "again")
    random = set()
    for ran in starts(tmp_path / "again", on, b"some\n"):
        assert (ran.status, found.stdout + ran.stdout) == (5, native.stdout)
        random.add(ran.stderr.split()[1])
    assert on == "process" or len(random) == 2
    assert verify(tmp_path / "again").same


CODE = """
import ctypes, mmap, os, re, signal, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
at = libc.mmap(None, 1 << 20, 3, 0x22, -1, 0)
page = [ctypes.c_char_p(at + 4096 * each) for each in range(256)]
for each in range(4):
    ctypes.memset(at + 4096 * each, 65 + each, 8)
for each, rights in ((1, 1), (2, 0)):
    assert not libc.mprotect(ctypes.c_void_p(at + 4096 * each), 4096, rights)
away = libc.mmap(None, 1 << 30, 0, 0x4022, -1, 0)
libc.mprotect(ctypes.c_void_p(away), 1 << 16, 3)
ctypes.memset(away, 66, 1 << 16)
r, w = os.pipe()
ends = threading.Event()
def other():
    ends.wait()
    os.write(w, b"told")
threading.Thread(target=other).start()
began = time.monotonic()
sys.stdin.readline()
ends.set()
print(os.read(r, 9), page[0].value, page[1].value, ctypes.string_at(away + 65535, 1))
def kept(number, rights):
    with open("/proc/self/maps") as maps:
        for line in maps:
            low, high = (int(each, 16) for each in line.split()[0].split("-"))
            if low <= at + 4096 * number < high:
                return line.split()[1].startswith(rights)
print(kept(0, "rw"), kept(1, "r-"), kept(2, "--"), kept(3, "rw"))
assert not libc.mprotect(ctypes.c_void_p(at), 1 << 20, 3)
print(page[2].value, time.monotonic() - began < 60, abs(time.time() - float(sys.argv[1])) < 600)
began = time.monotonic()
time.sleep(0.05)
print(0.05 <= time.monotonic() - began < 30)
import sqlite3, decimal
print(decimal.Decimal(1) / 7, sqlite3.connect(":memory:").execute("select 6 * 7").fetchone())
sys.stdout.flush()
import faulthandler
faulthandler.enable()
ctypes.memset(at + 4096, 1, 1)
libc.mprotect(ctypes.c_void_p(at), 4096, 1)
ctypes.memset(at, 1, 1)
"""

SAID = b"""\
b'told' b'AAAAAAAA' b'BBBBBBBB' b'B'
True True True True
b'CCCCCCCC' True True
True
0.1428571428571428571428571429 (42,)
"""


@pytest.mark.parametrize("on", EITHER)
def test_python(on: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights of pages, reservations, threads and clocks, and objects that are loaded later."""
    made = taken(limpet.load(PYTHON), on, ["-c", CODE, str(time.time())], monkeypatch).bundle
    made.write(tmp_path / "again")
    for ran in starts(tmp_path / "again", on):
        assert ran.stdout == SAID, ran
        assert ran.status == 139 or b"Segmentation fault" in ran.stderr, ran


LEAVES = """
#include <stdio.h>
#include <sys/mman.h>
static char sealed[8192] __attribute__((aligned(4096)));
int main(void) {
    sealed[0] = 1;
    mprotect(sealed, 4096, PROT_READ);
    getchar();
    sealed[5000] = 2;
    puts("so far");
    fflush(stdout);
    *(volatile char *)sealed = 3;
    puts("it was written");
    return 0;
}
"""


@pytest.mark.parametrize("on", EITHER)
def test_what_was_sealed(
    make: Maker, on: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start asks for these rights again before the program goes on."""
    program = make.compile(LEAVES, "leaves", "-lpthread", compiler="gcc")
    made = taken(limpet.load(program), on, [], monkeypatch).bundle
    made.write(tmp_path / "again")
    for ran in starts(tmp_path / "again", on):
        assert ran.stdout == b"so far\n", ran
        assert ran.status == 139, ran
