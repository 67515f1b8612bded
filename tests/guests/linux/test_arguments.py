"""Arguments that no program means: every file call gives the error that Linux gives, and no more.

Each argument is usual or not: numbers at the ends of their ranges, pointers to nothing, closed and
wrong kinds of descriptor, flags that do not exist.  What else differs on purpose stands in
``test_differential.py``, and besides:

- a transfer is at most as large as the program's buffer, or larger than any memory
- what owns a lock, and whose process that is
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import strategies as st

from limpet.contract import Backend
from tests.support.bundles import BACKENDS, Maker
from tests.support.same_calls import SLOTS, Calls, Pair, any_of, check_all, each, number_of

pytestmark = pytest.mark.slow

FAR = [1 << 31, 1 << 32, (1 << 32) + 3, 1 << 47, 1 << 62, (1 << 63) - 1, -(1 << 63), -(1 << 31)]
"""Where 32 bits, a program's addresses and signed numbers end."""

BAD = "i8"
"""A pointer to nothing."""

KERNEL = "i-4096"
"""A pointer that no program may have."""

number = each([0, 1, 2, 3, 7, 8, 9, 100, 4095, 4096, 65536, -1, -2, (1 << 31) - 1, *FAR])
flags = each([0, 0, 0, 0, 1, 2, 3, 4, 8, 0x10, 0x20, 0x100, 0x1000, 0x80000, -1, 1 << 31, 1 << 32])
fd = each([*range(11), *range(11), *range(11), 20, -1, 1023, 1024, -100, *FAR])
path = st.sampled_from(
    ["sa", "sbig", "sd", "sl", "sx", "sn", "sp", "so", "sd/f", "s", "sdev", "sk/f"]
)
path = st.one_of(path, path, path, path, st.sampled_from(["s/dev/null", "sa/", "sn/", BAD, KERNEL]))
at = each([-100, -100, -100, -100, 0, 1, 2, 3, -1, (1 << 32) - 100, 1 << 31])
place = each([0, 0, 1, 9, 10, 4096, 69999, 70000, 70001, -1, (1 << 63) - 1, -(1 << 63)])
size = each([0, 1, 5, 100, 4096, 60000, -1, 1 << 47, 1 << 62, (1 << 63) - 1, -(1 << 63)])
count = each([0, 1, 5, 100, 4096, -1, -5, 1 << 31, 1 << 47, 1 << 62, (1 << 63) - 1, -(1 << 63)])
reads = st.one_of(st.just("r"), st.just("r"), st.sampled_from([BAD, KERNEL, "i0"]))
writes = st.one_of(st.just("w"), st.just("w"), st.sampled_from([BAD, KERNEL, "i0"]))
vector = st.sampled_from(["v5,7", "v0", "v4096,1", "u5,7", "u100", BAD, KERNEL, "i0", "n8,5,8,-1"])
vector = st.one_of(
    vector, st.sampled_from(["n-4096,5", "n0,0,0,0", "n8,-1", "n8,4611686018427387904"])
)
elements = each([0, 1, 1, 1, 2, 2, 3, 1025, -1, *FAR])
offset = st.one_of(
    *[place.map(lambda text: f"n{text[1:]}")] * 3, st.just("i0"), st.sampled_from([BAD, KERNEL])
)
seconds = st.sampled_from([0, 1, -1, 1 << 31, 1 << 40, (1 << 63) - 1])
nanoseconds = st.sampled_from([0, 1, 999999999, 1000000000, -1, 0x3FFFFFFF, 0x3FFFFFFE, 1 << 62])
times = st.builds("T{},{},{},{}".format, seconds, nanoseconds, seconds, nanoseconds)
times = st.one_of(times, times, st.sampled_from(["i0", BAD, KERNEL]))
range_ = st.sampled_from([0, 1, 5, 10, 100, -1, -5, (1 << 63) - 1, -(1 << 63), 1 << 62])
kind = st.builds(
    lambda type_, whence: type_ + (whence << 16),
    st.sampled_from([0, 0, 0, 1, 1, 1, 2, 2, 3, 0xFFFF]),
    st.sampled_from([0, 0, 0, 0, 1, 2, 3, 0xFFFF]),
)
lock = st.builds("L{},{},{},{}".format, kind, range_, range_, st.sampled_from([0, 0, 0, 0, 1]))
lock = st.one_of(*[lock] * 6, st.sampled_from([BAD, KERNEL, "i0"]))
files_open = st.sampled_from(["n1000,1024", "n5,4", "n-1,-1", "n4,1024", "n9,1024", BAD, KERNEL])
file_size = st.sampled_from(["n100,-1", "n5000,-1", "n-1,-1", "n0,-1", "n5,4", BAD, KERNEL])
whence = each([0, 0, 1, 1, 2, 2, 3, 4, 5, -1, 1 << 32])
whole_locks = each([1, 2, 4, 5, 5, 5, 6, 6, 6, 8, 8, 9, 0, 3, 12, 32, 33, -1, 1 << 32])
stats = st.one_of(st.just("S"), st.just("S"), st.just("S"), st.sampled_from([BAD, KERNEL]))
opening = each([0, 1, 2, 3, 0x40, 0x42, 0xC2, 0x200, 0x241, 0x400, 0x402, 0x801, 0x4000, 0x10000])
opening = st.one_of(opening, each([0x40000, 0x200000, 0x210000, 0x410002, 0x10042, 0x400000, -1]))
mode = each([0, 0o644, 0o777, 0o7777, 0o10644, 0o40755, 0o140000, 0o160000, -1, 1 << 32])

attribute = st.sampled_from(["suser.a", "suser.b", "suser.", "strusted.a", "sa", "s", "ssystem.a"])
attribute = st.one_of(
    *[attribute] * 3, st.sampled_from([f"suser.{'n' * 250}", f"suser.{'n' * 251}", BAD, KERNEL])
)
value = st.one_of(st.just("w"), st.just("w"), st.sampled_from([BAD, KERNEL, "i0"]))
value_size = each([0, 1, 5, 5, 100, 65535, 65536, 65537, -1, 1 << 32])
opened = each([*range(9), *range(9), 20, -1, 1024])
put = (attribute, value, value_size, each([0, 0, 0, 1, 2, 3, 4, -1, 1 << 32]))
get = (attribute, reads, each([0, 1, 5, 100, 65537, 200000]))
listed = (reads, each([0, 1, 7, 8, 1000, 65537, 200000]))
queue = st.sampled_from(["ssocket", "ssocket", "sd/socket", "sn/socket"])
fifo = st.sampled_from(["sfifo", "sfifo", "sfifo", "sd/fifo", "sn/fifo"])
memory_name = st.sampled_from(["sname", "s", f"s{'n' * 249}", f"s{'n' * 250}", BAD, KERNEL])
seals = each([0, 1, 2, 4, 8, 0x10, 0x20, 0x40, 6, -1, 1 << 32])

how = st.builds(
    "N{},{},{}".format,
    st.sampled_from(
        [0, 0, 1, 2, 0x42, 0x10000, 0x200000, 0x200001, 0x40000, 0x410002, -1, 1 << 32]
    ),
    st.sampled_from([0, 0, 0, 0o644, 0o10644]),
    st.sampled_from([0, 4, 8, 8, 8, 0x10, 0x10, 0x10, 0x18, 0x20, 0x40, 1 << 32]),
)
how = st.one_of(*[how] * 5, st.sampled_from([BAD, KERNEL, "N0,0,0,0", "N0,0,0,1"]))
way = st.sampled_from(["s/a", "s..", "sd/../a", "sd/../../w/a", "su", "sl", "sp/p/a", "so", "sk/f"])
way = st.one_of(path, way, way, way, st.sampled_from(["s/", "s/..", "s../v", "sd/e/../../n"]))

splicing = each([0, 2, 2, 2, 3, 6, 0xF, 0x10, -1, 1 << 32])
never = each([2, 2, 2, 3, 6, 0xA, 0x12, -1])

CALLS: Calls = {
    "close": ((fd,),),
    "close_range": ((fd, fd, flags),),
    "copy_file_range": ((fd, offset, fd, offset, count, flags),) * 3,
    "dup": ((fd,),),
    "dup2": ((fd, fd),),
    "dup3": ((fd, fd, each([0, 0, 0x80000, 0x80001, 1 << 32, -1])),),
    "fadvise64": ((fd, number, number, each([0, 1, 5, 6, -1, 1 << 32])),),
    "fallocate": ((fd, each([0, 1, 2, 3, 3, 3, 4, 8, 0x10, 0x11, 0x20, 0x40, -1]), place, place),)
    * 2,
    "fcntl": (
        (fd, each([5, 6, 6, 6, 36, 37, 37, 37, 37]), lock),
        (fd, each([5, 6, 36, 37]), lock),
        (fd, each([0, 1030, 2, 1027]), fd),
        (fd, each([1, 3, 9, 11, 1025, 98, -1, 1 << 32]), number),
        (fd, each([4]), each([0x800, 0x4800, 0x40800, 0xC00, -1])),
        (fd, each([8]), each([0, 1 << 31, 1 << 32, 99999999, -99999999])),
        (fd, each([10]), each([0, -1, 65, 2, 1 << 31, 1 << 32])),
        (fd, each([1035, 1036]), offset),
        (fd, each([1033, 1033, 1034]), seals),
        (each([11, 12, 13]), each([1033, 1033, 1034]), seals),
    ),
    "fchdir": ((fd,),),
    "fchmod": ((fd, mode),),
    "fchown": ((fd, each([0, 5, -1, 1 << 32]), each([0, -1, 1 << 31])),),
    "fdatasync": ((fd,),),
    "flock": ((fd, whole_locks),) * 3,
    "fstat": ((fd, stats),),
    "fsync": ((fd,),),
    "ftruncate": ((fd, each([0, 5, 4096, 70001, -1, -(1 << 63)])),),
    "getdents64": (
        (fd, st.sampled_from(["D", BAD, KERNEL]), each([0, 1, 24, 60000, -1, 1 << 31])),
    ),
    "getdents": ((fd, st.sampled_from(["d", BAD, KERNEL]), each([0, 1, 24, 60000, -1, 1 << 31])),),
    "ioctl": ((fd, each([0x5450, 0x5451, 0x5451, 0xFFFF, -1]), number),),
    "lseek": ((fd, place, whence),) * 2,
    "open": ((path, opening, mode),) * 3
    + ((queue, each([0x800, 0x800, 0x801, 0x801, 0x802, 0x803, 0x200000]), mode),) * 2
    + ((fifo, each([0x800, 0x800, 0x801, 0x801, 0x802, 0x803, 0x200000, 0x4801]), mode),) * 3,
    "openat": ((at, path, opening, mode),),
    "openat2": ((each([-100, -100, 2, 2, 0, -1]), way, how, each([24] * 6 + [0, 23, 32, 4097])),)
    * 3,
    "pread64": ((fd, reads, size, place),) * 2,
    "preadv": ((fd, vector, elements, place),),
    "preadv2": ((fd, vector, elements, place, each([0]), flags),) * 2,
    "prlimit64": (
        (each([0, 0, 0, -1, 1 << 32]), each([7, 7, 7, 16, -1]), files_open, each([0])),
        (each([0]), each([1]), file_size, each([0])),
    ),
    "pwrite64": ((fd, writes, size, place),) * 2,
    "pwritev": ((fd, vector, elements, place),),
    "pwritev2": ((fd, vector, elements, place, each([0]), flags),) * 2,
    "read": ((fd, reads, size),) * 2,
    "readahead": ((fd, number, number),),
    "readlink": ((path, reads, each([0, 1, 100, -1, 1 << 31, 1 << 32])),),
    "readv": ((fd, vector, elements),),
    "sendfile": ((fd, fd, offset, count),) * 3,
    "statx": ((at, path, each([0, 0x100, 0x1000, 0x2000, 0x6000, 2, -1]), number, st.just("X")),),
    "symlink": ((path, path),),
    "sync_file_range": ((fd, number, number, flags),),
    "syncfs": ((fd,),),
    "truncate": ((path, each([0, 5, 4096, 70001, -1, -(1 << 63)])),),
    "utimensat": ((at, path, times, flags), (fd, each([0]), times, flags)),
    "setxattr": ((path, *put),) * 2,
    "lsetxattr": ((path, *put),),
    "fsetxattr": ((opened, *put),) * 2,
    "getxattr": ((path, *get),),
    "lgetxattr": ((path, *get),),
    "fgetxattr": ((opened, *get),),
    "listxattr": ((path, *listed),),
    "llistxattr": ((path, *listed),),
    "flistxattr": ((opened, *listed),),
    "removexattr": ((path, attribute),),
    "lremovexattr": ((path, attribute),),
    "fremovexattr": ((opened, attribute),),
    "mknod": (
        *((queue, each([0o140644, 0o140755, 0o40755, 0o160000, -1]), each([0])),) * 2,
        *((fifo, each([0o10644, 0o10700]), each([0])),) * 2,
    ),
    "mknodat": ((at, queue, each([0o140644]), number), (at, fifo, each([0o10644]), number)),
    "splice": ((fd, offset, fd, offset, count, splicing),) * 3,
    "tee": ((fd, fd, count, splicing),) * 2,
    "vmsplice": ((fd, vector, elements, never),) * 2,
    "memfd_create": ((memory_name, each([0, 1, 2, 3, 2, 8, 9, 0x10, 0x18, 0x20, -1, 1 << 32])),),
    "fchmodat2": ((at, path, mode, each([0, 0x100, 0x1000, 0x1100, 2, -1])),),
    "umount2": ((path, each([16, -1])),),
    "write": ((fd, writes, size),) * 2,
    "writev": ((fd, vector, elements),),
}

OPENED = [
    "open sa i2",
    "open sbig i2",
    "open sd i65536",
    "pipe2 F i2048",
    "open sa i0",
    "open sa i1025",
    "open sx i2097152",
    "open s/dev/null i2",
    "mknod sfifo i4516 i0",
    "open sfifo i2050",
    "open sfifo i2049",
]
"""A file for each kind of descriptor, 0 to 10."""

sequence = st.lists(any_of(CALLS), min_size=1, max_size=24).map(
    lambda some: [*map(number_of, OPENED), *some]
)
sequences = st.lists(sequence, min_size=1, max_size=SLOTS)

EXAMPLES = {"process": 100, "kvm": 12}


@pytest.mark.parametrize("backend", BACKENDS)
def test_same_errors(make: Maker, backend: Backend, template: Path) -> None:
    """Whatever the arguments are, results, errors and effects are those of Linux."""
    check_all(Pair(make, backend, template).compare, sequences, EXAMPLES[backend])
