"""A bundle watched by this process, which keeps a crashed guest's memory and registers.

The bundle has nothing of this in it: the host's kernel lets a parent look into its child.  What the
guest's memory holds is believed in nothing: all of it is only copied.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract.limits import SIGNAL_STATUS
from limpet.errors import RunError
from limpet.planning.regions import KVM_RUN_AT, MONITOR_BASE, MONITOR_SIZE
from limpet.running.cores import ptrace
from limpet.running.cores.machine import VALID_AT, WANTED
from limpet.running.debugging.memory import Memory
from limpet.running.debugging.virtual import VirtualMachine
from limpet.running.heeding import heeding
from limpet.running.passing import passing

_OPTIONS = ptrace.SYSGOOD | ptrace.FORK | ptrace.EXIT | ptrace.EXITKILL
_KVM_RUN = 0xAE80
_FAULTS = frozenset(
    int(each)
    for each in (signal.SIGILL, signal.SIGTRAP, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV)
)
_EXIT = re.compile(rb"\xb8\xe7\0\0\0.{0,32}?\x0f\x05", re.DOTALL)
"""Where a monitor ends: MOV of the number of exit_group to EAX, and SYSCALL."""

_SYSCALL, _INT3 = b"\x0f", b"\xcc"  # the first byte of one, and all of the other


@dataclass(frozen=True)
class Fault:
    """A signal that the guest's own doing raised, and the registers then."""

    number: int
    registers: dict[str, int]
    vectors: bytes


@dataclass
class Watched:
    """A process of the bundle, while it is there; its files were opened while that was allowed."""

    pid: int
    memory: int
    maps: int
    pages: int
    fault: Fault | None = None
    kvm: bool = False
    vectors: bytes = b""  # of the guest on kvm at its end, where its filter lets KVM be asked
    exits: set[int] = field(default_factory=set)  # where an INT3 waits for that end
    starting: bool = True  # its system calls are looked at until the guest runs

    def close(self) -> None:
        """Close its files."""
        for each in (self.memory, self.maps, self.pages):
            os.close(each)


Ended = Callable[[Watched, int, dict[str, int]], None]
"""What is done at the end of a process: its wait status, and its registers then."""


Called = Callable[[Watched, dict[str, int]], None]
"""What is done where a system call begins or ends once the guest runs, with the registers then."""


def run(
    path: Path,
    argv: Sequence[str],
    ended: Ended,
    called: Called | None = None,
    *,
    vectors: int = 0,
) -> int:
    """Start the bundle at ``path`` and watch it to its end; its system calls only for ``called``.

    Args:
        vectors: bytes of vector registers that its filter lets KVM be asked for at the end.

    Returns:
        Its exit status, 128 + N for signal N.

    Raises:
        RunError: it cannot be started.
        HostError: this host does not let a process look into its child.
    """
    pid = os.fork()
    if not pid:
        _become(path, argv)
    with passing(lambda number: os.kill(pid, number)), heeding():
        status = _Watch(pid, ended, called, vectors).to_the_end()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else SIGNAL_STATUS - code


def _become(path: Path, argv: Sequence[str]) -> None:
    """The child: it stops at its first instruction."""
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        ptrace.request(ptrace.TRACEME, 0)
        os.execv(path, list(argv))
    finally:
        os._exit(RunError.exit_status)


def _opened(pid: int) -> Watched:
    folder = f"/proc/{pid}"
    memory = os.open(f"{folder}/mem", os.O_RDWR | os.O_CLOEXEC)
    maps = os.open(f"{folder}/maps", os.O_RDONLY | os.O_CLOEXEC)
    return Watched(pid, memory, maps, os.open(f"{folder}/pagemap", os.O_RDONLY | os.O_CLOEXEC))


@dataclass
class _Watch:
    first: int
    ended: Ended
    called: Called | None = None
    vectors: int = 0
    known: dict[int, Watched] = field(default_factory=dict)

    def to_the_end(self) -> int:
        """Until the first process has ended; its wait status."""
        while True:
            try:
                pid, status = os.waitpid(-1, _ALL)
            except InterruptedError:
                continue
            except ChildProcessError:  # killed while KVM was asked
                return signal.SIGKILL
            if not os.WIFSTOPPED(status):
                gone = self.known.pop(pid, None)
                if gone:
                    gone.close()
                if pid == self.first:
                    return status
                continue
            with suppress(ProcessLookupError):
                self._stopped(pid, os.WSTOPSIG(status), status >> 16)

    def _stopped(self, pid: int, number: int, event: int) -> None:
        one = self.known.get(pid)
        if one is None:  # its first instruction, or that of a child that it has forked
            ptrace.request(ptrace.SETOPTIONS, pid, 0, _OPTIONS)
            self.known[pid] = _opened(pid)
            ptrace.request(ptrace.SYSCALL, pid)
            return
        deliver = 0
        if event == ptrace.EVENT_EXIT:
            self.ended(one, ptrace.message(pid), ptrace.registers(pid))
        elif number == signal.SIGTRAP | ptrace.SYSCALL_STOP:
            self._calls(one, ptrace.registers(pid))
        elif number == signal.SIGTRAP and self._at_exit(one):
            pass
        elif not event:
            deliver = number
            if number in _FAULTS:
                vectors = ptrace.registers_set(pid, ptrace.EXTENDED, ptrace.VECTORS_MOST)
                one.fault = Fault(number, ptrace.registers(pid), vectors)
        ptrace.request(
            ptrace.SYSCALL if one.starting or self.called else ptrace.CONT, pid, 0, deliver
        )

    def _calls(self, one: Watched, found: dict[str, int]) -> None:
        """A system call of the start: the guest runs when the virtual processor does, or behind the
        filter of a process."""
        if not one.starting:
            if self.called:
                self.called(one, found)
        elif found["orig_rax"] == NUMBERS["ioctl"] and found["rsi"] == _KVM_RUN:
            one.starting, one.kvm = False, True
            os.pwrite(one.memory, WANTED, KVM_RUN_AT + VALID_AT)
            if self.vectors:
                _wait_for_exit(one)
        elif found["orig_rax"] == NUMBERS["seccomp"] and not found["rax"]:
            one.starting = one.kvm = self._has_processor(one)

    def _at_exit(self, one: Watched) -> bool:
        """Whether it has met one of the INT3s, which all go; the call comes behind this stop."""
        found = ptrace.registers(one.pid)
        at = found["rip"] - 1
        if at not in one.exits:
            return False
        for each in one.exits:
            os.pwrite(one.memory, _SYSCALL, each)
        one.exits.clear()
        ptrace.set_registers(one.pid, {**found, "rip": at})
        memory = Memory(one.pid, one.memory)
        one.vectors = VirtualMachine(one.pid, memory, vectors=self.vectors).vectors() or b""
        return True

    @staticmethod
    def _has_processor(one: Watched) -> bool:
        """Whether it is a monitor with a virtual processor, which comes behind the filter."""
        try:
            return any(
                "kvm-vcpu" in os.readlink(each) for each in Path(f"/proc/{one.pid}/fd").iterdir()
            )
        except OSError:
            return b"kvm-vcpu" in os.pread(one.maps, 1 << 20, 0)


def _wait_for_exit(one: Watched) -> None:
    """Stop it before it ends: behind that no call can be made any more."""
    code = os.pread(one.memory, MONITOR_SIZE, MONITOR_BASE)
    for each in _EXIT.finditer(code):
        at = MONITOR_BASE + each.end() - 2
        os.pwrite(one.memory, _INT3, at)
        one.exits.add(at)


_ALL = 0x40000000  # __WALL
