"""``Blobs``: what lies in a monitor's constants page — KVM's structures, then its filters."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from limpet.arch.x86_64 import machine
from limpet.contract import Filtered
from limpet.contract.limits import TICK_MS
from limpet.contract.pages import PAGE, align_up
from limpet.planning import sealed
from limpet.planning.regions import MONITOR_BASE
from limpet.planning.seccomp import Filter

_ALIGNMENT = 8


@dataclass(frozen=True)
class Blobs:
    """Byte arrays by the name that ``plan.h`` gives their address, in their order in memory."""

    fixed: Mapping[str, bytes] = field(default_factory=dict)

    def with_timer(self) -> Blobs:
        """And a ``struct itimerval`` that passes once, for ticks."""
        return Blobs({**self.fixed, "TICK_TIMER": struct.pack("<4q", 0, 0, 0, TICK_MS * 1000)})

    def with_sealed(self) -> Blobs:
        """And, before all others, the constants that filters name by their address."""
        return Blobs({**sealed.constants(), **self.fixed})

    def with_tables(self, tables: Mapping[str, bytes]) -> Blobs:
        """And tables of the plan's, before all others."""
        return Blobs({**tables, **self.fixed})

    def addresses(self) -> dict[str, int]:
        """Where each blob lies in the monitor's constants page."""
        at, out = MONITOR_BASE, {}
        for name, blob in self.fixed.items():
            out[name] = at
            at += align_up(len(blob), _ALIGNMENT)
        return out

    @property
    def _end(self) -> int:
        return MONITOR_BASE + sum(align_up(len(each), _ALIGNMENT) for each in self.fixed.values())

    def filter_addresses(self, filters: Mapping[Filtered, Filter]) -> dict[Filtered, int]:
        """Where each filter lies behind the blobs."""
        out: dict[Filtered, int] = {}
        at = self._end
        for backend, filter_ in sorted(filters.items()):
            out[backend] = at
            at += filter_.length * 8
        return out

    def monitor_text(self, filters: Iterable[Filter]) -> int:
        """Where the monitor's code starts: on the page behind its constants."""
        return align_up(self._end + sum(each.length * 8 for each in filters), PAGE)

    def pack(self, filters: Sequence[bytes]) -> bytes:
        """The monitor's constants."""
        blobs = [*self.fixed.values(), *filters]
        return b"".join(blob.ljust(align_up(len(blob), _ALIGNMENT), b"\0") for blob in blobs)


def blobs(
    pages: machine.Supervisor | None,
    level: machine.CpuLevel,
    *,
    start: int,
    syscall: int,
    asks_cpuid: bool,
) -> Blobs:
    """The structures that the kvm monitor hands to KVM; none in a process.

    Args:
        start: the guest's first instruction.
        syscall: where SYSCALL leads under kvm_pvm.
    """
    if pages is None:
        return Blobs()
    fixed = {
        "KVM_SREGS": machine.special_registers(pages, level),
        "KVM_START": start.to_bytes(8, "little"),
        "KVM_MSRS": machine.model_specific_registers(syscall),
        "KVM_CPUID": level.cpuid(asks_cpuid, keys=pages.execute_only),
    }
    if pages.execute_only:
        fixed["KVM_SREGS_KEYS"] = machine.special_registers(pages, level, keys=True)
    if level.xcr0:
        fixed["KVM_XCRS"] = level.xcrs()
    return Blobs(fixed)
