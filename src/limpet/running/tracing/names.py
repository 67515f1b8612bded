"""Names of the values that arguments have: flags, and one of several.

They are those of this host's Linux, as Python's own modules have them; the rest stands here (uapi
headers of x86-64).
"""

from __future__ import annotations

import errno
import mmap
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Iterable, Mapping
from functools import cache
from types import ModuleType

from limpet.running.tracing.signals import name as signal_name


def _of(module: ModuleType, prefix: str, *left_out: str) -> dict[int, str]:
    """Those constants of a module whose names start so; of two for a value the shorter."""
    found: dict[int, str] = {}
    for name, value in sorted(vars(module).items(), key=lambda each: (-len(each[0]), each[0])):
        if name.startswith(prefix) and isinstance(value, int) and name not in left_out:
            found[int(value)] = name
    return found


def _listed(text: str, prefix: str = "", start: int = 0) -> dict[int, str]:
    return {number: f"{prefix}{name}" for number, name in enumerate(text.split(), start)}


_CLONE = (
    (0x100, "VM FS FILES SIGHAND PIDFD PTRACE VFORK PARENT THREAD NEWNS SYSVSEM SETTLS"),
    (0x100000, "PARENT_SETTID CHILD_CLEARTID DETACHED UNTRACED CHILD_SETTID"),
)
_PRCTL = {1: "SET_PDEATHSIG", 4: "SET_DUMPABLE", 15: "SET_NAME", 16: "GET_NAME"}
_PRCTL |= {22: "SET_SECCOMP", 23: "CAPBSET_READ", 38: "SET_NO_NEW_PRIVS", 0x53564D41: "SET_VMA"}
_IOCTL = {0x5401: "TCGETS", 0x5402: "TCSETS", 0x5403: "TCSETSW", 0x5404: "TCSETSF"}
_IOCTL |= {0x540F: "TIOCGPGRP", 0x5410: "TIOCSPGRP", 0x5413: "TIOCGWINSZ", 0x541B: "FIONREAD"}
_IOCTL |= {0x5421: "FIONBIO", 0x5451: "FIOCLEX", 0x400454CA: "TUNSETIFF"}


def _clone() -> dict[int, str]:
    return {
        first << place: f"CLONE_{name}"
        for first, names in _CLONE
        for place, name in enumerate(names.split())
    }


@cache
def sets() -> Mapping[str, Mapping[int, str]]:
    """Each set of names by the word that the table of arguments uses."""
    messages = _of(socket, "MSG_")
    return {
        "open": _open(),
        "whence": _of(os, "SEEK_"),
        "prot": {1: "PROT_READ", 2: "PROT_WRITE", 4: "PROT_EXEC"},
        "map": {each: name for each, name in _of(mmap, "MAP_").items() if name != "MAP_ANON"}
        | {0x10: "MAP_FIXED", 0x20: "MAP_ANONYMOUS", 0x100000: "MAP_FIXED_NOREPLACE"},
        "access": {1: "X_OK", 2: "W_OK", 4: "R_OK"},
        "mremap": _listed("MAYMOVE FIXED", "MREMAP_", 1),
        "advice": _of(mmap, "MADV_"),
        "itimer": _of(signal, "ITIMER_"),
        "signal": {each: signal_name(each) for each in range(1, signal.NSIG)},
        "mask": _listed("SIG_BLOCK SIG_UNBLOCK SIG_SETMASK"),
        "domain": _of(socket, "AF_"),
        "socket": {**_of(socket, "SOCK_"), 2048: "SOCK_NONBLOCK", 524288: "SOCK_CLOEXEC"},
        "message": messages,
        "shutdown": _listed("RD WR RDWR", "SHUT_"),
        "level": {0: "SOL_IP", 1: "SOL_SOCKET", 6: "SOL_TCP", 41: "SOL_IPV6"},
        "clone": _clone(),
        "fcntl": _listed("DUPFD GETFD SETFD GETFL SETFL GETLK SETLK SETLKW", "F_")
        | {1030: "F_DUPFD_CLOEXEC", 1031: "F_SETPIPE_SZ", 1032: "F_GETPIPE_SZ"},
        "ioctl": _IOCTL,
        "limit": _of(resource, "RLIMIT_"),
        "prctl": {number: f"PR_{name}" for number, name in _PRCTL.items()},
        "arch": {0x1001: "ARCH_SET_GS", 0x1002: "ARCH_SET_FS", 0x1003: "ARCH_GET_FS"},
        "futex": {128: "FUTEX_PRIVATE_FLAG", 256: "FUTEX_CLOCK_REALTIME"},
        "clock": _of(time, "CLOCK_"),
        "epoll": _listed("ADD DEL MOD", "EPOLL_CTL_", 1),
        "events": _of(select, "POLL"),
        "epoll_events": _of(select, "EPOLL", "EPOLL_CLOEXEC"),
        "at": {0x100: "AT_SYMLINK_NOFOLLOW", 0x200: "AT_REMOVEDIR", 0x400: "AT_SYMLINK_FOLLOW"}
        | {0x800: "AT_NO_AUTOMOUNT", 0x1000: "AT_EMPTY_PATH"},
    }


_FUTEX = "WAIT WAKE FD REQUEUE CMP_REQUEUE WAKE_OP LOCK_PI UNLOCK_PI TRYLOCK_PI WAIT_BITSET"
LOWEST: Mapping[str, tuple[int, Mapping[int, str]]] = {
    "open": (3, _listed("O_RDONLY O_WRONLY O_RDWR")),
    "futex": (0x7F, _listed(f"{_FUTEX} WAKE_BITSET WAIT_REQUEUE_PI CMP_REQUEUE_PI", "FUTEX_")),
    "socket": (0xF, _listed("STREAM DGRAM RAW RDM SEQPACKET", "SOCK_", 1)),
    "map": (0xF, _listed("MAP_SHARED MAP_PRIVATE MAP_SHARED_VALIDATE", "", 1)),
    "clone": (0xFF, {each: signal_name(each) for each in range(1, signal.NSIG)}),
}
"""Of flags whose lowest bits are a number: those bits, and the numbers' names."""


def _open() -> dict[int, str]:
    """The flags of open; of one that has another's bits as well both."""
    left_out = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE", "O_NDELAY", "O_FSYNC", "O_RSYNC")
    found = _of(os, "O_", *left_out)
    return {value: name for value, name in found.items() if value} | {0x8000: "O_LARGEFILE"}


def one(names: str, value: int) -> str:
    """The name of a value, or its digits."""
    return sets()[names].get(value) or str(value)


def flags(names: str, value: int) -> str:
    """The names of the bits of a value, and what is left in hexadecimal digits."""
    mask, lowest = LOWEST.get(names, (0, {}))
    known, first = sets()[names], value & mask
    found = [lowest[first]] if first in lowest else [hex(first)] if first else []
    rest = value & ~mask
    for bits in _widest(known):
        if bits and not bits & mask and rest & bits == bits:
            found.append(known[bits])
            rest &= ~bits
    if rest:
        found.append(hex(rest))
    return "|".join(found) or "0"


def _widest(values: Iterable[int]) -> list[int]:
    """Those of several bits first; then upwards."""
    return sorted(values, key=lambda each: (-each.bit_count(), each))


def error(result: int) -> str:
    """``-1 ENOENT (No such file or directory)``, as strace shows it."""
    if result == -_RESTARTS:
        return "? ERESTARTSYS (To be restarted if SA_RESTART is set)"
    return f"-1 {errno.errorcode[-result]} ({os.strerror(-result)})"


_RESTARTS = 512


def is_error(result: int) -> bool:
    """Whether a result is a negative error with a name."""
    return -result in errno.errorcode or result == -_RESTARTS
