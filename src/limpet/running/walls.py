"""The walls of a monitor, for a process of ours that reads what a guest sends."""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import landlock
from limpet.planning.options import Options
from limpet.running.host import landlock_version

_NO_NEW_PRIVS, _DUMPABLE, _CAPABILITY_VERSION_3 = 38, 4, 0x20080522


def raise_walls() -> None:
    """Keep what is open, and give up the rest: files, TCP, signals, root, capabilities, core dumps.

    Nothing may be imported any more.  What this host does not have is left out.

    Raises:
        OSError: the host refuses to take capabilities away.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    rights = landlock.rights_of(landlock_version())
    if any(rights):
        attributes = (ctypes.c_uint64 * 3)(*rights)
        create = NUMBERS["landlock_create_ruleset"]
        rules = libc.syscall(create, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)
        libc.syscall(NUMBERS["landlock_restrict_self"], rules, 0)
        os.close(rules)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(PermissionError):  # only root has groups and ids to give up
        os.setgroups([])
        os.setresgid(*[Options.gid] * 3)
        os.setresuid(*[Options.uid] * 3)
    header, none = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    if libc.syscall(NUMBERS["capset"], ctypes.byref(header), ctypes.byref(none)):
        raise OSError(ctypes.get_errno(), "capset")
    libc.prctl(_DUMPABLE, 0, 0, 0, 0)
