"""A first look at a guest's file: whether it is a Solo5 unikernel, and for which target.

This is on the path of every cached ``limpet run``, so it imports nothing heavy and judges nothing:
what is damaged is complained about when it is read in full.
"""

from __future__ import annotations

import struct
from pathlib import Path

from limpet.guests.usual import Usual

FALLBACK = False
MEMORY = 512 << 20
"""Bytes in all, as with Solo5's tenders."""

USUAL = {
    "hvt": Usual("hvt", MEMORY, ("kvm",), only=True, devices=True),
    "spt": Usual("spt", MEMORY, ("process",), only=True, devices=True),
}

_HEADER = struct.Struct("<4s28xQ14xHH8x")
_PT_NOTE, _ABI1 = 4, 0x31494241
_TARGETS = {1: "hvt", 2: "spt"}


def solo5_target(path: Path) -> str | None:
    """``"hvt"`` or ``"spt"``, ``None`` for everything else."""
    if not path.is_file():  # who opens a pipe waits
        return None
    try:
        with path.open("rb") as stream:
            magic, phoff, phent, phnum = _HEADER.unpack(stream.read(_HEADER.size))
            if magic != b"\x7fELF" or phent != 56 or phnum > 256:
                return None
            stream.seek(phoff)
            table = stream.read(phent * phnum)
            for at in range(0, len(table) - phent + 1, phent):
                kind, _, offset = struct.unpack_from("<IIQ", table, at)
                if kind != _PT_NOTE:
                    continue
                stream.seek(offset)
                note = stream.read(24)
                if note[8:18] == struct.pack("<I6s", _ABI1, b"Solo5\0"):
                    return _TARGETS.get(int.from_bytes(note[20:24], "little"))
    except (OSError, struct.error, ValueError, OverflowError):
        pass
    return None


def peek(path: Path) -> Usual | None:
    """What is usual for the unikernel at ``path``, ``None`` when it is not one."""
    target = solo5_target(path)
    return USUAL[target] if target else None
