"""Why a Linux program's monitor has a device or a hypercall, and why it has another not."""

from __future__ import annotations

from collections.abc import Mapping

from limpet import contract
from limpet.formats.manifest import Device
from limpet.planning.plan import Decision

_DEVICE_FILES = {
    "block": "/dev/{}",
    "net": "the interface {} of /dev/net/tun",
    "volume": "a folder of the host's at {}",
}


def device_decisions(devices: tuple[Device, ...]) -> list[Decision]:
    """Each device, and where a program finds it."""
    return [
        Decision(
            "device",
            each.name,
            True,
            f"{_DEVICE_FILES[each.kind].format(each.name)}"
            f"{', to read only' if each.read_only else ''}, as asked",
        )
        for each in devices
    ]


def hypercall_decisions(users: Mapping[str, tuple[str, ...]]) -> list[Decision]:
    """Each hypercall, in or out, and what needs it."""
    decisions = []
    for each in contract.hypercalls():
        own = users.get(each.name, ())
        why = f"needed by {', '.join(own)}" if own else "no system call leads to it"
        decisions.append(Decision("hypercall", each.name, bool(own), why))
    return decisions
