"""Whether a program can start threads: only then is there what serves more than one.

``clone`` is in nearly every C library, for ``posix_spawn`` and ``fork``; what tells a thread is the
flags, which a compiler leaves as a constant: in an instruction, or in data that is copied to where
``clone3`` reads it.  Flags: ``uapi/linux/sched.h``; a thread needs CLONE_VM, CLONE_SIGHAND and
CLONE_THREAD (``kernel/fork.c``, ``copy_process``), has no new namespace and sends no signal.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Mapping
from itertools import chain

from limpet.arch.x86_64.calls import Calls
from limpet.guests.linux.imported import may_start_threads
from limpet.guests.linux.parts import SystemCall, served
from limpet.loading.guest import Guest, SharedObject

CALLS = frozenset({"clone", "clone3"})
"""The system calls that start threads."""

_NEEDED = 0x10900  # CLONE_VM, CLONE_SIGHAND, CLONE_THREAD
_POSSIBLE = 0x1FD0F00  # those of the least 25 bits that a thread can have
_LIBRARIES = (0x3D0F00, 0x7D0F00, 0x50F00)
"""What glibc, musl and Go start threads with."""

_WORD = 8


def _byte(index: int) -> bytes:
    """A character class of the bytes that flags of threads can have at ``index``."""
    needed, possible = _NEEDED >> 8 * index & 0xFF, _POSSIBLE >> 8 * index & 0xFF
    fits = (each for each in range(256) if each & needed == needed and not each & ~possible)
    return b"[" + b"".join(b"\\x%02x" % each for each in fits) + b"]"


_FLAGS = re.compile(b"(?=(" + b"".join(map(_byte, range(4))) + b"))", re.DOTALL)
_LONGEST = 7
_TAKES_CONSTANT = re.compile(
    rb"(?:[\xb8-\xbf\x68\x0d\x25]|[\x81\xc7](?:[\x00-\x03\x06\x07\xc0-\xff]|[\x04\x40-\x47]."
    rb"|\x44..|[\x05\x80-\x83\x85-\x87].{4}|\x84.{5}))\Z",
    re.DOTALL,
)
"""What stands before a constant of four bytes: opcode and place of MOV, PUSH, OR, AND, ADD, CMP."""

_DATA = re.compile(b"|".join(re.escape(each.to_bytes(_WORD, "little")) for each in _LIBRARIES))


def started_at(calls: Calls) -> int | None:
    """Where the flags of a thread stand in an image; ``None``: it starts no thread."""
    image = calls.image
    for segment in image.executable:
        for match in _FLAGS.finditer(segment.data):
            address = segment.address + match.start()
            before = segment.data[max(0, match.start() - _LONGEST) : match.start()]
            if _TAKES_CONSTANT.search(before) and _is_constant(calls, address, match[1]):
                return address
    for segment in image.segments:
        for match in _DATA.finditer(segment.data):
            if (segment.address + match.start()) % _WORD == 0:
                return segment.address + match.start()
    return None


def _is_constant(calls: Calls, address: int, value: bytes) -> bool:
    """Whether an instruction has ``value`` at ``address``; yes where none is decoded."""
    body = calls.body(calls.block(address))
    index = bisect_right(body.order, address)
    if not index:
        return True
    at, size, _, operands = body.code[body.order[index - 1]]
    if address >= at + size:  # behind what was decoded
        return True
    return operands.endswith(f"{int.from_bytes(value, 'little'):#x}")


_C_LIBRARIES = frozenset({"libc.so.6", "libpthread.so.0", "libc.so", "libc.musl-x86_64.so.1"})


def is_c_library(each: SharedObject) -> bool:
    """Whether it only starts threads for who asks it to."""
    said = each.image.dynamic
    name = (said.soname if said else "") or os.path.basename(each.path)
    return name in _C_LIBRARIES or bool(each.image.entry and name.startswith("ld-"))


def serves(calls: Calls, guest: Guest) -> Mapping[int, SystemCall]:
    """What the library OS serves of a program: threads only where it can start some.

    Args:
        calls: those of the program.
        guest: the program, and the shared objects beside it.
    """
    objects = [each for each in guest.objects if not is_c_library(each)]
    others = (Calls(each.image, each.scan.branches) for each in objects)
    if any(may_start_threads(each) for each in (guest.links, *(o.links for o in objects))) or any(
        started_at(each) is not None for each in chain((calls,), others)
    ):
        return served()
    return {number: call for number, call in served().items() if call.name not in CALLS}
