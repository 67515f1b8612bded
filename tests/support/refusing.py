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


_NUMBER, _SECOND = 0, 24
"""Where ``struct seccomp_data`` has the call, and half of its second argument."""


def refusing(number: int, error: int, second: int | None = None) -> Callable[[], None]:
    """What a child does before ``exec``, after which the call ``number`` fails with ``error``.

    With ``second`` only where that is the call's second argument.
    """
    wanted = {_NUMBER: number} | ({} if second is None else {_SECOND: second})
    steps = [(_RETURN, 0, 0, _ERRNO | error), (_RETURN, 0, 0, _ALLOW)]
    for at, value in reversed(wanted.items()):
        steps = [(_LOAD, 0, 0, at), (_EQUAL, 0, len(steps) - 1, value), *steps]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *each) for each in steps))
    described = struct.pack("<Q", len(steps)) + struct.pack("<Q", ctypes.addressof(code))
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def refuse() -> None:
        assert code
        if prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(_SET_SECCOMP, _FILTER, described):
            raise OSError(ctypes.get_errno(), "no filter")

    return refuse
