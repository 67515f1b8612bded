"""A guest's devices, and the table in which guest and monitor have them: Solo5's manifest.

Source: Solo5's ``include/mft_abi.h``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from limpet.contract.limits import (
    DEVICE_BLOCK,
    DEVICE_NAME_SIZE,
    DEVICE_NET,
    DEVICE_VOLUME,
    INTERFACE_NAME_SIZE,
    MAX_DEVICES,
)
from limpet.contract.structures import MFT_ENTRY
from limpet.errors import PlanError

DeviceKind = Literal["block", "net", "volume"]

RESERVED_FIRST = 1 << 30
"""Type of entry 0, which stands for no device."""

KINDS: dict[int, DeviceKind] = {DEVICE_BLOCK: "block", DEVICE_NET: "net"}
"""Those that a unikernel can have as well, by their type."""

VOLUME: DeviceKind = "volume"
PROGRAM_KINDS: dict[int, DeviceKind] = {**KINDS, DEVICE_VOLUME: VOLUME}
"""Those of a Linux program."""
_MOST = DEVICE_NAME_SIZE - 1
NAME = re.compile(rf"[A-Za-z0-9]{{1,{_MOST}}}")
HEAD = struct.Struct("<II")
ENTRY = struct.Struct(MFT_ENTRY.format)

INTERFACE_MOST = INTERFACE_NAME_SIZE - 1
"""Characters in the name of a network that is an interface for TUNSETIFF."""

TAKEN = (
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    "tty",
    "fd",
    "net",
    "stdin",
    "stdout",
    "stderr",
)
"""Names that ``/dev`` has already."""

_NAME_AND_TYPE = struct.Struct(f"<{DEVICE_NAME_SIZE}sI")
_READ_ONLY = struct.Struct("<QHH")
"""What follows: the capacity, the sector size, and whether it cannot be written."""


@dataclass(frozen=True)
class Device:
    """What the guest calls a device; ``handle`` is its place in the table, from 1.

    A volume's name is its path in the guest; ``read_only`` is one that only a volume's plan knows.
    """

    name: str
    kind: DeviceKind
    handle: int
    read_only: bool = False


def pack(devices: Sequence[Device]) -> bytes:
    """``struct mft`` as the guest finds it at start, nothing attached yet."""
    numbers = {kind: number for number, kind in PROGRAM_KINDS.items()}
    entries = [(b"", RESERVED_FIRST, 0)]
    entries += [(each.name.encode(), numbers[each.kind], each.read_only) for each in devices]
    return HEAD.pack(1, len(entries)) + b"".join(_packed(*entry) for entry in entries)


def _packed(name: bytes, kind: int, read_only: int) -> bytes:
    head = _NAME_AND_TYPE.pack(name, kind) + _READ_ONLY.pack(0, 0, read_only)
    return head.ljust(ENTRY.size, b"\0")


def declared(words: Sequence[str]) -> tuple[Device, ...]:
    """The devices of a Linux program from ``block:NAME``, ``net:NAME`` and ``volume:PATH[:ro]``.

    Raises:
        PlanError: a name cannot be used, or is there twice.
    """
    found: dict[str, Device] = {}
    for word in words:
        kind, _, name = word.partition(":")
        if kind == VOLUME:
            path, _, mode = name.partition(":")
            check_mount(path, mode, [each.name for each in found.values() if each.kind == VOLUME])
            found[path] = Device(path, VOLUME, len(found) + 1, mode == "ro")
            continue
        if kind not in KINDS.values() or not NAME.fullmatch(name) or name in TAKEN:
            raise PlanError(
                f"a device cannot be called {name!r}",
                hint=f"letters and digits, at most {_MOST}, and no name that /dev has already",
            )
        if kind == "net" and len(name) > INTERFACE_MOST:
            raise PlanError(
                f"a network cannot be called {name}",
                hint=f"it is the name of an interface: at most {INTERFACE_MOST} letters and digits",
            )
        if name in found:
            raise PlanError(f"the device {name} is declared twice", hint="leave one out")
        found[name] = Device(name, "net" if kind == "net" else "block", len(found) + 1)
    if len(found) > MAX_DEVICES:
        raise PlanError(
            f"{len(found)} devices; at most {MAX_DEVICES} can be", hint="leave some out"
        )
    return tuple(found.values())


_MOUNT = re.compile(r"(/[A-Za-z0-9_.+,@%-]+)+")
_STANDARD = ("/dev", "/proc", "/sys")


def check_mount(path: str, mode: str, others: Sequence[str]) -> None:
    """Nothing, or an error when no volume can be at ``path``.

    Raises:
        PlanError: it is no absolute path, too long, in the library OS's own folders, or in another
            volume; or ``mode`` is not known.
    """
    plain = _MOUNT.fullmatch(path) and not {".", ".."} & set(path.split("/"))
    if not plain or len(path) > _MOST:
        raise PlanError(
            f"a volume cannot be at {path!r}",
            hint=f"give an absolute path of letters, digits and _.+,@%- without . and .., at most "
            f"{_MOST} characters, for example /data",
        )
    if mode not in ("", "ro"):
        raise PlanError(f"the volume {path} cannot be {mode!r}", hint="write ro, or nothing")
    if any(_below(path, each) for each in _STANDARD):
        raise PlanError(
            f"a volume cannot be at {path}: {path.split('/')[1]} is the guest's own",
            hint="put it elsewhere, for example at /data",
        )
    if path in others:
        raise PlanError(f"two volumes at {path}", hint="put each in a folder of its own")
    for other in others:
        if _below(path, other) or _below(other, path):
            raise PlanError(
                f"the volumes {other} and {path} lie in one another",
                hint="put each in a folder of its own",
            )


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
