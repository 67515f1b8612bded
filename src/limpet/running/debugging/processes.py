"""The processes of a bundle: which of them has the guest, and how it is found and waited for.

A bundle may be several: what counts its output or ends it in time stands beside its guest.  The one
with the guest is the one that comes to the guest's first instruction, or that runs the virtual
processor.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from limpet.arch.x86_64.host import REQUESTS
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.errors import RunError
from limpet.planning.regions import KVM_RUN_AT
from limpet.running.cores import ptrace
from limpet.running.debugging.memory import Memory
from limpet.running.passing import passing

_OPTIONS = ptrace.SYSGOOD | ptrace.FORK | ptrace.EXEC
_ALL, _NOTHING_YET = 0x40000000, os.WNOHANG  # __WALL
_INT3 = b"\xcc"
_ENDING = {int(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
_SOON, _SHORT = 5.0, 0.01
"""Seconds in which what stands beside a guest that was killed ends, and between two looks at it."""

_LOOK = 0.5
"""Seconds after which processes are looked at even if nothing was heard of one."""


class Found:
    """The process that has the guest, which has stopped before its first instruction."""

    def __init__(self, pid: int, memory: Memory, *, kvm: bool) -> None:
        self.pid, self.memory, self.kvm = pid, memory, kvm


class Source(Protocol):
    """What may have something to say meanwhile."""

    def fileno(self) -> int:
        """What is to be read then, -1 if nothing is."""

    def heard(self) -> bool:
        """It has; whether that is enough."""


class Processes:
    """Those of one bundle, this process's children."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.guest = 0
        self.status: int | None = None
        """The wait status of the first one, once it has ended."""
        self._heard: set[int] = set()

    def find(self, at: int) -> Found | None:
        """Run what was just started until the guest is about to begin, at ``at``; ``None``: it has
        ended before."""
        memories: dict[int, Memory] = {}
        byte = b""
        while self.status is None:
            pid, status = os.waitpid(-1, _ALL)
            if self._ended(pid, status):
                memories.pop(pid, memories.get(self.first)) if pid != self.first else None
                continue
            number, event = status >> 8 & 0xFF, status >> 16
            if pid not in memories:
                memories[pid] = Memory(pid)
            memory = memories[pid]
            if event == ptrace.EVENT_EXEC:
                memory.close()
                memory = memories[pid] = Memory(pid)
                byte = memory.read(at, 1)
                memory.write(at, _INT3)
            found = self._begins(pid, memory, number, event, at)
            if found:
                memory.write(at, byte)
                for other, each in memories.items():
                    if other != pid:
                        each.close()
                self.guest = pid
                return found
            _go_on(pid, status, calls=True)
        return None

    def _begins(self, pid: int, memory: Memory, number: int, event: int, at: int) -> Found | None:
        if event:
            return None
        if number == signal.SIGTRAP:
            found = ptrace.registers(pid)
            if found["rip"] == at + 1:
                ptrace.set_registers(pid, {**found, "rip": at})
                return Found(pid, memory, kvm=False)
        elif number == signal.SIGTRAP | ptrace.SYSCALL_STOP and ptrace.at_call(pid):
            found = ptrace.registers(pid)
            runs = found["orig_rax"] == NUMBERS["ioctl"] and found["rsi"] == REQUESTS["KVM_RUN"]
            if runs:
                memory.write(KVM_RUN_AT + 1, b"\1")  # it returns at once
                ptrace.request(ptrace.SYSCALL, pid)
                ptrace.waited(pid)
                return Found(pid, memory, kvm=True)
        return None

    def _ended(self, pid: int, status: int) -> bool:
        if os.WIFSTOPPED(status):
            return False
        if pid == self.first:
            self.status = status
        return True

    def next(self, source: Source | None = None) -> int | None:
        """The next wait status of the guest's process; ``None``: ``source`` has heard enough."""
        while True:
            status = self._look()
            if status is not None:
                return status
            if self._waits(source):
                return None

    def ending(self, source: Source) -> int:
        """Wait for ``source`` to hear enough, or for a signal that ends who only waits, which it
        returns; else 0."""
        while not (heard := _ENDING & self._heard):
            if self._waits(source):
                return 0
        return min(heard)

    def _waits(self, source: Source | None) -> bool:
        """Wait for anything; whether it was enough for ``source``."""
        with selectors.DefaultSelector() as selector:
            selector.register(_wakeup[0], selectors.EVENT_READ)
            if source and source.fileno() >= 0:
                selector.register(source.fileno(), selectors.EVENT_READ)
            ready = {key.fd for key, _ in selector.select(_LOOK)}
        if _wakeup[0] in ready:
            with suppress(BlockingIOError):
                self._heard |= set(os.read(_wakeup[0], 4096))
        return bool(source and source.fileno() in ready and source.heard())

    def _look(self) -> int | None:
        while True:
            try:
                pid, status = os.waitpid(-1, _ALL | _NOTHING_YET)
            except ChildProcessError:
                return self.status if self.status is not None else 0
            if not pid:
                return None
            self._ended(pid, status)
            if pid == self.guest:
                if not os.WIFSTOPPED(status):
                    self.rest()  # the others pass its last output on before a debugger leaves
                return status
            if os.WIFSTOPPED(status):
                _go_on(pid, status, calls=False)

    def end(self) -> None:
        """Kill the guest, and wait.

        Who stands beside it then ends by itself: what reports its end writes that it was killed.
        """
        guest = self.guest or self.first
        _kill(guest)
        if guest != self.first:
            self._first_ends(time.monotonic() + _SOON)
        if self.status is None:
            _kill(self.first)
        self.rest()

    def _first_ends(self, until: float) -> None:
        while self.status is None and time.monotonic() < until:
            pid, status = os.waitpid(-1, _ALL | _NOTHING_YET)
            if not pid:
                time.sleep(_SHORT)
            elif not self._ended(pid, status):
                _go_on(pid, status, calls=False)

    def rest(self) -> int:
        """Wait for the first one's end; its wait status."""
        while self.status is None:
            pid, status = os.waitpid(-1, _ALL)
            if not self._ended(pid, status):
                _go_on(pid, status, calls=False)
        return self.status


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _go_on(pid: int, status: int, *, calls: bool) -> None:
    """Let a process go on that stopped with ``status``, with the signal if it was for one."""
    number, event = status >> 8 & 0xFF, status >> 16
    deliver = 0 if event or number & ptrace.SYSCALL_STOP else number
    with suppress(ProcessLookupError):
        ptrace.request(ptrace.SYSCALL if calls else ptrace.CONT, pid, 0, deliver)


_wakeup = [-1, -1]


@contextmanager
def started(path: Path, argv: Sequence[str], *, standard: bool) -> Iterator[Processes]:
    """Start the bundle at ``path`` as a child that is traced from its first instruction on.

    Args:
        standard: standard input and output are the debugger's: the guest reads nothing, and writes
            to standard error.

    Raises:
        RunError: it cannot be started.
        HostError: this host does not let a process look into its child.
    """
    ready, told = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(told)
        _become(path, argv, ready, standard=standard)
    os.close(ready)
    try:
        ptrace.request(ptrace.SEIZE, pid, 0, _OPTIONS | ptrace.EXITKILL)
        os.write(told, b"!")
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(told)
    found = Processes(pid)
    with _woken(), passing(lambda number: os.kill(found.guest or pid, number)):
        try:
            yield found
        finally:
            if found.status is None:
                found.end()


def _become(path: Path, argv: Sequence[str], ready: int, *, standard: bool) -> None:
    try:
        if standard:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        if os.read(ready, 1):
            os.execv(path, list(argv))
    except OSError as error:
        os.write(
            2,
            b"limpet: %s: %s\n"
            % (os.fsencode(path), os.fsencode(error.strerror or "cannot be started")),
        )
    finally:
        os._exit(RunError.exit_status)


@contextmanager
def _woken() -> Iterator[None]:
    """Meanwhile the end or a stop of a child is something to be read."""
    _wakeup[:] = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    old = signal.set_wakeup_fd(_wakeup[1], warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(old)
        signal.signal(signal.SIGCHLD, before)
        for each in _wakeup:
            os.close(each)
