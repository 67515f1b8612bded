"""How often a program comes to a page that it does not have yet (perf_event_open(2))."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from limpet.arch.x86_64.syscalls import NUMBERS

_SOFTWARE, _PAGE_FAULTS = 1, 2
_DISABLED, _INHERIT, _EXCLUDE_KERNEL, _ENABLE_ON_EXEC = 1 << 0, 1 << 1, 1 << 5, 1 << 12
_ATTRIBUTES = struct.Struct("=IIQQQQQIIQ")  # PERF_ATTR_SIZE_VER0
_CLOEXEC = 8


def faults_of(argv: Sequence[str], path: Path) -> int:
    """Of ``path``, run as ``argv`` with an empty environment; none for what it has at once."""
    flags = _DISABLED | _INHERIT | _EXCLUDE_KERNEL | _ENABLE_ON_EXEC
    wanted = _ATTRIBUTES.pack(_SOFTWARE, _ATTRIBUTES.size, _PAGE_FAULTS, 0, 0, 0, flags, 0, 0, 0)
    call = ctypes.CDLL(None, use_errno=True).syscall
    counter = call(NUMBERS["perf_event_open"], wanted, 0, -1, -1, _CLOEXEC)
    if counter < 0:
        raise OSError(ctypes.get_errno(), "perf_event_open")
    try:
        subprocess.run(argv, executable=path, env={}, stdout=subprocess.DEVNULL, check=True)
        return int.from_bytes(os.read(counter, 8), "little")
    finally:
        os.close(counter)
