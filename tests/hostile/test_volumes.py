"""Hostile guests with a folder of the host's: raw host calls of a process, and raw hypercalls."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract.limits import (
    HOW_COUNT,
    HOW_READS_TOO,
    HOW_SIZE,
    HOW_WRITES,
    LOCK_SET,
    LOCK_WHOLE,
    MAX_TRANSFER,
    SLOT_COUNT,
    SLOT_FD,
)
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
    "call", ["close_range", "pread64", "fstat", "lseek", "readlinkat", "flock", "fcntl"]
)
def test_descriptors(hostile: Hostile, call: str) -> None:
    """Nothing but what the guest opened itself."""
    here = hostile.place.arena[0]
    words = {
        "close_range": (SLOT_FD, 0),
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
    if call == "close_range":
        for last in (SLOT_FD - 1, SLOT_FD + SLOT_COUNT, 0xFFFFFFFF, 1 << 32 | SLOT_FD):
            hostile.ends(KILLED, "jump_call", stub, NUMBERS[call], SLOT_FD, last, 0)
        for flags in (2, 4, 1 << 32):
            hostile.ends(KILLED, "jump_call", stub, NUMBERS[call], SLOT_FD, SLOT_FD, flags)
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


EBADF, EFAULT, EINVAL, EPERM, EROFS, EXDEV = -9, -14, -22, -1, -30, -18
MONITOR = 0x20_0000_0000
FAR = (0, 1, 2, 3, 5, 16, VOLUME_FD, SLOT_FD - 1, SLOT_FD + SLOT_COUNT, 1 << 32 | SLOT_FD, -1)
"""What is no slot: standard descriptors, the machine, volumes, and what is cut to 32 bits."""


@dataclass(frozen=True)
class Machine:
    """Hypercalls of a guest in a virtual machine, one behind the other, each with its result."""

    hostile: Hostile

    def __call__(self, tried: Sequence[tuple[str, Sequence[int], int]]) -> None:
        """Hypercalls, their words but for the result, and what they have to come to."""
        ports = {call.name: call.port for call in limpet.contract.hypercalls()} | {"put": 1}
        words = [self.hostile.place.state_end - 4096]
        for name, block, _ in tried:
            result = [] if name == "put" else [0]
            words += [ports[name], len(block) + len(result), *(each % 2**64 for each in block)]
            words += result
        ran = self.hostile.run("blocks", *words)
        assert ran.status == 0, ran
        got = list(map(int, ran.stdout.split()[:-1]))
        assert not [each for each in zip(tried, got, strict=True) if each[0][2] != each[1]]


@pytest.fixture
def machine(make: Maker, tmp_path: Path) -> Machine:
    """All attacks, in a virtual machine, with a volume to write and one to read."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "file").write_bytes(b"contents")
    (tmp_path / "secret").write_bytes(b"secret")
    for each in (tmp_path, inside, *inside.iterdir(), tmp_path / "secret"):
        each.chmod(0o777)  # whoever a monitor becomes that root starts
    words = (f"--volume:/w={inside}", f"--volume:/data={inside}", "--")
    return Machine(Hostile(make, "kvm", ("volume:/w", "volume:/data:ro"), words))


def text(path: str) -> list[int]:
    """A path as words of memory."""
    data = path.encode() + b"\0\0"
    data = data.ljust(-(-len(data) // 8) * 8, b"\0")
    return list(struct.unpack(f"<{len(data) // 8}Q", data))


@pytest.mark.kvm
def test_opening_of_a_machine(machine: Machine, tmp_path: Path) -> None:
    """Other volumes, ways, lengths, memory that is not the guest's, paths that lead out."""
    place = machine.hostile.place
    own = place.arena[0] + (16 << 20)

    def opened(
        result: int, volume: int = 2, path: int = own, size: int = 5, way: int = 0, room: int = 0
    ) -> Any:
        return "volume_open", (volume, path, size, way, 0, room, 0, 0), result

    def named(path: str, result: int, way: int = 0, volume: int = 2) -> list[Any]:
        put = "put", (own, *text(path)), 0
        return [put, opened(result, volume, size=len(path) + 1, way=way)]

    new = HOW_WRITES + 8
    nowhere = (0, place.supervisor, MONITOR, place.stack[1], place.stack[1] - 2, -1)
    machine(
        [
            *named("file", SLOT_FD),
            *(opened(EINVAL, volume) for volume in (0, 3, 64, 2**32 + 1, -1)),
            *(opened(EINVAL, way=way) for way in (HOW_WRITES, HOW_COUNT, 2**32, 2**60, -1)),
            *(opened(EINVAL, 1, way=way) for way in (HOW_COUNT, 2**32 + HOW_WRITES, -1)),
            *(opened(EINVAL, size=size) for size in (0, 4097, 2**32 + 5, -1)),
            *(opened(EFAULT, path=path) for path in nowhere),
            *(opened(EFAULT, room=room or 8) for room in nowhere),
            # The monitor writes there itself, so not where a page may be constant or missing.
            *(opened(EFAULT, room=room) for room in (own, place.guest[0], place.state - 8)),
            opened(EFAULT, room=place.state_end - 8),
            opened(EFAULT, room=place.state_end - 16380),
            opened(SLOT_FD + 1, room=place.state_end - 16384),
            *named("../secret", EXDEV),
            *named(str(tmp_path / "secret"), EXDEV),
            *named("../new", EXDEV, new, 1),
            *named("new", EINVAL, new),
        ]
    )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["inside", "secret"]


@pytest.mark.kvm
def test_slots_of_a_machine(machine: Machine, tmp_path: Path) -> None:
    """What is no slot, memory that is not the guest's, and each number that no call takes."""
    place = machine.hostile.place
    own, slot, held = place.arena[0] + (16 << 20), SLOT_FD, (0, 0, 0, 0)
    stat = (0,) * 18
    reads = ("volume_list", "volume_link")
    tried: list[Any] = [("put", (own, *text("file")), 0)]
    tried.append(("volume_open", (1, own, 5, HOW_WRITES | HOW_READS_TOO, 0, 0, 0, 0), slot))
    for fd in FAR:
        tried += [(name, (fd, own, 8), EBADF) for name in reads]
        tried += [("volume_read", (fd, 0, own, 8), EBADF), ("volume_close", (fd, slot), EBADF)]
        tried += [("volume_close", (slot, fd), EBADF)]
        tried += [("volume_write", (fd, 0, own, 8, 0), EBADF)]
        tried += [("volume_lock", (fd, LOCK_WHOLE, 5, 0, 0, *held), EBADF)]
        tried += [
            ("volume_set", (fd, 0, 0, 0, 0), EBADF),
            ("volume_tell", (fd, 0, 0, *stat), EBADF),
        ]
    for at in (0, place.supervisor, MONITOR, place.stack[1], place.stack[1] - 4, -1):
        tried += [(name, (slot, at, 8), EFAULT) for name in reads]
        tried += [("volume_read", (slot, 0, at, 8), EFAULT)]
        tried += [("volume_write", (slot, 0, at, 8, 0), EFAULT)]
    for length in (MAX_TRANSFER + 1, 2**32 + 1, -1):
        tried += [("volume_read", (slot, 0, own, length), EFAULT)]
        tried += [("volume_write", (slot, 0, own, length, 0), EFAULT)]
        tried += [(name, (slot, own, length), EFAULT) for name in reads]
    tried += [
        ("volume_write", (slot, 0, own, 1, flags), EINVAL) for flags in (1, 6, 8, 32, 2**40, -1)
    ]
    tried += [("volume_write", (slot, at, own, 1, 0), EINVAL) for at in (2**63, -1)]
    tried += [("volume_read", (slot, -1, own, 1), EINVAL)]
    tried += [("volume_set", (slot, what, 0, 0, 1), EINVAL) for what in (4, 2**32, -1)]
    tried += [
        ("volume_set", (slot, 1, mode, 0, 1), EINVAL) for mode in (2, 4, 8, 32, 64, 2**32, -1)
    ]
    tried += [("volume_tell", (slot, what, 0, *stat), EINVAL) for what in (7, 2**32, -1)]
    for what, kinds in (
        (LOCK_WHOLE, (0, 1, 2, 3, 16, 32)),
        (LOCK_SET, (3, 4, 2**16, -1)),
        (3, (0,)),
    ):
        tried += [("volume_lock", (slot, what, kind, 0, 0, *held), EINVAL) for kind in kinds]
    machine(tried)
    assert (tmp_path / "inside" / "file").read_bytes() == b"contents"


@pytest.mark.kvm
def test_names_of_a_machine(machine: Machine, tmp_path: Path) -> None:
    """A volume to read keeps its names; modes with set-ID bits, paths and kinds that are none."""
    place = machine.hostile.place
    own, times = place.arena[0] + (16 << 20), (0,) * 6
    folder, nothing, same, moved, mode = 0, 3, 5, 6, 7

    def change(path: str, result: int, what: int, argument: int = 0, volume: int = 1) -> list[Any]:
        words = what, argument, volume, own, len(path), *times
        return [("put", (own, *text(path)), 0), ("volume_name", words, result)]

    tried = [
        *(each for what in range(10) for each in change("file\0x", EROFS, what, 0, 2)),
        *(each for v in (0, 3, 2**32 + 1, -1) for each in change("x", EINVAL, folder, 0o755, v)),
        *(each for bits in (0o4755, 0o2755, -1) for each in change("x", EPERM, folder, bits)),
        *(each for bits in (0o4755, 0o2755, -1) for each in change("file", EPERM, mode, bits)),
        *(each for path in (".", "..", "", "a/..", "/") for each in change(path, EINVAL, nothing)),
        *change("../secret", EXDEV, nothing),
        *change("../new", EXDEV, folder, 0o755),
        *change("new\0../secret", EXDEV, same),
        *change("../new\0file", EXDEV, moved),
        *(
            each
            for flags in (3, 4, 2**32, -1)
            for each in change("new\0file", EINVAL, moved, flags)
        ),
        *(each for what in (1, 9, 2**32, -1) for each in change("file", EINVAL, what)),
        *(("volume_name", (folder, 0, 1, at, 8, *times), EFAULT) for at in (0, MONITOR, -1)),
        *(("volume_name", (folder, 0, 1, own, n, *times), EINVAL) for n in (8193, 2**32, -1)),
    ]
    machine(tried)
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["file", "inside", "secret"]
