"""Hostile guests with a folder of the host's: raw host calls from the stubs of a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract.limits import HOW_COUNT, HOW_SIZE, HOW_WRITES, SLOT_COUNT, SLOT_FD
from limpet.planning import sealed
from tests.hostile.guest import End, Hostile, stubs
from tests.support.bundles import Maker

KILLED = End(159)
VOLUME_FD, WAYS, NO_NAME = 17, sealed.ADDRESSES["OPEN_WAYS"], sealed.ADDRESSES["NO_NAME"]


@pytest.fixture
def hostile(make: Maker, tmp_path: Path) -> Hostile:
    """All attacks, in a process, with a volume to read."""
    return Hostile(make, "process", ("volume:/data:ro",), (f"--volume:/data={tmp_path}", "--"))


def passing(hostile: Hostile, call: str, *words: int) -> int:
    """The stub from which a call passes with those arguments."""
    for at in stubs(hostile):
        if hostile.run("jump_call", at, NUMBERS[call], *words).status != KILLED.status:
            return at
    raise AssertionError(f"no stub makes {call}")


def test_opening(hostile: Hostile) -> None:
    """Only the sealed ways, of the size that they have, and only below the volume."""
    here = hostile.place.arena[0]
    good = (VOLUME_FD, here, WAYS, HOW_SIZE)
    stub = passing(hostile, "openat2", *good)
    bad = [
        (VOLUME_FD, here, here, HOW_SIZE),
        (VOLUME_FD, here, WAYS + 8, HOW_SIZE),
        (VOLUME_FD, here, WAYS & 0xFFFFFFFF, HOW_SIZE),
        (VOLUME_FD, here, WAYS | 1 << 40, HOW_SIZE),
        (VOLUME_FD, here, WAYS, HOW_SIZE + 8),
        (VOLUME_FD, here, WAYS, 0),
        *(
            (VOLUME_FD, here, WAYS + way * HOW_SIZE, HOW_SIZE)
            for way in range(HOW_WRITES, HOW_COUNT)
        ),
        *((fd & (1 << 64) - 1, here, WAYS, HOW_SIZE) for fd in (-100, 0, 3, 16, 18, SLOT_FD)),
    ]
    for words in bad:
        hostile.ends(KILLED, "jump_call", stub, NUMBERS["openat2"], *words)
    for other in ("openat", "open", "creat", "openat2"):
        hostile.ends(KILLED, "jump_call", stub, NUMBERS[other], VOLUME_FD, here, 0, 0)


@pytest.mark.parametrize(
    "call", ["close", "pread64", "fstat", "lseek", "readlinkat", "flock", "fcntl"]
)
def test_descriptors(hostile: Hostile, call: str) -> None:
    """Nothing but what the guest opened itself."""
    here = hostile.place.arena[0]
    words = {
        "flock": (5,),
        "fcntl": (37, here),
        "pread64": (here, 1, 0),
        "lseek": (0, 0),
        "readlinkat": (NO_NAME, here, 8),
    }
    more = words.get(call, (here,))
    stub = passing(hostile, call, SLOT_FD, *more)
    for fd in (0, 2, 16, VOLUME_FD, SLOT_FD - 1, SLOT_FD + SLOT_COUNT, 1 << 32 | SLOT_FD):
        hostile.ends(KILLED, "jump_call", stub, NUMBERS[call], fd, *more)
    for command in {"fcntl": (0, 1, 2, 4, 6, 7, 38, 1024, 1030), "flock": (1, 2, 4, 32)}.get(
        call, ()
    ):
        hostile.ends(KILLED, "jump_call", stub, NUMBERS[call], SLOT_FD, command, here)
    if call == "readlinkat":
        hostile.ends(KILLED, "jump_call", stub, NUMBERS[call], VOLUME_FD, here, here, 8)
        hostile.ends(KILLED, "jump_call", stub, NUMBERS[call], SLOT_FD, here, here, 8)


def test_writing(make: Maker, tmp_path: Path) -> None:
    """One volume can be written, another not: ways that write lead below the first alone."""
    words = (f"--volume:/w={tmp_path}", f"--volume:/data={tmp_path}", "--")
    hostile = Hostile(make, "process", ("volume:/w", "volume:/data:ro"), words)
    here, writes = hostile.place.arena[0], WAYS + HOW_WRITES * HOW_SIZE
    stub = passing(hostile, "openat2", VOLUME_FD, here, writes, HOW_SIZE)
    for given in (
        (VOLUME_FD + 1, here, writes, HOW_SIZE),
        (VOLUME_FD + 1, here, WAYS + (HOW_COUNT - 1) * HOW_SIZE, HOW_SIZE),
        (VOLUME_FD, here, WAYS + HOW_COUNT * HOW_SIZE, HOW_SIZE),
        (SLOT_FD, here, writes, HOW_SIZE),
    ):
        hostile.ends(KILLED, "jump_call", stub, NUMBERS["openat2"], *given)
    stub = passing(hostile, "pwritev2", SLOT_FD, here, 1, 0, 0, 0)
    for more in (
        (VOLUME_FD, here, 1, 0, 0, 0),
        (1, here, 1, 0, 0, 0),
        (SLOT_FD, here, 2, 0, 0, 0),
        (SLOT_FD, here, 1, (1 << 64) - 1, 0, 0),
        (SLOT_FD, here, 1, 0, 0, 1),
        (SLOT_FD + SLOT_COUNT, here, 1, 0, 0, 0),
    ):
        hostile.ends(KILLED, "jump_call", stub, NUMBERS["pwritev2"], *more)
    stub = passing(hostile, "ftruncate", SLOT_FD, 0)
    for name in ("fchmod", "fchown", "unlinkat", "mkdirat", "renameat2", "ioctl", "mmap"):
        hostile.ends(KILLED, "jump_call", stub, NUMBERS[name], SLOT_FD, here, 0, 0, 0)
