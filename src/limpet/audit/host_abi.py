"""Names of the host kernel's numbers, from the C headers that monitors are compiled with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from limpet.arch.x86_64.syscalls import NAMES
from limpet.sources import C_ROOT

_KVM, _HOST, _NET = "monitor/x86_64/kvm_abi.h", "contract/host.h", "monitor/devices/net.c"
_DEFINE = re.compile(r"^#define (KVM_\w+) (0x[0-9a-f]+)U$", re.MULTILINE)
_ENUMERATOR = re.compile(r"\b([A-Z][A-Z0-9_]+) = (0x[0-9a-f]+|[0-9]+)\b")


@cache
def requests() -> Mapping[int, str]:
    """The ioctl requests that monitors may make, by number."""
    found = {int(value, 16): name for name, value in _DEFINE.findall(_text(_KVM))}
    for name, value in _ENUMERATOR.findall(_text(_HOST) + _text(_NET)):
        if value.startswith("0x") and int(value, 16) > 0x1000 and "MAP" not in name:
            found.setdefault(int(value, 16), name)
    return found


@cache
def monitor_calls() -> frozenset[int]:
    """The system calls that some monitor makes, all of them before or behind its filter."""
    return frozenset(
        int(value, 0) for name, value in _ENUMERATOR.findall(_text(_HOST)) if name[:3] == "NR_"
    )


def _text(name: str) -> str:
    return (C_ROOT / name).read_text(encoding="utf-8")


def call_name(number: int) -> str:
    """A system call's name."""
    return NAMES.get(number, f"number {number}")


def request_name(number: int) -> str:
    """An ioctl request's name."""
    return requests().get(number & 0xFFFFFFFF, f"request {number:#x}")
