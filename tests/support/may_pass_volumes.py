"""What may pass for volumes, written by hand as in ``may_pass``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.support.bpf import Spans
from tests.support.may_pass import (
    EXIT_GROUP,
    FDATASYNC,
    GUEST,
    MONITOR,
    PREAD,
    RECVFROM,
    SENDTO,
    Call,
    most,
    one,
)

CLOSE, FSTAT, LSEEK, FSTATFS, GETDENTS64, READLINKAT, OPENAT2 = 3, 5, 8, 138, 217, 267, 437
FSYNC, FTRUNCATE, FALLOCATE, PWRITEV2 = 74, 77, 285, 328
FCHMOD, MKDIRAT, UNLINKAT, LINKAT, SYMLINKAT, UTIMENSAT = 91, 258, 263, 265, 266, 280
RENAMEAT2, FCNTL, FLOCK, CLOSE_RANGE, FCHMODAT2 = 316, 72, 73, 436, 452

SLOTS: Spans = ((128, 1151),)
"""Descriptors of what a guest opened: 1024 from 128 on."""

OPEN_WAYS, OPEN_WAY_SIZE, READING, WAYS = 0x20_0000_0000, 24, 8, 46
"""``struct open_how`` are the first constants of a monitor; the first eight do not write."""

NO_NAME = OPEN_WAYS + WAYS * OPEN_WAY_SIZE
"""An empty string, behind all of them."""


def volumes(folders: Sequence[int], writable: Sequence[int], *, kvm: bool) -> Iterable[Call]:
    """Folders of the host's, the device N again at 16 + N; those that can be written once more."""

    def call(number: int, stub: str, arguments: Mapping[int, Spans], **on_kvm: Spans) -> Call:
        more = {int(name[1:]): spans for name, spans in on_kvm.items()} if kvm else {}
        return Call(number, {**arguments, **more}, "" if kvm else f"host_volume_{stub}")

    if not folders:
        return
    ways = one(*(OPEN_WAYS + way * OPEN_WAY_SIZE for way in range(READING)))
    below = {0: one(*(16 + each for each in folders)), 2: ways, 3: one(OPEN_WAY_SIZE)}
    slot = {0: SLOTS}
    yield call(OPENAT2, "open_openat2", below, a1=MONITOR)
    yield call(FSTAT, "open_fstat", slot, a1=MONITOR)
    if not kvm:
        yield call(FSTAT, "tell_fstat", slot)
    yield call(CLOSE_RANGE, "close_close_range", {**slot, 1: SLOTS, 2: one(0)})
    yield call(PREAD, "read_pread64", {**slot, 2: most(1 << 20)}, a1=GUEST)
    yield call(GETDENTS64, "list_getdents64", {**slot, 2: most(1 << 20)}, a1=GUEST)
    link = {**slot, 1: one(NO_NAME), 3: most(4096)}
    yield call(READLINKAT, "link_readlinkat", link, a2=GUEST)
    yield call(FLOCK, "lock_flock", {**slot, 1: one(5, 6, 8, 12)})
    yield call(FCNTL, "lock_fcntl", {**slot, 1: one(36, 37)}, a2=MONITOR)
    yield call(FSTATFS, "tell_fstatfs", slot, a1=MONITOR)
    yield call(LSEEK, "tell_lseek", {**slot, 2: most(4)})
    if not kvm:
        asked = {0: one(127), 3: one(0x4000), 4: one(0), 5: one(0)}
        yield call(SENDTO, "ask_sendto", asked)
        yield call(RECVFROM, "ask_recvfrom", {**asked, 3: one(0)})
    if not writable:
        return
    more = one(*(OPEN_WAYS + way * OPEN_WAY_SIZE for way in range(READING, WAYS)))
    below = {0: one(*(16 + each for each in writable)), 2: more, 3: one(OPEN_WAY_SIZE)}
    yield call(OPENAT2, "open_openat2", below, a1=MONITOR)
    bytes_ = {**slot, 2: one(1), 3: most((1 << 63) - 1), 4: one(0), 5: one(0, 2, 4, 16, 18, 20)}
    yield call(PWRITEV2, "write_pwritev2", bytes_, a1=MONITOR)
    yield call(FTRUNCATE, "set_ftruncate", slot)
    yield call(FALLOCATE, "set_fallocate", {**slot, 1: one(0, 1, 3, 16, 17)})
    yield call(FSYNC, "set_fsync", slot)
    yield call(FDATASYNC, "set_fdatasync", slot)
    if kvm:
        yield from names()


def namer(folders: Sequence[int], writable: Sequence[int]) -> Iterable[Call]:
    """The process that changes names: a pair with the guest, and what a kvm monitor does; or tells
    owners, where nothing can be written."""
    for each, first, last in ((folders, 0, READING), (writable, READING, WAYS)):
        if not each:
            continue
        ways = one(*(OPEN_WAYS + way * OPEN_WAY_SIZE for way in range(first, last)))
        below = {0: one(*(16 + at for at in each)), 1: MONITOR, 2: ways, 3: one(OPEN_WAY_SIZE)}
        yield Call(OPENAT2, below)
    yield from names() if writable else (Call(CLOSE, {0: SLOTS}),)
    yield Call(FSTAT, {0: SLOTS, 1: MONITOR})
    message = {0: one(0), 1: MONITOR, 4: one(0), 5: one(0)}
    yield Call(RECVFROM, {**message, 3: one(0)})
    yield Call(SENDTO, {**message, 2: one(8), 3: one(0x4000)})
    yield Call(EXIT_GROUP, {0: one(0)})


def names() -> Iterable[Call]:
    """Names in folders that were opened below a volume, by strings of the monitor's own."""
    one_name = {0: SLOTS, 1: MONITOR}
    two_names = {**one_name, 2: SLOTS, 3: MONITOR}
    yield Call(CLOSE, {0: SLOTS})
    yield Call(MKDIRAT, {**one_name, 2: most(0o1777)})
    yield Call(SYMLINKAT, {0: MONITOR, 1: SLOTS, 2: MONITOR})
    yield Call(UNLINKAT, {**one_name, 2: one(0, 0x200)})
    yield Call(LINKAT, {**two_names, 4: one(0)})
    yield Call(RENAMEAT2, {**two_names, 4: one(0, 1, 2)})
    yield Call(FCHMOD, {0: SLOTS, 1: most(0o1777)})
    yield Call(FCHMODAT2, {0: SLOTS, 1: one(NO_NAME), 2: most(0o1777), 3: one(0x1000)})
    yield Call(UTIMENSAT, {0: SLOTS, 1: one(NO_NAME), 2: MONITOR, 3: one(0x1000)})
