"""The backends, and whoever else is behind a filter."""

from __future__ import annotations

from typing import Literal

Backend = Literal["kvm", "process"]
Filtered = Literal["kvm", "process", "broker", "namer", "porter"]
"""Whoever is behind a filter: a guest, or a process beside it."""

BACKENDS: tuple[Backend, ...] = ("kvm", "process")
BESIDE: tuple[Filtered, ...] = ("broker", "namer", "porter")
"""Processes beside a guest, each with a filter of its own."""


def whose(filtered: str) -> str:
    """Whom a filter is for, in words."""
    return filtered if filtered in BESIDE else f"{filtered} monitor"
