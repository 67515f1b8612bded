"""Landlock: what a thread and the programs that it starts may still read and write.

Source: ``include/uapi/linux/landlock.h`` and ``Documentation/userspace-api/landlock.rst``.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from functools import cache

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15  # truncate, ioctl of devices
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights on files each version knows; those from 5 on know 16."""

_READ = _EXECUTE | _READ_FILE | _READ_DIR


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def version() -> int:
    """Version of Landlock in this kernel, 0 where there is none."""
    found: int = _libc().syscall(_CREATE_RULESET, None, 0, _VERSION)
    return max(found, 0)


def confine(readable: Iterable[str], writable: Iterable[str]) -> bool:
    """Let this thread, and what it starts, read and run only below ``readable``.

    It can read and write below ``writable``.  Paths that are not there are left out.  The thread
    cannot be set free again, so it is one made for this.

    Returns:
        Whether the kernel has Landlock; without it nothing is confined.
    """
    if not version():
        return False
    every = (1 << _RIGHTS.get(version(), 16)) - 1
    ruleset = _checked(_CREATE_RULESET, struct.pack("<Q", every), 8, 0)
    try:
        for paths, rights in ((readable, _READ), (writable, every)):
            for path in paths:
                _allow(ruleset, path, rights & every)
        _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _checked(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _FILE
        _checked(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("<Qi", rights, handle), 0)
    finally:
        os.close(handle)


def _checked(number: int, *arguments: int | bytes) -> int:
    result: int = _libc().syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
