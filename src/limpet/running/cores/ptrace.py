"""ptrace(2): a child that this process watches, its registers and its events.

Source: Linux ``include/uapi/linux/ptrace.h``.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Mapping

from limpet.errors import HostError
from limpet.formats.core import ORDER

TRACEME, CONT, SYSCALL, SETOPTIONS, GETEVENTMSG, GETREGSET = 0, 7, 24, 0x4200, 0x4201, 0x4204
PEEKDATA, POKEDATA, PEEKUSER, POKEUSER, SINGLESTEP, DETACH = 2, 5, 3, 6, 9, 17
GETSIGINFO, SETREGSET, SEIZE, INTERRUPT = 0x4202, 0x4205, 0x4206, 0x4207
SYSGOOD, FORK, EXEC, EXIT, EXITKILL = 1, 2, 0x10, 0x40, 1 << 20
EVENT_FORK, EVENT_EXEC, EVENT_EXIT, EVENT_STOP = 1, 4, 6, 128
SYSCALL_STOP = 0x80
"""Beside SIGTRAP: a stop at a system call."""

GENERAL, VECTOR, EXTENDED = 1, 2, 0x202
"""NT_PRSTATUS, NT_PRFPREG and NT_X86_XSTATE: general registers, those of FXSAVE, those of XSAVE."""

VECTORS_MOST = 16384
"""Bytes of vector registers that any processor has."""

_FORM = f"<{len(ORDER)}Q"
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long
_libc.syscall.argtypes = (ctypes.c_long,) * 5
_libc.syscall.restype = ctypes.c_long


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def request(number: int, pid: int, address: int = 0, data: int = 0) -> None:
    """One request of ptrace.

    Raises:
        HostError: the host does not allow it.
        ProcessLookupError: the process is not there, or not stopped.
    """
    if _libc.ptrace(number, pid, address, data) >= 0:
        return
    error = ctypes.get_errno()
    words = f"this host does not let a process look into its child: {os.strerror(error)}"
    if error == _NO_PROCESS:
        raise ProcessLookupError(error, words)
    raise HostError(words, hint="allow ptrace here, see kernel.yama.ptrace_scope")


_NO_PROCESS = 3  # ESRCH


def message(pid: int) -> int:
    """What the kernel says of the event that ``pid`` has stopped at."""
    value = ctypes.c_ulong()
    request(GETEVENTMSG, pid, 0, ctypes.addressof(value))
    return value.value


def registers_set(pid: int, which: int, most: int) -> bytes:
    """A set of registers of a process that has stopped, as the kernel writes it."""
    room = ctypes.create_string_buffer(most)
    vector = _Vector(ctypes.addressof(room), most)
    request(GETREGSET, pid, which, ctypes.addressof(vector))
    return room.raw[: vector.length]


def registers(pid: int) -> dict[str, int]:
    """The general registers by name."""
    data = registers_set(pid, GENERAL, struct.calcsize(_FORM))
    return dict(zip(ORDER, struct.unpack(_FORM, data), strict=True))


def set_registers_set(pid: int, which: int, data: bytes) -> None:
    """Give a process that has stopped a set of registers, as :func:`registers_set` gives it."""
    room = ctypes.create_string_buffer(data, len(data))
    vector = _Vector(ctypes.addressof(room), len(data))
    request(SETREGSET, pid, which, ctypes.addressof(vector))


def set_registers(pid: int, values: Mapping[str, int]) -> None:
    """Give it the general registers by name, all of them."""
    data = struct.pack(_FORM, *(values[name] & _WORD for name in ORDER))
    set_registers_set(pid, GENERAL, data)


_WORD = (1 << 64) - 1


def peek(pid: int, address: int, which: int = PEEKDATA) -> int:
    """A word of its memory, or with ``PEEKUSER`` of what the kernel keeps for it.

    Raises:
        OSError: there is nothing.
    """
    value = ctypes.c_ulong()  # the system call itself stores the word there
    if _libc.syscall(_NUMBER, which, pid, address, ctypes.addressof(value)) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return value.value


def poke(pid: int, address: int, value: int, which: int = POKEDATA) -> None:
    """Store such a word.

    Raises:
        OSError: it cannot be there.
    """
    if _libc.ptrace(which, pid, address, value) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


_NUMBER = 101  # ptrace


def signal_code(pid: int) -> int:
    """``si_code`` of the signal that ``pid`` has stopped for."""
    room = ctypes.create_string_buffer(_SIGINFO_SIZE)
    request(GETSIGINFO, pid, 0, ctypes.addressof(room))
    return int(struct.unpack_from("<i", room.raw, 8)[0])


_SIGINFO_SIZE = 128


def at_call(pid: int) -> bool:
    """Whether a stop at a system call is where it begins, not where it ends."""
    room = ctypes.create_string_buffer(_CALL_SIZE)
    request(GET_SYSCALL_INFO, pid, _CALL_SIZE, ctypes.addressof(room))
    return room.raw[0] == 1


_CALL_SIZE, GET_SYSCALL_INFO = 88, 0x420E


def waited(pid: int) -> int:
    """The next wait status of one process."""
    return os.waitpid(pid, _ALL)[1]


_ALL = 0x40000000  # __WALL
