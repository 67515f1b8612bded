"""A guest's devices, and the table in which guest and monitor have them: Solo5's manifest.

Source: Solo5's ``include/mft_abi.h``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from limpet.contract import MFT_ENTRY
from limpet.contract.limits import (
    DEVICE_BLOCK,
    DEVICE_NAME_SIZE,
    DEVICE_NET,
    INTERFACE_NAME_SIZE,
    MAX_DEVICES,
)
from limpet.errors import PlanError

DeviceKind = Literal["block", "net"]

RESERVED_FIRST = 1 << 30
"""Type of entry 0, which stands for no device."""

KINDS: dict[int, DeviceKind] = {DEVICE_BLOCK: "block", DEVICE_NET: "net"}
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


@dataclass(frozen=True)
class Device:
    """What the guest calls a device; ``handle`` is its place in the table, from 1."""

    name: str
    kind: DeviceKind
    handle: int


def pack(devices: Sequence[Device]) -> bytes:
    """``struct mft`` as the guest finds it at start, nothing attached yet."""
    numbers = {kind: number for number, kind in KINDS.items()}
    entries = [(b"", RESERVED_FIRST)]
    entries += [(device.name.encode(), numbers[device.kind]) for device in devices]
    rest = bytes(ENTRY.size - _NAME_AND_TYPE.size)
    packed = (_NAME_AND_TYPE.pack(*entry) + rest for entry in entries)
    return HEAD.pack(1, len(entries)) + b"".join(packed)


def declared(words: Sequence[str]) -> tuple[Device, ...]:
    """The devices of a Linux program from ``block:NAME`` and ``net:NAME``.

    Raises:
        PlanError: a name cannot be used, or is there twice.
    """
    found: dict[str, Device] = {}
    for word in words:
        kind, _, name = word.partition(":")
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
