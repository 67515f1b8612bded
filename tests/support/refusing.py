"""A host that refuses system calls: a seccomp filter around a bundle that answers them with errors.

Sources: ``include/uapi/linux/seccomp.h`` and ``filter.h``.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def refusing(number: int, error: int) -> Callable[[], None]:
    """What a child does before ``exec``, after which the call ``number`` fails with ``error``."""
    program = struct.pack(
        "<HBBIHBBIHBBIHBBI",
        *(_LOAD, 0, 0, 0),
        *(_EQUAL, 0, 1, number),
        *(_RETURN, 0, 0, _ERRNO | error),
        *(_RETURN, 0, 0, _ALLOW),
    )
    code = ctypes.create_string_buffer(program)
    described = struct.pack("<Q", 4) + struct.pack("<Q", ctypes.addressof(code))
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def refuse() -> None:
        assert code
        if prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(_SET_SECCOMP, _FILTER, described):
            raise OSError(ctypes.get_errno(), "no filter")

    return refuse
