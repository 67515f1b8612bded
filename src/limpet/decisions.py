"""``plan``: every decision about one bundle, made by a pure function and kept with its reason.

Nothing here opens a file of the user's, starts a process or reads a clock: the same guest, options
and Limpet give the same :class:`Plan`, and :meth:`Plan.digest` names it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from limpet import contract, layout, machine
from limpet.constants import Constants, constants
from limpet.contract import Backend, Hypercall
from limpet.errors import PlanError
from limpet.generate import gates_c, monitor_c, plan_h
from limpet.guest import Guest
from limpet.image import Access, Image
from limpet.layout import Layout, Region
from limpet.parts import SystemCall, dispatch_c, served
from limpet.rewrite import Rewriting, rewrite
from limpet.seccomp import KILL_PROCESS, TRAP, Filter, Rule
from limpet.sites import Scan, Site
from limpet.syscalls import NAMES

DEFAULT_MEMORY = 128 << 20
TRAMPOLINE_BOUND = 96
"""Bytes kept for the trampoline of one site."""

ALWAYS_CALLS = ("exit_group",)
"""Served in every guest: the way out."""

DENIED_CALLS = ("fork", "vfork", "clone", "clone3", "execve", "execveat")
"""What does not exist in a unikernel; a program that could call one is warned about."""


@dataclass(frozen=True)
class Options:
    """What the user decides.

    ``memory`` is in bytes, ``timeout`` in milliseconds (0: none), ``environment`` holds
    ``NAME=VALUE`` strings to bake in and bare ``NAME``s to pass on when the bundle starts.
    """

    backends: tuple[Backend, ...] = ("kvm",)
    memory: int = DEFAULT_MEMORY
    timeout: int = 0
    max_output: int = 0
    cpu: str = "v2"
    rewrite: bool = True
    environment: tuple[str, ...] = ()


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
    layout: Layout
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
    options = options or Options()
    _check(guest, options)
    image = guest.image
    if image.kind == "static-pie":
        image = image.moved(layout.STATIC_PIE_BASE)
    scan = guest.scan if image is guest.image else guest.scan.moved(layout.STATIC_PIE_BASE)
    baked = tuple(each for each in options.environment if "=" in each)
    fixed = constants(image, baked)
    place = layout.lay_out(
        image,
        trampolines=len(scan.sites) * TRAMPOLINE_BOUND,
        constants=fixed.size,
        tree=len(guest.tree.data),
        memory=options.memory,
    )
    rewriting = _rewriting(image, scan, place, options)
    calls, decisions = _system_calls(scan, image)
    hypercalls = _hypercalls(calls)
    level = machine.CPU_LEVELS[options.cpu]
    asks_cpuid = any(
        CPUID in segment.data for segment in image.segments if Access.EXECUTE in segment.access
    )
    regions = _regions(image, place, rewriting, fixed, guest, level)
    pages = _supervisor(place, regions, hypercalls) if "kvm" in options.backends else None
    filters = {each: _filter(each, hypercalls, place, options) for each in options.backends}
    blobs = fixed.with_machine(pages, place, level, asks_cpuid)
    sources = {
        "dispatch.c": dispatch_c(calls),
        "gates.c": gates_c(hypercalls, options.backends),
        "plan.h": plan_h(place, options, filters, blobs, pages),
        "monitor.c": monitor_c(hypercalls, options),
    }
    return Plan(
        guest,
        image,
        options,
        place,
        regions,
        calls,
        hypercalls,
        filters,
        rewriting,
        pages,
        blobs,
        sources,
        (
            *decisions,
            *_hypercall_decisions(calls, hypercalls),
            *_machine_decisions(pages, asks_cpuid),
        ),
        _warnings(scan, image),
    )


def _check(guest: Guest, options: Options) -> None:
    if not options.backends or set(options.backends) - set(contract.BACKENDS):
        raise PlanError(
            f"no such backend: {', '.join(options.backends) or 'none given'}",
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


def _rewriting(image: Image, scan: Scan, place: Layout, options: Options) -> Rewriting:
    if not options.rewrite:
        return Rewriting((), b"", tuple((site, "rewriting is off") for site in scan.sites))
    rewriting = rewrite(
        image,
        scan,
        place.trampolines,
        entry=place.entry("syscall_entry"),
        entry_flags=place.entry("syscall_entry_flags"),
    )
    assert len(rewriting.trampolines) <= place.text - place.trampolines
    return rewriting


DEAD_FUNCTIONS = ("__init_libc",)
_DEAD_WHY = "only in musl's __init_libc, for set-user-ID programs, which no guest is"


def _is_dead(site: Site, image: Image) -> bool:
    """Whether a site is in code that no guest runs: musl looks there at AT_SECURE first."""
    return any(
        symbol.address <= site.address < symbol.address + symbol.size
        for symbol in image.symbols
        if symbol.name in DEAD_FUNCTIONS
    )


def _system_calls(scan: Scan, image: Image) -> tuple[tuple[SystemCall, ...], list[Decision]]:
    known = served()
    decisions: list[Decision] = []
    numbers: dict[int, str] = {}
    if scan.unresolved:
        why = f"{len(scan.unresolved)} sites have a number that only shows at run time"
        numbers = dict.fromkeys(known, why)
    for site in scan.sites:
        for number in site.numbers:
            if _is_dead(site, image):
                numbers.setdefault(number, "")
            else:
                numbers[number] = f"called at {site.address:#x}"
    dead = [number for number, why in numbers.items() if not why]
    for number in dead:
        del numbers[number]
        decisions.append(Decision("system call", NAMES[number], False, _DEAD_WHY))
    for name in ALWAYS_CALLS:
        number = next(number for number, call in known.items() if call.name == name)
        numbers.setdefault(number, "every guest can end")
    for number, why in sorted(numbers.items()):
        name = NAMES.get(number, f"number {number}")
        if number in known:
            decisions.append(Decision("system call", name, True, why))
        else:
            decisions.append(Decision("system call", name, False, f"{why}, not served: ENOSYS"))
    return tuple(known[each] for each in sorted(numbers) if each in known), decisions


def _hypercalls(calls: tuple[SystemCall, ...]) -> tuple[Hypercall, ...]:
    wanted = {name for call in calls for name in call.hypercalls} | {"exit", "console_out"}
    return tuple(call for call in contract.hypercalls() if call.name in wanted)


def _hypercall_decisions(
    calls: tuple[SystemCall, ...], hypercalls: tuple[Hypercall, ...]
) -> list[Decision]:
    decisions = []
    for each in contract.hypercalls():
        users = [call.name for call in calls if each.name in call.hypercalls]
        if each.name in ("exit", "console_out"):
            users.append("the line that says why a guest ended")
        why = f"needed by {', '.join(users)}" if users else "no system call leads to it"
        decisions.append(Decision("hypercall", each.name, each in hypercalls, why))
    return decisions


CPUID = b"\x0f\xa2"
"""The instruction's bytes; where they stand nowhere in executable pages it cannot be run."""


def _machine_decisions(pages: machine.Supervisor | None, asks_cpuid: bool) -> list[Decision]:
    if pages is None:
        return []
    why = "CPUID may be executed" if asks_cpuid else "no CPUID instruction in the program's code"
    return [Decision("processor feature", "CPUID", asks_cpuid, why)]


def _regions(
    image: Image,
    place: Layout,
    rewriting: Rewriting,
    fixed: Constants,
    guest: Guest,
    level: machine.CpuLevel,
) -> tuple[Region, ...]:
    read, write, execute = Access.READ, Access.WRITE, Access.EXECUTE
    regions = [_patched(region, rewriting) for region in place.image]

    def add(
        name: str, low: int, high: int, access: Access, content: bytes | None, why: str
    ) -> None:
        size = layout.align_up(high - low, layout.PAGE)
        regions.append(Region(name, low, size, access, content, why))

    text_end = place.text + layout.LIBOS_TEXT_SIZE
    why = "the library OS's code, trampolines of the rewritten sites first"
    add("libos_text", place.trampolines, text_end, read | execute, None, why)
    why = "boot_info, then the library OS's data and the stack for signals"
    add("libos_data", place.state, place.state_end, read | write, None, why)
    why = "constants for the library OS: guest_info, environment, symbols"
    add(
        "constants",
        place.constants,
        place.rodata,
        read,
        fixed.guest_bytes(image, place, guest, level),
        why,
    )
    rodata_end = place.rodata + layout.LIBOS_RODATA_SIZE
    add("libos_rodata", place.rodata, rodata_end, read, None, "the library OS's constants")
    if guest.tree.data:
        end = place.tree + len(guest.tree.data)
        add("tree", place.tree, end, read, guest.tree.data, "the packed file tree")
    add("arena", *place.arena, read | write, b"", "memory for brk, mmap and files in RAM")
    add("stack", *place.stack, read | write, b"", "the program's stack, above a hole")
    return tuple(regions)


def _patched(region: Region, rewriting: Rewriting) -> Region:
    patches = [each for each in rewriting.patches if region.address <= each.address < region.end]
    if not patches:
        return region
    content = bytearray(region.content or b"")
    for patch in patches:
        at = patch.address - region.address
        content[at : at + len(patch.content)] = patch.content
    return Region(
        region.name, region.address, region.size, region.access, bytes(content), region.why
    )


def _supervisor(
    place: Layout, regions: tuple[Region, ...], hypercalls: tuple[Hypercall, ...]
) -> machine.Supervisor:
    mappings = [
        machine.Mapping(
            region.address,
            region.size,
            Access.WRITE in region.access,
            Access.EXECUTE in region.access,
        )
        for region in regions
    ]
    return machine.supervisor(place.supervisor, mappings, [call.port for call in hypercalls])


def _filter(
    backend: Backend, hypercalls: tuple[Hypercall, ...], place: Layout, options: Options
) -> Filter:
    rules = []
    for hypercall in hypercalls:
        for host in hypercall.host:
            pins = tuple(pin for pin in host.pins if backend == "kvm" or not pin.guest)
            why = f"{hypercall.name}: {host.why}"
            if backend == "kvm":
                rules.append(Rule(host.call, why, pins))
            else:
                label = f"host_{hypercall.name}_{host.call}"
                rules.append(Rule(host.call, why, pins, label, place.text))
    monitor = (layout.MONITOR_BASE, layout.MONITOR_BASE + layout.MONITOR_SIZE)
    own = contract.Pin(1, range=monitor)
    if backend == "kvm":
        run = contract.Pin(0, (VCPU_FD,)), contract.Pin(1, (KVM_RUN,)), contract.Pin(2, (0,))
        rules.insert(0, Rule("ioctl", "KVM_RUN on the one vCPU: runs the guest", run))
        line = (contract.Pin(0, (2,)), own, contract.Pin(2, max=256))
        rules.append(Rule("write", "the line that says why the monitor ended", line))
        return Filter(tuple(rules), KILL_PROCESS, place.guest)
    if options.timeout:
        line = (contract.Pin(0, (2,)), own, contract.Pin(2, max=256))
        rules.append(Rule("write", "the line of a timeout", line, "host_timeout_write"))
        rules.append(Rule("exit_group", "ends after a timeout", (), "host_timeout_exit_group"))
    return Filter(tuple(rules), TRAP, place.guest)


KVM_RUN = 0xAE80
KVM_FD, VCPU_FD = 3, 5
"""Descriptors in the monitor: nothing else is open from 3 on when it opens ``/dev/kvm``."""


def _warnings(scan: Scan, image: Image) -> tuple[str, ...]:
    warnings = list(image.warnings)
    numbers = {number for site in scan.sites for number in site.numbers}
    denied = [name for name in DENIED_CALLS if _number(name) in numbers]
    if denied:
        warnings.append(
            f"{image.name} may call {', '.join(denied)}, which a unikernel does not have: ENOSYS"
        )
    return tuple(warnings)


def _number(name: str) -> int:
    return next(number for number, known in NAMES.items() if known == name)
