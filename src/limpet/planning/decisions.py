"""``plan``: every decision about one bundle, made by a pure function and kept with its reason.

Nothing here opens a file of the user's, starts a process or reads a clock: the same guest, options
and Limpet give the same :class:`Plan`, and :meth:`Plan.digest` names it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from limpet import contract
from limpet.arch.x86_64 import machine
from limpet.arch.x86_64.rewrite import Rewriting
from limpet.contract import Backend, Hypercall
from limpet.errors import PlanError
from limpet.guests.linux.parts import SystemCall
from limpet.guests.solo5.layout import Solo5Layout
from limpet.loading.guest import Guest
from limpet.loading.image import Image
from limpet.planning import layout
from limpet.planning.constants import Constants
from limpet.planning.layout import Layout, Region
from limpet.planning.seccomp import Filter

DEFAULT_MEMORY, SOLO5_MEMORY = 128 << 20, 512 << 20
"""Bytes where the user says nothing: of a program, and of a unikernel, as with Solo5's tenders."""


@dataclass(frozen=True)
class Options:
    """What the user decides.

    ``backends`` is empty for what the guest is made for, which is kvm where it does not matter;
    ``memory`` is in bytes (0: what is usual for the guest), ``timeout`` in milliseconds (0: none),
    ``environment`` holds ``NAME=VALUE`` strings to bake in and bare ``NAME``s to pass on when the
    bundle starts, ``devices`` the ``block:NAME`` and ``net:NAME`` that a program has (a unikernel
    has those of its manifest).
    """

    backends: tuple[Backend, ...] = ()
    memory: int = 0
    timeout: int = 0
    max_output: int = 0
    cpu: str = "v2"
    rewrite: bool = True
    environment: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """Something that is in or out, and why."""

    subject: str
    name: str
    included: bool
    why: str


@dataclass(frozen=True)
class Plan:
    """The whole bundle, decided.  Pure data; :func:`limpet.build` only carries it out."""

    guest: Guest
    image: Image
    options: Options
    layout: Layout | Solo5Layout
    regions: tuple[Region, ...]
    calls: tuple[SystemCall, ...]
    hypercalls: tuple[Hypercall, ...]
    filters: Mapping[Backend, Filter]
    rewriting: Rewriting
    supervisor: machine.Supervisor | None
    constants: Constants
    sources: Mapping[str, str]
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...]

    @property
    def monitor_text(self) -> int:
        """Where the monitor's code starts."""
        return self.constants.monitor_text(self.filters.values())

    def digest(self) -> str:
        """SHA-256, in hex, of everything that determines the bundle's bytes."""
        state = hashlib.sha256()
        for region in self.regions:
            state.update(f"{region.name} {region.address} {region.size} {region.access}".encode())
            state.update(region.content or b"")
        if self.supervisor:
            state.update(self.supervisor.content(b""))
        for name, text in sorted(self.sources.items()):
            state.update(f"{name}\0{text}\0".encode())
        for backend, filter_ in sorted(self.filters.items()):
            state.update(f"{backend} {filter_}".encode())
        for name, blob in sorted(self.constants.fixed.items()):
            state.update(name.encode() + blob)
        return state.hexdigest()

    def record(self, toolchain: str, version: str) -> bytes:
        """The record that a bundle carries: how to make it again, as JSON."""
        options = asdict(self.options)
        return json.dumps(
            {
                "limpet": version,
                "toolchain": toolchain,
                "guest": {"name": self.image.name, "sha256": self.image.digest},
                "options": options,
                "plan": self.digest(),
                "hypercalls": [call.name for call in self.hypercalls],
                "system_calls": [call.name for call in self.calls],
            },
            sort_keys=True,
        ).encode()


def plan(guest: Guest, options: Options | None = None) -> Plan:
    """Decide everything about the bundle of ``guest``.

    Raises:
        PlanError: the options or the guest cannot be honoured.
    """
    from limpet.guests.linux import plan as linux_plan
    from limpet.guests.solo5 import plan as solo5_plan

    options = options or Options()
    unikernel = guest.image.solo5
    usual = SOLO5_MEMORY if unikernel else DEFAULT_MEMORY
    backend = solo5_plan.BACKENDS[unikernel.target] if unikernel else "kvm"
    options = replace(
        options, memory=options.memory or usual, backends=options.backends or (backend,)
    )
    _check(guest, options)
    return solo5_plan.plan(guest, options) if unikernel else linux_plan.plan(guest, options)


def _check(guest: Guest, options: Options) -> None:
    if set(options.backends) - set(contract.BACKENDS):
        raise PlanError(
            f"no such backend: {', '.join(options.backends)}",
            hint="use kvm, process or both",
        )
    if options.cpu not in machine.CPU_LEVELS:
        raise PlanError(
            f"no such processor level: {options.cpu}",
            hint=f"use one of {', '.join(sorted(machine.CPU_LEVELS))}",
        )
    if options.memory < layout.MIN_MEMORY or options.memory % layout.PAGE:
        raise PlanError(
            f"{options.memory} bytes of memory cannot be given to {guest.image.name}",
            hint=f"give at least {layout.MIN_MEMORY >> 20} MiB, for example --memory 64M",
        )
    if options.timeout < 0 or options.max_output < 0:
        raise PlanError("a limit cannot be negative", hint="leave it out for no limit")


_CPUID = b"\x0f\xa2"


def may_ask_cpuid(image: Image) -> bool:
    """Whether CPUID's bytes stand anywhere in executable pages: else it cannot be run."""
    return any(_CPUID in segment.data for segment in image.executable)


def machine_decisions(pages: machine.Supervisor | None, asks_cpuid: bool) -> list[Decision]:
    """What of the processor the guest sees."""
    if pages is None:
        return []
    why = "CPUID may be executed" if asks_cpuid else "no CPUID instruction in the program's code"
    return [Decision("processor feature", "CPUID", asks_cpuid, why)]
