"""``plan`` for static Linux programs: the library OS and the monitor that its system calls need."""

from __future__ import annotations

from limpet import contract
from limpet.arch.x86_64 import machine
from limpet.arch.x86_64.rewrite import Rewriting, rewrite
from limpet.arch.x86_64.sites import Scan, Site
from limpet.arch.x86_64.syscalls import NAMES
from limpet.contract import Backend, Hypercall
from limpet.errors import PlanError
from limpet.formats import manifest
from limpet.formats.manifest import Device
from limpet.guests.linux.parts import SystemCall, dispatch_c, served
from limpet.loading.guest import Guest
from limpet.loading.image import Access, Image
from limpet.planning import layout
from limpet.planning.constants import Constants, constants
from limpet.planning.decisions import Decision, Options, Plan, machine_decisions, may_ask_cpuid
from limpet.planning.filters import (
    has_device,
    kvm_run_rule,
    monitor_line_rule,
    resolved,
    timeout_rules,
)
from limpet.planning.generate import gates_c, monitor_c, plan_h
from limpet.planning.layout import Layout, Region, patched
from limpet.planning.seccomp import KILL_PROCESS, TRAP, Filter, Rule

OPENING_CALLS = ("open", "openat")
"""One of these a program needs to use a device."""

TRAMPOLINE_BOUND = 96
"""Bytes kept for the trampoline of one site."""

ALWAYS_CALLS = ("exit_group",)
"""Served in every guest: the way out."""

DENIED_CALLS = ("fork", "vfork", "clone", "clone3", "execve", "execveat")
"""What does not exist in a unikernel; a program that could call one is warned about."""


def plan(guest: Guest, options: Options) -> Plan:
    """Decide everything about the bundle of ``guest``.

    Raises:
        PlanError: the options or the guest cannot be honoured.
    """
    image = guest.image
    if image.kind == "static-pie":
        image = image.moved(layout.STATIC_PIE_BASE)
    scan = guest.scan if image is guest.image else guest.scan.moved(layout.STATIC_PIE_BASE)
    baked = tuple(each for each in options.environment if "=" in each)
    fixed = constants(image, baked)
    devices = manifest.declared(options.devices)
    table = manifest.pack(devices) if devices else b""
    place = layout.lay_out(
        image,
        trampolines=len(scan.sites) * TRAMPOLINE_BOUND,
        constants=fixed.size,
        devices=len(table),
        tree=len(guest.tree.data),
        memory=options.memory,
    )
    rewriting = _rewriting(image, scan, place, options)
    calls, decisions = _system_calls(scan, image)
    if devices and not any(call.name in OPENING_CALLS for call in calls):
        raise PlanError(
            f"{image.name} opens no file: it cannot use the device {devices[0].name}",
            hint="leave out --block and --net",
        )
    hypercalls = _hypercalls(calls, devices)
    level = machine.CPU_LEVELS[options.cpu]
    asks_cpuid = may_ask_cpuid(image)
    regions = _regions(image, place, rewriting, fixed, guest, level, table)
    pages = _supervisor(place, regions, hypercalls) if "kvm" in options.backends else None
    filters = {
        each: _filter(each, hypercalls, place, options, devices) for each in options.backends
    }
    blobs = fixed.with_machine(
        pages,
        level,
        start=place.entry("guest_start"),
        syscall=place.entry("syscall_entry_r11"),
        asks_cpuid=asks_cpuid,
    )
    sources = {
        "dispatch.c": dispatch_c(calls),
        "gates.c": gates_c(hypercalls, options.backends, devices),
        "plan.h": plan_h(place, options, filters, blobs, pages, devices),
        "monitor.c": monitor_c(hypercalls, options, filters, devices),
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
            *_device_decisions(devices),
            *_hypercall_decisions(calls, hypercalls),
            *machine_decisions(pages, asks_cpuid),
        ),
        _warnings(scan, image),
    )


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


def _hypercalls(
    calls: tuple[SystemCall, ...], devices: tuple[Device, ...]
) -> tuple[Hypercall, ...]:
    wanted = {name for call in calls for name in call.hypercalls} | {"exit", "console_out"}
    if any(device.kind == "net" for device in devices):
        wanted.add("wait")
    return tuple(
        call
        for call in contract.hypercalls()
        if (has_device(call, devices) if call.device else call.name in wanted)
    )


_DEVICE_FILES = {"block": "/dev/{}", "net": "the interface {} of /dev/net/tun"}


def _device_decisions(devices: tuple[Device, ...]) -> list[Decision]:
    return [
        Decision(
            "device", each.name, True, f"{_DEVICE_FILES[each.kind].format(each.name)}, as asked"
        )
        for each in devices
    ]


def _hypercall_decisions(
    calls: tuple[SystemCall, ...], hypercalls: tuple[Hypercall, ...]
) -> list[Decision]:
    decisions = []
    for each in contract.hypercalls():
        users = [call.name for call in calls if each.name in call.hypercalls]
        if each.name in ("exit", "console_out"):
            users.append("the line that says why a guest ended")
        if each.device and each in hypercalls:
            users.append(f"the {each.device} devices")
        why = f"needed by {', '.join(users)}" if users else "no system call leads to it"
        decisions.append(Decision("hypercall", each.name, each in hypercalls, why))
    return decisions


def _regions(
    image: Image,
    place: Layout,
    rewriting: Rewriting,
    fixed: Constants,
    guest: Guest,
    level: machine.CpuLevel,
    devices: bytes,
) -> tuple[Region, ...]:
    read, write, execute = Access.READ, Access.WRITE, Access.EXECUTE
    regions = [patched(region, rewriting) for region in place.image]

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
    if devices:
        end = place.devices + len(devices)
        add("devices", place.devices, end, read, devices, "the table of devices")
    if guest.tree.data:
        end = place.tree + len(guest.tree.data)
        add("tree", place.tree, end, read, guest.tree.data, "the packed file tree")
    add("arena", *place.arena, read | write, b"", "memory for brk, mmap and files in RAM")
    add("stack", *place.stack, read | write, b"", "the program's stack, above a hole")
    return tuple(regions)


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
    backend: Backend,
    hypercalls: tuple[Hypercall, ...],
    place: Layout,
    options: Options,
    devices: tuple[Device, ...],
) -> Filter:
    rules = []
    # devices first: the filter is run from its start for every call
    for hypercall in sorted(hypercalls, key=lambda call: not call.device):
        for host in hypercall.host:
            why = f"{hypercall.name}: {host.why}"
            label = f"host_{hypercall.name}_{host.call}"
            for pins in resolved(host, backend, devices):
                if backend == "kvm":
                    rules.append(Rule(host.call, why, pins))
                else:
                    rules.append(Rule(host.call, why, pins, label, place.text))
    if backend == "kvm":
        rules = [kvm_run_rule(), *rules, monitor_line_rule()]
        return Filter(tuple(rules), KILL_PROCESS, place.guest)
    if options.timeout:
        rules += timeout_rules()
    return Filter(tuple(rules), TRAP, place.guest)


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
