"""Whether what a filter takes for sealed is: every ``struct open_how`` that it names.

A filter pins the address of the structure; that it keeps the kernel below the folder is in the
bytes there.  Source: Linux ``include/uapi/linux/openat2.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.inside import Inside
from limpet.audit.seccomp_decode import Allowed
from limpet.contract.limits import HOW_SIZE

_OPENAT2 = NUMBERS["openat2"]
_BY_DESCRIPTOR = {NUMBERS["readlinkat"]: 1}
"""Calls that take a path, and in which argument: here always an empty one."""

_BENEATH, _NO_MAGIC_LINKS = 8, 2
_CLOSE_ON_EXEC, _PATH, _NEVER_WAITS = 0o2000000, 0o10000000, 0o4000
_SET_ID = 0o7000
_WRITE = 2


def openings(inside: Inside) -> None:
    """Each opening stays below its folder, and each path beside a descriptor is empty."""
    for decoded in inside.filters.values():
        for rule in decoded.allowed:
            for what in _wrong(inside, rule):
                inside.found("filter", what)


def _wrong(inside: Inside, rule: Allowed) -> Iterator[str]:
    if rule.number == _OPENAT2:
        for low, high in rule.arguments[2]:
            if low != high or rule.arguments[3] != ((HOW_SIZE, HOW_SIZE),):
                yield "openat2 may be given any structure"
            elif not _is_sealed(inside, low, HOW_SIZE):
                yield f"the structure for openat2 at {low:#x} can be changed"
            elif not _stays_below(inside.bundle.memory(low, HOW_SIZE)):
                yield f"the structure at {low:#x} lets openat2 leave its folder, or wait"
    elif rule.number in _BY_DESCRIPTOR:
        for low, high in rule.arguments[_BY_DESCRIPTOR[rule.number]]:
            if (
                low != high
                or not _is_sealed(inside, low, 1)
                or inside.bundle.memory(low, 1) != b"\0"
            ):
                yield f"a path at {low:#x} need not be empty"


def _is_sealed(inside: Inside, address: int, size: int) -> bool:
    """Whether it lies in the monitor, which nothing can write."""
    part = inside.bundle.part_at(address)
    return (
        part is not None
        and part == inside.bundle.monitor
        and not part.flags & _WRITE
        and address + size <= part.end
    )


def _stays_below(how: bytes) -> bool:
    flags, mode, resolve = struct.unpack("<3Q", how)
    waits = not flags & (_PATH | _NEVER_WAITS) or not flags & _CLOSE_ON_EXEC
    return resolve == _BENEATH | _NO_MAGIC_LINKS and not mode & _SET_ID and not waits
