"""A process is taken back by code that its guest can jump to: none of it runs behind the word."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import threading
from pathlib import Path

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.inspect import audit
from limpet.contract.limits import STATUS_REFUSED
from tests.support.bundles import Maker
from tests.support.jumped import END, Made, heard_of, kept, made_by
from tests.support.refusing import refusing
from tests.support.traced import stopped


@pytest.fixture(scope="module")
def made(make: Maker) -> Made:
    """For all attacks."""
    return made_by(make)


BACK = {
    ".": "as it should",
    "t": "with the trap flag, and a handler of its own",
    "a": "with flags for alignment, nested tasks and direction",
    "z": "with a stack that is none",
    "v": "and looks for what vector registers and segments had",
    "b": "and has changed what can only be read again",
    "R": "and has changed rights, and changed them back",
}


def test_goes_back(made: Made) -> None:
    """Whatever flags, selectors, stack and handlers it has: all is as it was kept."""
    with kept(made) as guest:
        first = guest.finds()
        assert first.startswith(b"left 0 flags 200 selectors 0 0 ") and first.endswith(
            b" s T a b\n"
        )
        for how in (*BACK, *BACK):
            assert guest.told(how) == how.encode().ljust(8) + END, BACK[how]
            assert guest.finds() == first, BACK[how]


def test_nothing_is_found(made: Made) -> None:
    """An auditor reads all of the monitor's code, and knows each of its calls."""
    assert audit(made.path).findings == ()


def test_pages_are_mapped_singly(made: Made) -> None:
    """Before it is kept the kernel would note writes to pages of the file, where it is let; never
    behind, when a call could mark pages for the next one."""
    number = NUMBERS["userfaultfd"]
    fd = ctypes.CDLL(None).syscall(number, 1)
    if fd >= 0:
        os.close(fd)
    refuses = refusing(number, errno.EPERM)
    for host, noted in ((None, b" noted %d 0 " % (fd >= 0)), (refuses, b" noted 0 0 ")):
        with kept(made, refuses=host) as guest:
            assert noted in guest.finds()


FORGED = {"p": "behind the word", "e": "to the end", "f": "with a word that cannot be read"}


@pytest.mark.parametrize("how", FORGED, ids=FORGED.values())
def test_without_the_word(made: Made, how: str) -> None:
    """Who comes to another instruction has not said the word."""
    with kept(made) as guest:
        guest.finds()
        guest.line.settimeout(1)
        assert not guest.told(how).startswith(how.encode())


def test_without_keys(made: Made) -> None:
    """Nothing can be read: there is no word, or all is as it was."""
    with kept(made) as guest:
        first = guest.finds()
        said = guest.told("k")
        if said.startswith(b"k"):
            assert said == b"k".ljust(8) + END and guest.finds() == first


ENDS = {
    "s": ("two pages have changed places", STATUS_REFUSED),
    "h": ("a page is elsewhere", STATUS_REFUSED),
    "r": ("a page has other rights", STATUS_REFUSED),
    "T": ("and a trap has arrived right behind the call that gave it those", STATUS_REFUSED),
    "q": ("a page of the program's data has other rights", STATUS_REFUSED),
    "c": ("a page of its code has other rights", STATUS_REFUSED),
    "n": ("a page of it is out of reach", -signal.SIGSYS),
    "i": ("a page was written that could not be when it was kept", STATUS_REFUSED),
    "d": ("what is kept is to be dropped", -signal.SIGSYS),
    "w": ("what is kept is to be written", 128 + signal.SIGSEGV),
}


@pytest.mark.parametrize("how", ENDS, ids=[each for each, _ in ENDS.values()])
def test_ends(made: Made, how: str) -> None:
    """What cannot be made as it was, and who reaches for what is kept, ends the guest."""
    with kept(made) as guest:
        guest.finds()
        assert len(guest.told(how)) < 16
        assert guest.process.wait(30) == ENDS[how][1]


def test_what_is_not_read(made: Made) -> None:
    """What is left of what it was told would be the next one's."""
    with kept(made) as guest:
        guest.finds()
        assert guest.told(".", b"left") == b".".ljust(8)
        assert guest.process.wait(30) == STATUS_REFUSED


def test_hostile_before(made: Made) -> None:
    """A guest with pages that it could change in no one's sight is not kept; one that says that
    it is kept goes back only to whole pages in its own memory."""
    known = (
        ("m", b"", 3),
        ("u", b"u", STATUS_REFUSED),
        ("l", b"l", STATUS_REFUSED),
        ("o", b"o", None),
        ("j", b"", 128 + signal.SIGSEGV),
    )
    for before, said, status in known:
        with kept(made, "") as guest:
            word = said and said.ljust(8) + (END if status is None else b"")
            assert guest.told(before) == word
            assert status is None or guest.process.wait(30) == status


def test_a_fault_on_the_way(made: Made) -> None:
    """One that has kept itself so that nobody can bring it back: it never comes to its own code."""
    with kept(made, "") as guest:
        guest.line.settimeout(0.5)
        assert guest.told("y") == b"y".ljust(8) and guest.process.poll() is None
        streams = guest.process.stdout, guest.process.stderr
        assert not select.select([each for each in streams if each], [], [], 0)[0]


TICKS = {".": "wherever it meets the monitor", "t": "and where a trap has just arrived"}


@pytest.mark.parametrize("how", TICKS, ids=TICKS.values())
def test_signals_on_the_way(made: Made, how: str) -> None:
    """A tick that comes behind the word leads nowhere."""
    with kept(made) as guest:
        first, over = guest.finds(), threading.Event()

        def send() -> None:
            while not over.wait(1e-5):
                guest.process.send_signal(signal.SIGPROF)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            for _ in range(200):
                assert guest.told(how) == how.encode().ljust(8) + END
                assert guest.finds() == first
        finally:
            over.set()
            sender.join()


def test_a_signal_on_the_way_to_another(made: Made) -> None:
    """One that meets the entry of the one before, or what asks where that came from."""
    _, entry, begins, traps, *_, asks, _ = made.inside  # where no tick of its own is left
    with kept(made) as guest:
        first = guest.finds()
        for steps in range(25):
            with stopped(guest.process.pid) as process:
                guest.line.sendall(b".".ljust(8) + guest.addresses)
                process.behind_system_call(asks)
                for most in (steps, 100):
                    process.hears(signal.SIGPROF)
                    process.step(signal.SIGPROF)
                    assert process.at == entry
                    for _ in range(most):
                        if process.at not in (begins, traps):
                            process.step()
                assert process.at == begins
            assert heard_of(guest.line) == b".".ljust(8) + END and guest.finds() == first


def test_a_signal_at_the_end(made: Made) -> None:
    """It has said that all is as it was, and goes on."""
    with kept(made) as guest:
        first = guest.finds()
        for steps in range(6):
            with stopped(guest.process.pid) as process:
                guest.line.sendall(b".".ljust(8) + guest.addresses)
                process.behind_system_call(made.inside[-1])
                for _ in range(steps):
                    process.step()
                process.hears(signal.SIGPROF)
                process.step(signal.SIGPROF)
            assert heard_of(guest.line) == b".".ljust(8) + END and guest.finds() == first


def test_no_large_pages(made: Made) -> None:
    """The kernel makes none of small ones, which would be new pages without a fault."""
    with kept(made) as guest:
        status = Path(f"/proc/{guest.process.pid}/status").read_text(encoding="utf-8")
        assert "THP_enabled:\t0\n" in status
