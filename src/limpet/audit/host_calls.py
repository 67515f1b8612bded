"""What is known of the host's system calls as monitors make them: arguments, and memory written.

Sources: each call's page in the Linux man-pages, section 2.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Sequence

from limpet.arch.x86_64.decode import MASK
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.arch.x86_64.values import Span, Values, ends
from limpet.contract.limits import (
    EPOLL_EVENT_SIZE,
    SOCKET_ADDRESS_SIZE,
    SOCKET_FLAGS,
    SOCKET_VALUE_SIZE,
)

_FIXED_NOREPLACE, _NORESERVE = 0x100000, 0x4000  # uapi asm-generic/mman*.h
_HUGE_PAGES, _POPULATE_WRITE, _NOT_FORKED, _BLOCK, _UNBLOCK = 14, 23, 10, 0, 1
_NO_NEW_PRIVS, _DEATH_SIGNAL = 38, 1
_THIS_PROCESS = -10000 & MASK  # PIDFD_SELF
_NO_KEY, _NO_LARGE_PAGES = 0xFFFFFFFF, 41  # -1 as an int, PR_SET_THP_DISABLE
DUMPABLE, BOUNDING_SET_DROP, SPECULATION = 4, 24, 53
_MEMORY_MAP = 35  # PR_SET_MM: what the list of processes shows of one
NEW_NAMESPACES = 0x20000 | 0x4000000 | 0x8000000 | 0x40000000  # mounts, host name, IPC, network
NEW_USERS = 0x10000000
LENT_MOUNT = (
    NEW_USERS | 0x20000 | 0x4000 | 0x400 | 0x100
)  # users, mounts; a child that is waited for
_NEW_NETWORK, _RULE_OF_FILES, _RULE_OF_PORT = 0x40000000, 1, 2
_HERE = -100 & MASK  # AT_FDCWD
_CLOEXEC = os.O_CLOEXEC
SHARED_MEMORY = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_ADD, _CHANGE = 1, 3  # EPOLL_CTL_ADD, EPOLL_CTL_MOD

VALUES: dict[tuple[str, int], frozenset[int]] = {
    ("mmap", 2): frozenset({mmap.PROT_READ | mmap.PROT_WRITE}),
    ("mmap", 3): frozenset(
        {
            mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE | _FIXED_NOREPLACE,
            mmap.MAP_SHARED | _FIXED_NOREPLACE,
            SHARED_MEMORY | _FIXED_NOREPLACE,
        }
    ),
    ("mprotect", 2): frozenset({mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE}),
    ("pkey_mprotect", 2): frozenset({mmap.PROT_READ | mmap.PROT_WRITE}),
    ("pkey_mprotect", 3): frozenset({_NO_KEY}),
    ("madvise", 2): frozenset({_HUGE_PAGES, _POPULATE_WRITE, _NOT_FORKED, mmap.MADV_DONTNEED}),
    ("process_madvise", 0): frozenset({_THIS_PROCESS}),
    ("process_madvise", 3): frozenset({_POPULATE_WRITE}),
    ("prctl", 0): frozenset(
        {
            _NO_NEW_PRIVS,
            _DEATH_SIGNAL,
            DUMPABLE,
            BOUNDING_SET_DROP,
            SPECULATION,
            _MEMORY_MAP,
            _NO_LARGE_PAGES,
        }
    ),
    ("setrlimit", 0): frozenset(
        {resource.RLIMIT_CORE, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE, resource.RLIMIT_AS}
    ),
    ("clone", 0): frozenset({LENT_MOUNT}),
    ("clone", 1): frozenset({0}),
    ("unshare", 0): frozenset({NEW_USERS, NEW_NAMESPACES, NEW_NAMESPACES & ~_NEW_NETWORK}),
    ("setgroups", 0): frozenset({0}),
    ("landlock_create_ruleset", 2): frozenset({0, 1}),
    ("landlock_add_rule", 1): frozenset({_RULE_OF_FILES, _RULE_OF_PORT}),
    ("landlock_restrict_self", 1): frozenset({0}),
    ("seccomp", 0): frozenset({1}),
    ("seccomp", 1): frozenset({0}),
    ("openat", 0): frozenset({_HERE}),
    ("openat", 2): frozenset(
        flags | _CLOEXEC
        for flags in (
            os.O_RDONLY,
            os.O_RDWR,
            os.O_RDWR | os.O_NONBLOCK,
            os.O_PATH,
            os.O_PATH | os.O_DIRECTORY,
            _NEW_FILE,
            os.O_WRONLY | os.O_CREAT | os.O_APPEND,
        )
    ),
    ("fcntl", 1): frozenset({fcntl.F_GETFD, fcntl.F_SETFL, fcntl.F_DUPFD_CLOEXEC})
    | {fcntl.F_OFD_GETLK, fcntl.F_OFD_SETLK},
    ("socket", 0): frozenset({socket.AF_INET, socket.AF_INET6}),
    ("socket", 1): frozenset(
        {
            socket.SOCK_DGRAM | _CLOEXEC,
            socket.SOCK_DGRAM | SOCKET_FLAGS,
            socket.SOCK_STREAM | SOCKET_FLAGS,
        }
    ),
    ("accept4", 3): frozenset({SOCKET_FLAGS}),
    ("epoll_ctl", 1): frozenset({_ADD, _CHANGE}),
    ("socketpair", 0): frozenset({socket.AF_UNIX}),
    ("socketpair", 1): frozenset(
        {socket.SOCK_SEQPACKET | _CLOEXEC, socket.SOCK_SEQPACKET | SOCKET_FLAGS}
    ),
    ("rt_sigprocmask", 0): frozenset({_BLOCK, _UNBLOCK, signal.SIG_SETMASK}),
    ("signalfd4", 0): frozenset({-1 & MASK}),
    ("signalfd4", 2): frozenset({8}),
    ("signalfd4", 3): frozenset({os.O_NONBLOCK | _CLOEXEC}),
}
"""Arguments, counted from 0, that have one of few values in every monitor."""

_BY_NUMBER = {NUMBERS[name]: name for name, _ in VALUES}

Size = int | Callable[[Sequence[Values]], int]


def _times(index: int, size: int = 1) -> Callable[[Sequence[Values]], int]:
    return lambda arguments: ends(arguments[index]).high * size


def _of_request(arguments: Sequence[Values]) -> int:
    """What an ioctl request says of its size, and enough for old ones that say nothing."""
    return max(ends(arguments[1]).high >> 16 & 0x3FFF, 256)


_WRITES: dict[str, tuple[tuple[int, Size], ...]] = {
    "read": ((1, _times(2)),),
    "pread64": ((1, _times(2)),),
    "fstat": ((1, 144),),
    "fstatfs": ((1, 120),),
    "getdents64": ((1, _times(2)),),
    "readlinkat": ((2, _times(3)),),
    "getrlimit": ((1, 16),),
    "getrusage": ((1, 144),),
    "poll": ((0, _times(1, 8)),),
    "ppoll": ((0, _times(1, 8)), (2, 16)),
    "rt_sigaction": ((2, 152),),
    "rt_sigprocmask": ((2, 8),),
    "rt_sigtimedwait": ((1, 128),),
    "sigaltstack": ((1, 24),),
    "setitimer": ((2, 32),),
    "ioctl": ((2, _of_request),),
    "clock_gettime": ((1, 16),),
    "wait4": ((1, 4), (3, 144)),
    "pipe2": ((0, 8),),
    "socketpair": ((3, 8),),
    "getrandom": ((0, _times(1)),),
    "accept4": ((1, SOCKET_ADDRESS_SIZE), (2, 4)),
    "getsockname": ((1, SOCKET_ADDRESS_SIZE), (2, 4)),
    "getsockopt": ((3, SOCKET_VALUE_SIZE), (4, 4)),
    "recvfrom": ((1, _times(2)), (4, SOCKET_ADDRESS_SIZE), (5, 4)),
    "epoll_pwait2": ((1, _times(2, EPOLL_EVENT_SIZE)),),
}
"""Arguments that point to memory which a call writes, and how many bytes."""

_WRITES_NOTHING = frozenset(
    {
        "write",
        "close",
        "lseek",
        "mmap",
        "mprotect",
        "pkey_mprotect",
        "munmap",
        "pwrite64",
        "madvise",
        "process_madvise",
        "dup2",
        "getpid",
        "socket",
        "fork",
        "clone",
        "kill",
        "fcntl",
        "fdatasync",
        "prctl",
        "exit_group",
        "epoll_ctl",
        "openat",
        "rename",
        "unlink",
        "timerfd_create",
        "epoll_create1",
        "bind",
        "listen",
        "setsockopt",
        "connect",
        "shutdown",
        "sendto",
        "seccomp",
        "pkey_alloc",
        "close_range",
        "setrlimit",
        "setsid",
        "setgroups",
        "signalfd4",
        "setresgid",
        "setresuid",
        "capset",
        "geteuid",
        "unshare",
        "openat2",
        "umask",
        "fchdir",
        "chroot",
        "mkdirat",
        "symlinkat",
        "unlinkat",
        "linkat",
        "renameat2",
        "fchmod",
        "fchmodat2",
        "utimensat",
        "pwritev2",
        "ftruncate",
        "fallocate",
        "fsync",
        "landlock_add_rule",
        "landlock_create_ruleset",
        "landlock_restrict_self",
    }
)
_NAMES = {NUMBERS[name]: name for name in (*_WRITES, *_WRITES_NOTHING)}


def written(number: int | None, arguments: Sequence[Values]) -> Iterator[Span]:
    """Where a call, unknown when ``None``, may write memory."""
    name = _NAMES.get(number or 0, "") if number is not None else ""
    if name in _WRITES_NOTHING:
        return
    unknown = tuple((index, 1 << 48) for index in range(6))
    for index, size in _WRITES.get(name, unknown):
        low, high = ends(arguments[index])
        if high:
            yield Span(low, high + (size if isinstance(size, int) else size(arguments)))


def wrong_arguments(number: int, arguments: Sequence[frozenset[int]]) -> Iterator[tuple[int, str]]:
    """Arguments that no monitor gives a call: which, and what they are instead."""
    name = _BY_NUMBER.get(number, "")
    for (call, index), allowed in VALUES.items():
        given = arguments[index]
        if call == name and not (given and given <= allowed):
            words = " or ".join(f"{value:#x}" for value in sorted(given - allowed)[:4])
            yield index, words or "unknown"
