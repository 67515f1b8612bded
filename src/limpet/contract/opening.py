"""The ways in which a file below a volume can be opened: constants that no guest can write.

``openat2`` takes flags by a structure.  A filter cannot look into one, but it can demand that it
is one of these: each keeps the kernel below the folder, follows no magic link, and makes no file
with a set-ID bit.  Source: Linux ``include/uapi/linux/openat2.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from limpet.contract.limits import (
    HOW_COUNT,
    HOW_CUTS,
    HOW_FOLDER,
    HOW_MODES,
    HOW_NEW,
    HOW_NO_FOLLOW,
    HOW_PATH,
    HOW_READS_TOO,
    HOW_SIZE,
    HOW_WRITES,
)

_WRITE, _READ_WRITE = 0o1, 0o2
_CREATE_NEW, _TRUNCATE = 0o300, 0o1000
_DIRECTORY, _NO_FOLLOW, _PATH = 0o200000, 0o400000, 0o10000000
_CLOSE_ON_EXEC = 0o2000000
_NEVER_WAITS = 0o4000 | 0o400
"""O_NONBLOCK, so that a named pipe or a device does not hold the guest, and O_NOCTTY."""

_BENEATH_WITHOUT_MAGIC = 8 | 2
NEW_MODES = (0o600, 0o644, 0o666, 0o640, 0o660, 0o664, 0o700, 0o755, 0o775, 0o777)
"""Of new files: none has a set-ID bit.  Three ways to open for each, in this order."""

_ACCESSES = 3


def _flags(way: int) -> int:
    if way >= HOW_NEW:
        return _CREATE_NEW | _NEVER_WAITS | (way - HOW_NEW) % _ACCESSES
    found = _NO_FOLLOW if way & HOW_NO_FOLLOW else 0
    if way >= HOW_WRITES:
        found |= _READ_WRITE if way & HOW_READS_TOO else _WRITE
        return found | _NEVER_WAITS | (_TRUNCATE if way & HOW_CUTS else 0)
    found |= _DIRECTORY if way & HOW_FOLDER else 0
    return found | (_PATH if way & HOW_PATH else _NEVER_WAITS)


def _ways() -> Iterator[bytes]:
    for way in range(HOW_COUNT):
        mode = NEW_MODES[(way - HOW_NEW) // _ACCESSES] if way >= HOW_NEW else 0
        yield struct.pack("<3Q", _flags(way) | _CLOSE_ON_EXEC, mode, _BENEATH_WITHOUT_MAGIC)


def table() -> bytes:
    """``struct open_how`` for each way."""
    found = b"".join(_ways())
    assert len(found) == HOW_COUNT * HOW_SIZE and len(NEW_MODES) == HOW_MODES
    return found


def places(address: int, *, writes: bool) -> tuple[int, ...]:
    """Where each way is in a table at ``address``; those that write only with ``writes``."""
    return tuple(address + way * HOW_SIZE for way in range(HOW_COUNT if writes else HOW_WRITES))
