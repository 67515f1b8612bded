"""A bundle whose kernel lies to it, or that is stopped at an instruction, by ``ptrace(2)``.

What a system call has written is changed behind it: the real monitor on the real KVM, with values
that no KVM of today gives.  And a signal comes where chance hardly ever brings one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.bundles import Ran

_TRACE_ME, _POKE, _PEEK, _GET_REGISTERS, _SYSCALL, _DETACH, _SET_OPTIONS = (
    0,
    5,
    2,
    12,
    24,
    17,
    0x4200,
)
_CONTINUE, _STEP, _ATTACH = 7, 9, 16
_GOOD, _KILL = 1, 0x100000  # PTRACE_O_TRACESYSGOOD, PTRACE_O_EXITKILL
_STOPPED = 0x85  # SIGTRAP of a system call
_NOT_YET = 2**64 - 38  # -ENOSYS, what a system call has before it has returned
_IOCTL, _KVM_RUN = 16, 0xAE80

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def _ptrace(request: int, pid: int, at: int = 0, data: int = 0) -> int:
    ctypes.set_errno(0)
    result: int = _libc.ptrace(request, pid, at, data)
    if ctypes.get_errno():
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
    return result


@dataclass(frozen=True)
class Memory:
    """Words of a stopped process."""

    pid: int

    def read(self, at: int) -> int:
        """Eight bytes."""
        return _ptrace(_PEEK, self.pid, at) % 2**64

    def write(self, at: int, word: int) -> None:
        """Eight bytes."""
        _ptrace(_POKE, self.pid, at, word)


def _registers(pid: int) -> dict[str, int]:
    """Of ``struct user_regs_struct``, those that a system call is about, and where it is."""
    buffer = ctypes.create_string_buffer(27 * 8)
    _ptrace(_GET_REGISTERS, pid, 0, ctypes.addressof(buffer))
    words = struct.unpack("<27Q", buffer.raw)
    return {"number": words[15], "result": words[10], "request": words[13], "at": words[16]}


@dataclass(frozen=True)
class Stopped:
    """A process that goes on as far as it is told; ``number`` is a signal that it then hears."""

    pid: int

    @property
    def at(self) -> int:
        """The address of its next instruction."""
        return _registers(self.pid)["at"]

    def hears(self, number: int) -> None:
        """Send it a signal, up to the moment when it would hear it."""
        os.kill(self.pid, number)
        assert self._goes(_CONTINUE, 0) == number

    def step(self, number: int = 0) -> None:
        """One instruction, or none and into the handler."""
        assert self._goes(_STEP, number) == signal.SIGTRAP

    def behind_system_call(self, at: int) -> None:
        """Up to the address ``at``, which stands behind one.  Signals are lost meanwhile."""
        while self._goes(_SYSCALL, 0) != _STOPPED or self.at != at or not self._has_returned():
            pass

    def behind_system_calls(self, at: int, end: int) -> Iterator[None]:
        """Behind each at ``at``, until it is behind the one at ``end``."""
        while self.at != end:
            if self._goes(_SYSCALL, 0) == _STOPPED and self._has_returned() and self.at == at:
                yield

    def _has_returned(self) -> bool:
        return _registers(self.pid)["result"] != _NOT_YET

    def _goes(self, how: int, number: int) -> int:
        _ptrace(how, self.pid, 0, number)
        _, status = os.waitpid(self.pid, 0)
        assert os.WIFSTOPPED(status), f"it ended: {status}"
        return os.WSTOPSIG(status)


@contextmanager
def stopped(pid: int) -> Iterator[Stopped]:
    """The child ``pid``, stopped where it is; it goes on by itself afterwards."""
    _ptrace(_ATTACH, pid)
    os.waitpid(pid, 0)
    _ptrace(_SET_OPTIONS, pid, 0, _GOOD)
    yield Stopped(pid)
    _ptrace(_DETACH, pid)


def lied_to(argv: Sequence[str], lie: Callable[[Memory], bool]) -> Ran:
    """Run a bundle; ``lie`` may change memory behind each KVM_RUN, until it says that it did."""
    out, error = os.memfd_create("out"), os.memfd_create("error")
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(out, 1)
            os.dup2(error, 2)
            _ptrace(_TRACE_ME, 0)
            os.execve(argv[0], list(argv), {})
        finally:
            os._exit(99)
    os.waitpid(pid, 0)
    _ptrace(_SET_OPTIONS, pid, 0, _GOOD | _KILL)
    status = _follow(pid, lie)
    texts = []
    for each in (out, error):
        texts.append(Path(f"/proc/self/fd/{each}").read_bytes())
        os.close(each)
    return Ran(os.waitstatus_to_exitcode(status), *texts)


def _follow(pid: int, lie: Callable[[Memory], bool]) -> int:
    """To the end: its status."""
    lied = entered = False
    while not lied:
        _ptrace(_SYSCALL, pid)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return status
        if os.WSTOPSIG(status) != _STOPPED:
            continue
        entered = not entered
        if entered:
            continue
        found = _registers(pid)
        if (found["number"], found["request"], found["result"]) == (_IOCTL, _KVM_RUN, 0):
            lied = lie(Memory(pid))
    _ptrace(_DETACH, pid)
    return os.waitpid(pid, 0)[1]
