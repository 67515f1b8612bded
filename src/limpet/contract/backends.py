"""The backends, and whoever else is behind a filter."""

from __future__ import annotations

from typing import Literal

from limpet.contract.limits import BACKEND_KVM, BACKEND_PROCESS

Backend = Literal["kvm", "process"]
Filtered = Literal["kvm", "process", "broker", "namer", "porter"]
"""Whoever is behind a filter: a guest, or a process beside it."""

BACKENDS: tuple[Backend, ...] = ("kvm", "process")
BESIDE: tuple[Filtered, ...] = ("broker", "namer", "porter")
"""Processes beside a guest, each with a filter of its own."""


def whose(filtered: str) -> str:
    """Whom a filter is for, in words."""
    return filtered if filtered in BESIDE else f"{filtered} monitor"


BACKEND_NUMBERS: dict[Backend, int] = {"kvm": BACKEND_KVM, "process": BACKEND_PROCESS}
"""How ``boot_info.backend`` names the backend that was started."""
