"""The library OS against the kernel: the same calls in the same tree give the same results.

Not compared, since Limpet differs on purpose or since it cannot be equal:

- times of now and those of what is not in the tree; access times (as if mounted ``noatime``)
- inode and device numbers (but what is the same file is), sizes of directories, blocks
- the order of a directory's entries, and positions between them
- files beyond 2**40 bytes, which give ``EFBIG``; whiteouts; device nodes and named pipes
- a call that fails with ``EFAULT`` has changed nothing, where Linux has sometimes begun
- ``fchmod`` and its like succeed on a pipe, and change nothing
- a file of ``memfd_create`` is on the same device as all others (and left out)
- ``statx`` fills in everything, wanted or not
- a pipe is 65536 bytes, not 16 pages of which each may be partly used; vectors go through pipes
  and event counters an element at a time
- waiting: what nothing could ever answer hangs there and ends the guest here, so no pipe blocks
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import strategies as st

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from tests.support.bundles import BACKENDS, Maker
from tests.support.same_calls import SLOTS, Line, Pair, any_of, check_all, each, union

pytestmark = pytest.mark.slow

NAMES = ["big", *"aaabdefnnoplkmuxwq"]
ENDS = ["", "", "", "", "", "", "", "", "/", "/.", "/..", "//"]
ODD = ["", ".", "..", "/", "../w", "./a", "d/./f", "d//f", "d/../a", "n" * 255, "n" * 256, "../.."]
ODD += ["../v/a", "k/../n", "d/e/../f", "p/" * 2100 + "a", "../w/d/e", "../n", "/s0/w/a", "/s1/w/d"]
ODD += ["a/b", "a/..", "n/..", "m/n", "o/a", "n" * 4095, "n" * 4096, "d/e/n" * 51, "é", "w/../a"]
MODES = [0, 0o644, 0o755, 0o777, 0o4755, 0o2711, 0o1777, 0o7777, 0o100000, 0o40755, 0o444]
OFFSETS = [-1, 0, 1, 3, 10, 100, 4095, 4096, 5000, 65535, 65536, 65537, 69999, 70000, 131072]
OFFSETS += [200_000, (1 << 32) + 5, -(1 << 63), -10, 1 << 31]
SIZES = [0, 1, 2, 7, 8, 16, 100, 1000, 4095, 4096, 4097, 65535, 65536, 70000]
LENGTHS = [0, 1, 3, 8, 4096, 5000, 60000]


simple = st.sampled_from(NAMES)
deep = st.sampled_from([f"{a}/{b}" for a in ("d", "d/e", "k", "n", "l") for b in "afenq"])
path = st.one_of(simple, simple, deep, st.builds(str.__add__, simple, st.sampled_from(ENDS)))
path = st.one_of(path, path, path, path, st.sampled_from(ODD)).map("s{}".format)
some_path = st.one_of(*[path] * 30, each([0, 8]))
fd = each([*range(6), *range(6), 0, 1, 2, 3, 7, 20, -1, 1024])
at = each([*[-100] * 6, *range(4), -1])
mode = each(MODES)
place = each(OFFSETS)
size = each([*SIZES, *SIZES, -1])
written = st.sampled_from(SIZES).map(lambda n: f"w i{n}")
read = st.sampled_from(SIZES).map(lambda n: f"r i{n}")
flags = st.builds(
    lambda access, extra: f"i{union([access, *extra])}",
    st.sampled_from([0, 0, 1, 2, 2, 2, 3]),
    st.lists(
        st.sampled_from(
            [os.O_CREAT] * 5
            + [os.O_EXCL, os.O_TRUNC, os.O_APPEND, os.O_NONBLOCK, os.O_DIRECTORY, os.O_NOFOLLOW]
            + [os.O_CLOEXEC, os.O_PATH, os.O_TMPFILE, os.O_DIRECTORY]
        ),
        max_size=3,
    ),
)
lengths = st.lists(st.sampled_from(LENGTHS), max_size=4).map(
    lambda some: f"{','.join(map(str, some))} i{len(some)}"
)
gather = lengths.map("u{}".format)
scatter = lengths.map("v{}".format)
seconds = st.sampled_from([0, 1, 5, 1_000_000_000, -5])
nanoseconds = st.sampled_from([0, 7, 999_999_999, 0x3FFFFFFF, 0x3FFFFFFE, 1_000_000_000, -1])
times = st.one_of(
    st.builds("T{},{},{},{}".format, seconds, nanoseconds, seconds, nanoseconds), st.just("i0")
)
polled = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 3, 4, 9, -1]), st.sampled_from([0, 1, 4, 5, 7])), max_size=3
).map(lambda some: f"P{','.join(f'{fd},{events}' for fd, events in some)} i{len(some)} i0")
position = st.one_of(st.sampled_from([0, 3, 4096, 70000, -1]).map("O{}".format), st.just("i0"))
no_follow = each([0, 0, 0, 0x100, 0x100, 0x1000, 0x1100, 0x400, 2])

CALLS: dict[str, tuple[tuple[Line, ...], ...]] = {
    "open": ((some_path, flags, mode),) * 4,
    "openat": ((at, path, flags, mode),) * 2,
    "creat": ((path, mode),),
    "close": ((fd,),) * 2,
    "close_range": ((fd, each([0, 1, 3, 5, 20]), each([0, 4])),),
    "read": ((fd, read),) * 3 + ((fd, each([8]), size),),
    "write": ((fd, written),) * 4 + ((fd, each([8]), size),),
    "pread64": ((fd, read, place),) * 2,
    "pwrite64": ((fd, written, place),) * 3,
    "readv": ((fd, scatter),),
    "writev": ((fd, gather),),
    "preadv": ((fd, scatter, place),),
    "pwritev": ((fd, gather, place),),
    "lseek": ((fd, place, each([0, 0, 0, 1, 2, 3, 4, 5, -1])),) * 3,
    "ftruncate": ((fd, place),) * 2,
    "truncate": ((path, place),),
    "fallocate": ((fd, each([0, 1]), place, place),),
    "dup": ((fd,),),
    "dup2": ((fd, fd),),
    "dup3": ((fd, fd, each([0, os.O_CLOEXEC, os.O_APPEND])),),
    "fcntl": (
        (fd, each([0, 1030]), fd),
        (fd, each([1, 3]), each([0])),
        (fd, each([2]), each([0, 1, 2, 3])),
        # Pipes never block here: what is set always has O_NONBLOCK.
        (fd, each([4]), each([os.O_NONBLOCK, os.O_NONBLOCK | os.O_APPEND, 0o4777 | os.O_TRUNC])),
        (fd, each([99, -1]), each([0])),
    ),
    "rename": ((path, path),) * 3,
    "renameat": ((at, path, at, path),),
    "renameat2": ((at, path, at, path, each([0, 1, 1, 2, 2, 2, 3, 8])),) * 2,
    "link": ((path, path),) * 2,
    "linkat": (
        (at, path, at, path, each([0, 0, 0x400, 0x1000, 0x100])),
        (fd, st.just("s"), at, path, each([0x1000])),
    ),
    "symlink": ((path, path),) * 2,
    "symlinkat": ((path, at, path),),
    "unlink": ((path,),) * 2,
    "unlinkat": ((at, path, each([0, 0x200, 0x200, 0x100])),),
    "mkdir": ((path, mode),) * 2,
    "mkdirat": ((at, path, mode),),
    "mknod": ((path, each([0o644, 0o100755, 0o100000]), each([0])),),
    "rmdir": ((path,),) * 2,
    "stat": ((some_path, st.just("S")),),
    "lstat": ((path, st.just("S")),) * 2,
    "fstat": ((fd, st.just("S")),) * 2,
    "newfstatat": ((at, path, st.just("S"), no_follow),),
    "statx": ((at, path, no_follow, each([0x7FF, 0xFFF, 1 << 31]), st.just("X")),),
    "getdents64": ((fd, st.just("D"), each([60000, 60000, 60000, 10])),) * 3,
    "readlink": ((path, read),) * 2,
    "readlinkat": ((at, path, read),),
    "access": ((path, each([0, 1, 2, 4, 7, 8])),),
    "faccessat": ((at, path, each([0, 1, 7])),),
    "faccessat2": ((at, path, each([0, 1, 7]), each([0, 0x100, 0x200, 0x1000, 4])),),
    "chmod": ((path, mode),) * 2,
    "fchmod": ((fd, mode),),
    "fchmodat": ((at, path, mode),),
    "chown": ((path, each([0, 5, -1]), each([0, 7, -1])),),
    "lchown": ((path, each([0, 5, -1]), each([0, 7, -1])),),
    "fchown": ((fd, each([0, 5, -1]), each([0, 7, -1])),),
    "fchownat": ((at, path, each([0, 5, -1]), each([0, 7, -1]), no_follow),),
    "utimensat": ((at, path, times, no_follow), (fd, each([0]), times, each([0, 0x100]))),
    "pipe2": ((st.just("F"), each([os.O_NONBLOCK, os.O_NONBLOCK | os.O_CLOEXEC])),) * 2,
    "chdir": ((path,),),
    "fchdir": ((fd,),),
    "getcwd": ((st.just("r"), each([100, 4096, 5, 2, 0])),),
    "poll": ((polled,),) * 2,
    "umask": ((each([0, 0o22, 0o77, 0o7777]),),),
    "sendfile": ((fd, fd, position, each([0, 1, 100, 70000])),),
    "copy_file_range": ((fd, position, fd, position, each([0, 1, 100, 70000]), each([0, 1])),),
    "fsync": ((fd,),),
    "eventfd2": ((each([0, 3]), each([os.O_NONBLOCK, os.O_NONBLOCK | 1])),),
}


call = any_of(CALLS)
OPENED = [
    [],
    [["open", "sa", "i2"], ["open", "sbig", "i2"], ["open", "sd", "i65536"]],
    [["pipe2", "F", "i2048"], ["open", "sn", "i66", "i420"], ["openat", "i-100", "sd/e", "i0"]],
    [["open", "sbig", "i1026"], ["open", "sl", "i2228224"], ["dup", "i0"], ["open", "sd", "i0"]],
    [
        ["chdir", "sd/e"],
        ["open", "s../f", "i2"],
        ["open", "s..", "i65536"],
        ["pipe2", "F", "i2048"],
    ],
]
"""How sequences start, so that most of their descriptors are open."""

opened = st.sampled_from(
    [[" ".join([str(NUMBERS[name]), *rest]) for name, *rest in some] for some in OPENED]
)
sequence = st.builds(list.__add__, opened, st.lists(call, min_size=1, max_size=24))
sequences = st.lists(sequence, min_size=1, max_size=SLOTS)


FOUND = [
    ["2 sa i2", "2 sbig i0 i0", "326 i1 O0 i0 O0 i1 i0"],  # copy_file_range, both offsets in one
]
"""Calls that once gave something else."""


@pytest.mark.parametrize("calls", FOUND)
@pytest.mark.parametrize("backend", BACKENDS)
def test_found_before(make: Maker, backend: Backend, template: Path, calls: list[str]) -> None:
    """What was mended stays so."""
    Pair(make, backend, template).compare([calls])


EXAMPLES = {"process": 100, "kvm": 12}


@pytest.mark.parametrize("backend", BACKENDS)
def test_same_as_the_kernel(make: Maker, backend: Backend, template: Path) -> None:
    """Any sequence of calls gives the same results, errors, data and metadata."""
    check_all(Pair(make, backend, template).compare, sequences, EXAMPLES[backend])
