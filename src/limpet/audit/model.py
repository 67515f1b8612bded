"""``Audit``: everything that was found in one bundle, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from limpet.audit.remade import NOT_TRIED, Remade
from limpet.audit.seccomp_decode import Range
from limpet.formats.tree.layout import Entry


@dataclass(frozen=True)
class Finding:
    """Something that is not as the record says, or breaks what every bundle promises."""

    where: str
    what: str


@dataclass(frozen=True)
class HostCall:
    """A SYSCALL instruction of the monitor."""

    address: int
    calls: tuple[str, ...]
    detail: str
    when: str  # "before the filter", "behind the filter" or "either"


@dataclass(frozen=True)
class FilterRule:
    """A system call that stays allowed."""

    call: str
    arguments: dict[int, tuple[Range, ...]]
    pointer: Range
    why: str


@dataclass(frozen=True)
class FilterFacts:
    """A seccomp program in words."""

    backend: str
    address: int
    instructions: int
    default: str
    rules: tuple[FilterRule, ...]


@dataclass(frozen=True)
class Hypercall:
    """One way from the guest to its monitor."""

    name: str
    port: int | None
    handled: bool
    evidence: tuple[int, ...]  # instructions of the guest that make it
    ring0: bool = False  # whether ring 0 of the guest serves it, and no monitor


@dataclass(frozen=True)
class Memory:
    """A run of memory and what the guest may do with it."""

    address: int
    size: int
    rights: str
    user: bool


@dataclass(frozen=True)
class Part:
    """A piece of the file."""

    name: str
    size: int
    address: int
    rights: str


@dataclass(frozen=True)
class Protection:
    """A barrier that is there, or is not."""

    name: str
    present: bool
    evidence: str


@dataclass(frozen=True)
class Audit:
    """Everything that was found in one bundle."""

    name: str
    sha256: str
    size: int
    limpet: str
    toolchain: str
    guest: str
    guest_sha256: str
    backends: tuple[str, ...]
    parts: tuple[Part, ...]
    monitor_bytes: int  # code and constants
    monitor_code: int  # instructions that can be reached
    calls: tuple[HostCall, ...]
    filters: tuple[FilterFacts, ...]
    requests: tuple[str, ...]
    opens: tuple[str, ...]
    ports: tuple[int, ...]
    hypercalls: tuple[Hypercall, ...]
    memory: tuple[Memory, ...]
    devices: tuple[str, ...]
    published: tuple[str, ...]  # addresses of the host whose ports lead to the guest
    endpoints: tuple[str, ...]  # addresses that the guest may connect to
    files: tuple[Entry, ...]
    protections: tuple[Protection, ...]
    findings: tuple[Finding, ...]
    snapshot_bytes: int  # of memory with which the guest goes on instead of starting
    remade: Remade = NOT_TRIED

    @property
    def guest_memory(self) -> Range:
        """From the guest's first to its last byte in a virtual machine; nothing in a process."""
        runs = [run for run in self.memory if run.user] if "kvm" in self.backends else []
        if not runs:
            return (1, 0)
        return min(run.address for run in runs), max(run.address + run.size for run in runs) - 1

    def as_data(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return asdict(self)
