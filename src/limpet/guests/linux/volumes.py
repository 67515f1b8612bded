"""What a program with volumes can ask of the host: no more than its system calls lead to."""

from __future__ import annotations

import re
import stat
from collections.abc import Collection, Mapping, Sequence

from limpet.errors import PlanError
from limpet.formats.manifest import VOLUME, Device
from limpet.guests.linux.signals import ATTEND
from limpet.loading.guest import Guest
from limpet.plain import quoted
from limpet.planning.options import Options

_ALWAYS = ("volume_open", "volume_close", "volume_read", "volume_link", "volume_tell")
"""What finding and reading a file takes."""

_LEADS: Mapping[str, tuple[str, ...]] = {
    "volume_list": ("getdents", "getdents64"),
    "volume_lock": ("fcntl", "flock"),
}
"""Others, by the system calls that lead to them."""

_CHANGE_NAMES = (
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "futimesat",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "symlink",
    "symlinkat",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
)
"""Those that make, remove or move names, or change modes and times."""

_WRITES: Mapping[str, tuple[str, ...]] = {
    "volume_write": (
        "write",
        "pwrite64",
        "writev",
        "pwritev",
        "pwritev2",
        "sendfile",
        "copy_file_range",
        "splice",
    ),
    "volume_name": _CHANGE_NAMES,
    "volume_ask": _CHANGE_NAMES,
    "volume_set": (
        "ftruncate",
        "truncate",
        "fallocate",
        "fsync",
        "fdatasync",
        "sync",
        "sync_file_range",
    ),
}
"""And those that a volume only needs when it can be written."""

_OWNERS = ("stat", "lstat", "fstat", "newfstatat", "statx")
"""Those that tell whose a file is."""

_NAMES = {"volume_name": "kvm", "volume_ask": "process"}
"""Who looks at names: the kvm monitor, or a process beside the guest's."""


def with_volumes(
    users: Mapping[str, tuple[str, ...]],
    devices: Sequence[Device],
    calls: Collection[str],
    options: Options,
) -> dict[str, tuple[str, ...]]:
    """What needs each hypercall, and those of the volumes.

    Args:
        calls: names of the system calls that the program can make.
    """
    paths = [each.name for each in devices if each.kind == VOLUME]
    if not paths:
        return dict(users)
    found: dict[str, tuple[str, ...]] = dict.fromkeys(_ALWAYS, (f"the volume {paths[0]}",))
    writable = any(each.kind == VOLUME and not each.read_only for each in devices)
    for name, leads in ({**_LEADS, **_WRITES} if writable else _LEADS).items():
        own = tuple(each for each in leads if each in calls)
        if own and (name not in _NAMES or _NAMES[name] in options.backends):
            found[name] = own
    owners = tuple(each for each in _OWNERS if each in calls)
    if not writable and owners and "process" in options.backends and not options.strict:
        found["volume_ask"] = owners
    if "volume_lock" in found:
        wait = ATTEND if ATTEND in users else "wait"
        found[wait] = (*users.get(wait, ()), "locks of files below a volume")
    return {**users, **found}


def check_volumes(guest: Guest, devices: Sequence[Device]) -> None:
    """Nothing, or an error where the packed tree has something else in the place of a volume.

    Raises:
        PlanError: it has.
    """
    modes = {each.path.strip("/"): each.mode for each in guest.tree.entries}
    for each in (device for device in devices if device.kind == VOLUME):
        parts = each.name.split("/")[1:]
        for count in range(1, len(parts) + 1):
            path = "/".join(parts[:count])
            if not stat.S_ISDIR(modes.get(path, stat.S_IFDIR)):
                raise PlanError(
                    f"the volume {each.name} cannot be there: {quoted(path)} of the packed files "
                    "is no folder",
                    hint="give the volume another path",
                )


_SETTLES = re.compile(
    r"\nvoid hypercall_(wait|attend|console_in|socket_(wait|batch|accept|connect|broker))\(.*\n"
)
"""The gates of what waits, and of what needs a slot, as files below volumes do."""


def settled(gates: str) -> str:
    """Gates before which what was closed below volumes is left open no longer."""
    return _SETTLES.sub(r"\g<0>    volumes_settle();\n", gates)
