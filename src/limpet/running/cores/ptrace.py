"""ptrace(2): a child that this process watches, its registers and its events.

Source: Linux ``include/uapi/linux/ptrace.h``.
"""

from __future__ import annotations

import ctypes
import os
import struct

from limpet.errors import HostError
from limpet.formats.core import ORDER

TRACEME, CONT, SYSCALL, SETOPTIONS, GETEVENTMSG, GETREGSET = 0, 7, 24, 0x4200, 0x4201, 0x4204
SYSGOOD, FORK, EXIT, EXITKILL = 1, 2, 0x40, 1 << 20
EVENT_FORK, EVENT_EXIT = 1, 6
SYSCALL_STOP = 0x80
"""Beside SIGTRAP: a stop at a system call."""

GENERAL, VECTOR = 1, 2
"""NT_PRSTATUS and NT_PRFPREG: general registers, and those of FXSAVE."""

_FORM = f"<{len(ORDER)}Q"
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


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
