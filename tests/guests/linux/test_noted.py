"""What is noted from one way back of a process to the next: its guest notes nothing itself."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract.limits import NOTED_AT, PLACES_FD, REWOUND_WORK, STATUS_REFUSED
from limpet.guests.linux.rewinding import stub_of
from tests.support.bundles import Maker
from tests.support.jumped import END, OPTIONS, PROGRAM, Made, heard_of, kept, made_by
from tests.support.refusing import refusing
from tests.support.traced import Memory, stopped


@pytest.fixture(scope="module")
def made(make: Maker) -> Made:
    """For all attacks."""
    return made_by(make)


def test_no_fault_and_other_places(made: Made) -> None:
    """Pages of no file have changed places, and none was written since all were known."""
    with kept(made) as guest:
        guest.finds()
        for each in (".", ".", "x", "?") * 4:
            assert guest.told(each) == each.encode().ljust(8) + END
            said = guest.finds()
            if each == "?" and said.count(b"\n") < 2:
                said += guest.finds()
            assert said.startswith(b"nobody 110 0\n" if each == "?" else b"left 0 ")
        with stopped(guest.process.pid):
            assert Memory(guest.process.pid).read(NOTED_AT)


@pytest.mark.parametrize("times", range(4))
def test_what_is_noted_can_only_be_read(made: Made, times: int) -> None:
    """Also where it has just been noted."""
    with kept(made) as guest:
        for _ in range(times):
            guest.told(".")
        assert len(guest.told("j")) < 16 and guest.process.wait(30) == 128 + signal.SIGSEGV


@pytest.mark.parametrize("how", ["g", "G"], ids=["faults", "nothing"])
def test_a_note_of_its_own(made: Made, how: str) -> None:
    """Whoever comes to where faults are noted goes on to the end, whatever signal or stack; and so
    does who comes to where it is noted that all is mapped as it was."""
    _, entry, begins, traps, marks, still, *_ = made.inside
    if how == "G":
        marks = still
    for steps in range(8 if how == "g" else 3):
        with kept(made) as guest:
            guest.finds()
            with stopped(guest.process.pid) as process:
                guest.line.sendall(how.encode().ljust(8) + guest.addresses)
                process.behind_system_call(marks)
                for _ in range(steps):
                    process.step()
                process.hears(signal.SIGPROF)
                process.step(signal.SIGPROF)
                assert process.at == entry
                while process.at not in (begins, traps):
                    process.step()
                assert process.at == begins
            assert guest.line.recv(16) == END


def _is_noted(pid: int) -> bool:
    """Whether something was mapped otherwise since a guest was taken back."""
    told = Path(f"/proc/{pid}/fdinfo/{PLACES_FD}").read_text(encoding="utf-8")
    flags = next(line for line in told.splitlines() if line.startswith("flags:"))
    return bool(int(flags.split()[1], 8) & os.O_CLOEXEC)


def test_a_signal_before_a_note(made: Made) -> None:
    """One that meets what is between a mapping and its note leads to the guest behind the note; so
    does another that meets the way of the first."""
    _, entry, _, traps, *_, arranges, _, _, _ = made.inside
    with kept(made) as guest:
        first = guest.finds()
        for steps, between in (*((each, ()) for each in range(9)), *((0, (n,)) for n in range(24))):
            with stopped(guest.process.pid) as process:
                assert not _is_noted(guest.process.pid)
                guest.line.sendall(b"R".ljust(8) + guest.addresses)
                process.behind_system_call(arranges)
                for _ in range(steps):
                    process.step()
                for most in (*between, 100):
                    process.hears(signal.SIGPROF)
                    process.step(signal.SIGPROF)
                    assert process.at == entry
                    for _ in range(most):
                        if process.at != traps:
                            process.step()
                assert process.at == traps and _is_noted(guest.process.pid)
            assert heard_of(guest.line) == b"R".ljust(8) + END and guest.finds() == first


def test_nothing_is_asked(made: Made) -> None:
    """Where nothing was mapped otherwise, the kernel is not asked what is."""
    *_, asks, _, end = made.inside
    with kept(made) as guest:
        asked = {}
        for how in ".R.":
            guest.finds()
            with stopped(guest.process.pid) as process:
                guest.line.sendall(how.encode().ljust(8) + guest.addresses)
                asked[how] = sum(1 for _ in process.behind_system_calls(asks, end))
            assert heard_of(guest.line) == how.encode().ljust(8) + END
    assert asked["."] < 5  # which pages were written is another question
    assert asked["R"] > 10


ARRANGES = frozenset(
    (
        *(
            "mmap",
            "munmap",
            "mprotect",
            "pkey_mprotect",
            "mremap",
            "brk",
            "mseal",
            "shmat",
            "shmdt",
        ),
        *("remap_file_pages", "userfaultfd", "prctl", "process_madvise", "execve", "clone", "fork"),
    )
)
"""System calls by which a process has something mapped otherwise, or another process has it."""


def test_what_arranges(make: Maker) -> None:
    """Each leaves a note, or is on the way back, where it is about what is kept."""
    guest = make.compile(PROGRAM.read_text(encoding="utf-8"), "jumped", "-O1")
    rules = limpet.plan(limpet.load(guest), OPTIONS).filters["process"].rules
    found = {rule.label for rule in rules if rule.call in ARRANGES}
    noted = {"host_protect_mprotect", "host_place_mremap"}
    assert found == noted | {"host_rewind_mprotect", "host_rewind_pkey_mprotect"}
    for stub in noted:
        _, hypercall, call = stub.split("_")
        assert stub_of(hypercall, call, goes_back=True) == "HOST_STUB_ARRANGES"


def test_nobody_hears(made: Made) -> None:
    """A guest that comes to the end, where nobody hears it, ends: nothing that it has noted
    is without what tells of it."""
    with kept(made, "", refusing(NUMBERS["sendto"], errno.EAGAIN)) as guest:
        assert guest.told(".") == b"keep it\0" and guest.process.wait(30) == STATUS_REFUSED


def test_a_kernel_that_does_not_count(made: Made) -> None:
    """It is asked for all pages, each time."""
    *_, counts, end = made.inside
    with kept(made, refuses=refusing(NUMBERS["getrusage"], errno.EPERM)) as guest:
        first = guest.finds()
        assert guest.told("a") == b"a".ljust(8) + END and guest.finds() == first
    with kept(made, "") as guest:
        for how in (".", ".", ".", ".", "a"):
            with stopped(guest.process.pid) as process:
                guest.line.sendall(how.encode().ljust(8) + guest.addresses)
                for _ in process.behind_system_calls(counts, end):
                    for at in range(64, 80, 8):
                        Memory(guest.process.pid).write(REWOUND_WORK + at, 5)
            said = heard_of(guest.line)
            assert said.endswith(END) and guest.finds() == first
