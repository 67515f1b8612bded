"""A monitor takes its guest back: nothing of what it did is left, but for the time and chance."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import limpet
from limpet.audit.inspect import audit
from limpet.contract.hypercall import hypercalls
from limpet.contract.pages import PAGE
from limpet.errors import PlanError
from limpet.guests.linux.rewinding import with_rewind
from limpet.running.snapshot import snapshot
from tests.support import SUPPORT
from tests.support.bundles import KVM_PROBLEM, Maker, execute, once

pytestmark = pytest.mark.skipif(bool(KVM_PROBLEM), reason="*** NO KVM HERE: NOTHING GOES BACK ***")

PROGRAM = SUPPORT / "programs" / "rewound.c"
OPTIONS = limpet.Options(
    backends=("kvm",), snapshot=True, features=("rewind", "signals"), memory=128 << 20
)
FOUND = (
    "data 0 0 heap 0 mapped 0 mail 0 0 0 block 0 guarded 1 xmm 1111 2222 gs 3333 mxcsr 1f80 "
    "fcw 37f heard 0 threads 1 counter 0 timer 0 blocked 0 file 4 at 4 left -1 next 6\n"
)
END = bytes(8)
"""Behind the word."""

ANSWERS = {"a": 1, "b": 1, "f": 11 * PAGE // 8}
"""Of eight bytes, behind a word that says what is left."""

KNOWN = {
    "exit",
    "console_out",
    "console_in",
    "wait",
    "attend",
    "entropy",
    "tick",
    "protect",
    "place",
}
"""Hypercalls that leave nothing outside of a guest's memory but what is taken back too."""


def program(make: Maker) -> Path:
    """The guest."""
    flags = ("-lpthread", "-D_GNU_SOURCE", "-O1")
    return make.compile(PROGRAM.read_text(encoding="utf-8"), "rewound", *flags)


@pytest.fixture(scope="module")
def bundle(make: Maker) -> Path:
    """A snapshot of it that can be kept."""
    plan = limpet.plan(limpet.load(program(make)), OPTIONS)
    ports = [call.port for call in plan.hypercalls if call.name in ("attend", "console_in")]
    never_written = plan.layout.filter_copy("kvm") - PAGE  # where a process hears signals
    words = [*map(hex, reversed(ports)), hex(never_written)]

    def make_it(new: Path) -> None:
        snapshot(plan, words).bundle.write(new)

    return once(make.folder / "rewound.kvm", make_it)


@dataclass
class Guest:
    """One that is kept, and the other end of its standard input."""

    process: subprocess.Popen[str]
    line: socket.socket

    def finds(self) -> tuple[str, list[int]]:
        """What it says when it goes on: what there is, and chance, seconds, milliseconds."""
        assert self.process.stdout and self.process.stderr
        news = self.process.stderr.readline().split()
        return self.process.stdout.readline(), [int(news[0], 16), *map(int, news[1:])]


def _started(bundle: Path, line: socket.socket) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([bundle], stdin=line.fileno(), stdout=pipe, stderr=pipe, text=True)


@contextmanager
def kept(bundle: Path) -> Iterator[Guest]:
    """The guest, kept."""
    ours, theirs = socket.socketpair()
    with ours, _started(bundle, theirs) as run:
        theirs.close()
        ours.settimeout(60)
        try:
            assert ours.recv(16) == b"keep it\0" + END
            yield Guest(run, ours)
        finally:
            run.kill()


def test_nothing_is_found(bundle: Path) -> None:
    """An auditor reads all of the monitor's code, and knows each of its calls."""
    assert audit(bundle).findings == ()


def test_nothing_is_left(bundle: Path) -> None:
    """Memory, page tables, registers, threads, timers, handlers, files: as kept, however often."""
    with kept(bundle) as guest:
        seen = []
        for number, what in enumerate("..gfmrbfagmgwaa"):
            found, news = guest.finds()
            assert found == FOUND, what
            seen.append(news)
            word = f"{what}{number:07}".encode()
            guest.line.sendall(word + b"answered" * ANSWERS.get(what, 0))
            assert guest.line.recv(17) == (b"no word\0" if what == "w" else word) + END
        assert len({chance for chance, _, _ in seen}) == len(seen)


def test_clocks(bundle: Path) -> None:
    """Real time is the host's; the monotonic clock goes on from where it was kept."""
    with kept(bundle) as guest:
        _, first = guest.finds()
        time.sleep(2)
        guest.line.sendall(b"........")
        _, second = guest.finds()
    assert abs(second[1] - time.time()) < 60 and second[1] > first[1]
    assert second[2] - first[2] < 1500


def test_signals_of_before(bundle: Path) -> None:
    """What was sent to the guest as it was, and it has not taken, is not sent to it as it is."""
    with kept(bundle) as guest:
        pid = guest.process.pid
        assert guest.finds()[0] == FOUND
        os.kill(pid, signal.SIGSTOP)
        while Path(f"/proc/{pid}/stat").read_text().split()[2] != "T":
            time.sleep(0.01)
        guest.line.sendall(b"........")
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGWINCH):
            os.kill(pid, number)  # of which it takes one with the word
        os.kill(pid, signal.SIGCONT)
        assert guest.line.recv(17) == b"........" + END
        assert guest.finds()[0] == FOUND


def test_nobody_hears(bundle: Path) -> None:
    """Where its standard input is no socket, there is nobody who could know that it is back."""
    ran = execute(["rewound"], bundle)
    assert (ran.status, ran.stderr) == (3, b"not kept: Operation not permitted\n")


def test_what_cannot_be_taken_back(make: Maker) -> None:
    """State outside of memory is none that a monitor can bring back."""
    with pytest.raises(PlanError, match=r"takes a guest back .* it is no snapshot"):
        limpet.plan(limpet.load(program(make)), replace(OPTIONS, snapshot=False))
    with pytest.raises(PlanError, match="one time for all of them"):
        limpet.plan(limpet.load(program(make)), replace(OPTIONS, timeout=1000))
    for name in {call.name for call in hypercalls()} - KNOWN:
        with pytest.raises(PlanError, match=rf"takes a guest back .* {name} leaves state outside"):
            with_rewind({name: (), "exit": ()}, OPTIONS)
