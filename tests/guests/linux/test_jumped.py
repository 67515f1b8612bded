"""A process is taken back by code that its guest can jump to: none of it runs behind the word."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.inspect import audit
from limpet.contract.limits import NOTED_AT, REWOUND_AT, REWOUND_WORK, STATUS_REFUSED
from limpet.guests.linux.layout import RESERVE, Layout
from limpet.running.snapshot import snapshot
from tests.support import SUPPORT
from tests.support.bundles import Maker, once
from tests.support.refusing import refusing
from tests.support.traced import Memory, stopped

PROGRAM = SUPPORT / "programs" / "jumped.c"
OPTIONS = limpet.Options(
    backends=("process",),
    snapshot=True,
    features=("rewind", "signals", "rights"),
    memory=32 << 20,
)
END = bytes(8)
LABELS = (
    "rewound_go",
    "host_rewind_write",
    "host_rewind_sendto",
    "rewound_high",
    "host_place_mremap",
    "host_protect_mprotect",
    "host_rewind_madvise",
    "host_rewind_ioctl",
    "host_rewind_pkey_mprotect",
)
INSIDE = (
    "host_rewind_ioctl",
    "signal_entry",
    "host_rewind_write",
    "trap_entry_process",
    "host_rewind_pkey_mprotect",
    "host_rewind_getrusage",
    "host_rewind_sendto",
)
"""Where a signal meets it, and where it may go and may not; where a number is noted, and asked for;
and its end."""


@dataclass(frozen=True)
class Made:
    """A snapshot of the guest that can be kept, and the addresses that it is told."""

    path: Path
    addresses: bytes
    inside: tuple[int, ...]  # of INSIDE


@pytest.fixture(scope="module")
def made(make: Maker) -> Made:
    """For all attacks."""
    guest = make.compile(PROGRAM.read_text(encoding="utf-8"), "jumped", "-O1")
    told, inside = make.folder / "jumped.addresses", make.folder / "jumped.inside"

    def make_it(new: Path) -> None:
        bundle = snapshot(limpet.plan(limpet.load(guest), OPTIONS), [hex(REWOUND_WORK)]).bundle
        known = {**bundle.symbols, **bundle.monitor.symbols}
        place = bundle.plan.layout
        assert isinstance(place, Layout)
        others = (place.boot_info, place.rodata, RESERVE[0] + (1 << 20), REWOUND_AT, REWOUND_WORK)
        labels = (known[each] for each in LABELS)
        told.write_bytes(struct.pack("<16Q", *labels, *others, place.arena[0], NOTED_AT))
        inside.write_bytes(struct.pack(f"<{len(INSIDE)}Q", *(known[each] for each in INSIDE)))
        bundle.write(new)

    path = once(make.folder / "jumped.process", make_it)
    return Made(path, told.read_bytes(), struct.unpack(f"<{len(INSIDE)}Q", inside.read_bytes()))


@dataclass
class Guest:
    """One that is kept, and the other end of its standard input."""

    process: subprocess.Popen[bytes]
    line: socket.socket
    addresses: bytes

    def finds(self) -> bytes:
        """What it says as it goes on."""
        assert self.process.stdout
        out, said = self.process.stdout.fileno(), b""
        while not said.endswith(b"\n") and select.select([out], [], [], 30)[0]:
            said += os.read(out, 4096) or b"the end\n"
        return said

    def told(self, how: str, more: bytes = b"") -> bytes:
        """What comes out of its standard input when it has been told how to come there."""
        self.line.sendall(how.encode().ljust(8) + self.addresses + more)
        return _said(self.line)


def _said(line: socket.socket) -> bytes:
    said = b""
    with suppress(OSError):
        while len(said) < 16 and (part := line.recv(16 - len(said))):
            said += part
    return said


@contextmanager
def kept(
    made: Made, before: str = ".", refuses: Callable[[], None] | None = None
) -> Iterator[Guest]:
    """The guest, kept once it has done something before, on a host that refuses something."""
    ours, theirs = socket.socketpair()
    pipe = subprocess.PIPE
    with (
        ours,
        subprocess.Popen(
            [made.path],
            stdin=theirs.fileno(),
            stdout=pipe,
            stderr=pipe,
            preexec_fn=refuses,  # noqa: PLW1509
        ) as run,
    ):
        theirs.close()
        ours.settimeout(30)
        try:
            guest = Guest(run, ours, made.addresses)
            guest.finds()
            if before:
                assert guest.told(before) == b"keep it\0" + END
            yield guest
        finally:
            run.kill()


BACK = {
    ".": "as it should",
    "t": "with the trap flag, and a handler of its own",
    "a": "with flags for alignment, nested tasks and direction",
    "z": "with a stack that is none",
    "v": "and looks for what vector registers and segments had",
    "b": "and has changed what can only be read again",
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
    looks, entry, begins, traps, *_ = made.inside
    with kept(made) as guest:
        first = guest.finds()
        for steps in range(25):
            with stopped(guest.process.pid) as process:
                guest.line.sendall(b".".ljust(8) + guest.addresses)
                process.behind_system_call(looks)
                for most in (steps, 100):
                    process.hears(signal.SIGPROF)
                    process.step(signal.SIGPROF)
                    assert process.at == entry
                    for _ in range(most):
                        if process.at not in (begins, traps):
                            process.step()
                assert process.at == begins
            assert _said(guest.line) == b".".ljust(8) + END and guest.finds() == first


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


def test_a_number_of_its_own(made: Made) -> None:
    """Whoever comes to where faults are noted goes on to the end, whatever signal or stack."""
    _, entry, begins, traps, marks, *_ = made.inside
    for steps in range(8):
        with kept(made) as guest:
            guest.finds()
            with stopped(guest.process.pid) as process:
                guest.line.sendall(b"g".ljust(8) + guest.addresses)
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
            assert _said(guest.line) == b".".ljust(8) + END and guest.finds() == first


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
            said = _said(guest.line)
            assert said.endswith(END) and guest.finds() == first


def test_no_large_pages(made: Made) -> None:
    """The kernel makes none of small ones, which would be new pages without a fault."""
    with kept(made) as guest:
        status = Path(f"/proc/{guest.process.pid}/status").read_text(encoding="utf-8")
        assert "THP_enabled:\t0\n" in status
