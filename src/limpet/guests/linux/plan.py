"""``plan`` for Linux programs: the library OS and the monitor that its system calls need."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from limpet import contract
from limpet.arch.x86_64 import machine
from limpet.arch.x86_64.rewrite import Rewriting, rewrite
from limpet.contract import Backend, Filtered, Hypercall
from limpet.errors import PlanError
from limpet.formats import manifest
from limpet.formats.image import Image
from limpet.formats.manifest import Device
from limpet.guests.linux import threads
from limpet.guests.linux.calls import system_calls
from limpet.guests.linux.constants import Constants, constants
from limpet.guests.linux.counted import REPORT
from limpet.guests.linux.dispatch import dispatch_c
from limpet.guests.linux.generate import CORE, gates_c, plan_h
from limpet.guests.linux.jit import with_jit
from limpet.guests.linux.large_code import beside_code, large_pages, run_bytes, with_code
from limpet.guests.linux.late import late_data, with_late
from limpet.guests.linux.layout import Layout, lay_out, own_places
from limpet.guests.linux.mapped import supervisor
from limpet.guests.linux.outside import outside_decisions, with_outside
from limpet.guests.linux.own_regions import mapped_at_start, own_regions, packed_tree
from limpet.guests.linux.parts import CORE_HYPERCALLS, SystemCall, hypercall_users
from limpet.guests.linux.place import PlacedProgram
from limpet.guests.linux.place import place as place_program
from limpet.guests.linux.reasons import device_decisions, hypercall_decisions
from limpet.guests.linux.rewinding import REWIND, late_for, readable, with_rewind
from limpet.guests.linux.rights import with_rights
from limpet.guests.linux.signals import guest_facts, with_signals
from limpet.guests.linux.terminal import makes_terminals, with_terminal
from limpet.guests.linux.ticks import with_ticks
from limpet.guests.linux.traced import TRACE, with_trace
from limpet.guests.linux.unserved import SOCKETS
from limpet.guests.linux.verdict import judge
from limpet.guests.linux.volumes import check_volumes, with_volumes
from limpet.loading.guest import Guest
from limpet.plain import quoted
from limpet.planning import choices
from limpet.planning.asked import warnings
from limpet.planning.blobs import blobs
from limpet.planning.broker import broker_filter
from limpet.planning.features import choose, facts, with_parts
from limpet.planning.filters import WayOut, resolved, way_out_of
from limpet.planning.monitor import host_numbers, monitor_c
from limpet.planning.namer import changes, namer_filter
from limpet.planning.options import Options
from limpet.planning.outside import outside
from limpet.planning.plan import Plan
from limpet.planning.porter import porter_filter
from limpet.planning.processor import machine_decisions, may_ask_cpuid
from limpet.planning.seccomp import KILL_PROCESS, TRAP, Filter, Rule
from limpet.planning.shelves import MANY, gaps_of_file, rows
from limpet.planning.stopped import few_words, hot_pages, sealed_c, takes_few_words, with_memory
from limpet.tools.freestanding import Sizes

WORD = 8
"""Bytes of a pointer."""

OPENING_CALLS = ("open", "openat")
"""One of these a program needs to use a device."""


def plan(guest: Guest, options: Options, library: Sizes) -> Plan:
    """Decide everything about the bundle of ``guest``.

    Args:
        library: what the library OS takes at most.

    Raises:
        PlanError: the options or the guest cannot be honoured.
    """
    program = place_program(guest, late=late_for(options), binds=options.snapshot)
    image, scan = program.image, program.scan
    fixed = constants(program, [each for each in options.environment if "=" in each], guest.path)
    devices = manifest.declared(options.devices)
    leads = outside(options, devices)
    table = choices.table(devices, leads.chosen if leads else ())
    sizes = {"constants": fixed.size, "devices": len(table), "tree": guest.tree.room}
    sizes |= own_places(guest.tree.room, options.backends)
    place, rewriting = _settled(program, options, library, sizes)
    _check_environment(image, fixed, place)
    _check_words(image, options, place)
    judged = guest.judged or judge(guest)
    known = threads.serves(judged.calls, guest)
    asks = system_calls(program.reached, scan, image, known, options.serve)
    calls = asks.served
    _check_devices(image, calls, devices)
    check_volumes(guest, devices)
    served = {call.name for call in calls}
    users = dict(with_terminal(_users(calls, devices), options, program.reached))
    users = with_trace(users, options)
    users = with_ticks(users, options, judged.calls, guest)
    users = with_signals(users, options, served)
    users = with_rights(users, options, served, guest.loader is not None)
    users = with_volumes(users, devices, served, options)
    users = with_jit(users, options, served)
    users = with_late(users, options, place.late_data)
    users = with_outside(users, leads, image, served, options.backends)
    users = with_rewind(users, options)
    hypercalls = _hypercalls(users)
    _check_snapshot(image, options, calls, hypercalls)
    level = machine.CPU_LEVELS[options.cpu]
    reserves = any(call.name == "place" for call in hypercalls)
    own = fixed.pack(image, place, guest.tree, level, reserves=reserves, stops=options.snapshot)
    packed = packed_tree(place, guest)
    virtual = "kvm" in options.backends
    regions = own_regions(place, rewriting, own, table, packed)
    beside = beside_code(regions, program, options)
    regions = with_memory(regions, guest.memory, (place.boot_info, place.data), machine=virtual)
    regions = regions if options.strict else tuple(with_code(regions, beside))
    pages = supervisor(place, regions, hypercalls, guest.memory) if virtual else None
    joins = len(options.backends) == 1 and (guest.memory or len(regions) > MANY)
    joined = tuple(rows(regions, machine=virtual)) if joins else ()
    asks_cpuid = may_ask_cpuid(image, run_bytes(regions, beside))
    asked = tuple(each for each in judged.asked if not (leads and each.what == SOCKETS.what))
    kvm = blobs(
        pages,
        level,
        start=place.entry("guest_start"),
        syscall=place.entry("syscall_entry_r11"),
        asks_cpuid=asks_cpuid,
    )
    if any(call.name == "tick" for call in hypercalls):
        kvm = kvm.with_timer()
    kvm = kvm.with_tables(leads.blobs()) if leads else kvm
    if any(each.kind == manifest.VOLUME for each in devices):
        kvm = kvm.with_sealed()
    way_out = way_out_of(leads, kvm, choices.choices_at(place.devices, devices))
    rules = {each: _rules(each, hypercalls, place, devices, way_out) for each in options.backends}
    every = [rule for each in rules.values() for rule in each]
    leading = leads.facts() if leads else ()
    given = facts(
        [*guest_facts(users, served), *_data_facts(guest, place), *leading],
        devices,
        every,
        kvm.fixed,
        table=bool(table),
        hypercalls=hypercalls,
    )
    chosen = choose(options, given)
    filters: dict[Filtered, Filter] = {
        each: Filter(with_parts(chosen, each, rules[each]), _DEFAULT[each], place.guest)
        for each in options.backends
    }
    if leads and leads.destinations:
        filters["broker"] = broker_filter()
    if leads and way_out and leads.porter:
        filters["porter"] = porter_filter(chosen, way_out)
    changing, few = changes(hypercalls), takes_few_words(guest.memory, options)
    if changing:
        filters["namer"] = namer_filter(chosen, devices)
    return Plan(
        guest=replace(guest, judged=judged if options.snapshot else None),  # planned again then
        image=image,
        scan=scan,
        reached=program.reached,
        options=options,
        layout=place,
        regions=regions,
        rows=joined,
        packed=packed,
        calls=calls,
        hypercalls=hypercalls,
        filters=filters,
        rewriting=rewriting,
        supervisor=pages,
        blobs=kvm,
        sources={
            "dispatch.c": dispatch_c(
                calls,
                asks.unserved,
                asks.unreached,
                any_number=asks.any_number,
                runs=asks.runs,
                traced=TRACE in users,
            ),
            "gates.c": gates_c(
                hypercalls,
                options.backends,
                devices,
                threads=any(call.name in threads.CALLS for call in calls),
                placed=bool(program.objects),
                timer=kvm.addresses().get("TICK_TIMER", 0),
                snapshot=options.snapshot,
                after=options.after * options.snapshot,
                terminals=makes_terminals(guest, calls),
                way_out=way_out,
                traced=TRACE in users,
                counted=options.asks(REPORT),
            )
            + sealed_c(guest.memory, waits=program.code_waits) * options.snapshot,
            "plan.h": plan_h(place, options, filters, kvm, pages, devices, chosen, way_out)
            + mapped_at_start(regions, place.words_low if few else place.stack[1])
            + (hot_pages(guest.memory) + late_data(place.late_data))
            + few_words(guest.memory, options, place.beside_boot),
            "host_numbers.h": host_numbers(chosen, (*hypercalls, *changing)),
            "monitor.c": monitor_c(
                CORE, chosen, hypercalls, options.backends, gaps_of_file(regions, pages, joined)
            ),
        },
        decisions=(
            *asks.decisions,
            *device_decisions(devices),
            *outside_decisions(leads),
            *hypercall_decisions(users),
            *chosen.decisions(),
            *machine_decisions(pages, asks_cpuid),
            *large_pages(beside, program, strict=options.strict),
        ),
        verdict=asked,
        warnings=(*warnings(image.name, asked), *image.warnings, *_object_warnings(guest)),
    )


def _object_warnings(guest: Guest) -> Iterator[str]:
    """What is wrong with its shared objects."""
    for each in guest.objects:
        yield from each.image.warnings
    yield from guest.warnings
    for path, why in guest.left:
        yield f"{quoted(path)} cannot be loaded: {why}"


def _data_facts(guest: Guest, place: Layout) -> Iterator[str]:
    """What is said of the data that the program will write."""
    if guest.memory is None and place.large_data[1]:
        yield "large_data"
    if guest.memory and guest.memory.hot:
        yield "hot"


def _check_environment(image: Image, fixed: Constants, place: Layout) -> None:
    """It is copied to the stack, where a program may write it."""
    size = sum(len(each) + 1 + WORD for each in fixed.environment)
    most = (place.stack[1] - place.stack[0]) // 4
    if size > most:
        raise PlanError(
            f"{image.name}: {size} bytes of --env do not fit into its stack, which has room for "
            f"{most}",
            hint="bake in less, or give more --memory",
        )


def _check_words(image: Image, options: Options, place: Layout) -> None:
    """The monitor puts them where a start's own words go as well."""
    size = sum(len(os.fsencode(each)) + 1 for each in options.words)
    most = (place.stack[1] - place.stack[0]) // 8
    if size > most or any("\0" in each for each in options.words):
        what = "have a zero byte" if size <= most else f"are more than {most} bytes"
        raise PlanError(f"{image.name}: the words that it starts with {what}", hint="give others")


def _check_devices(
    image: Image, calls: tuple[SystemCall, ...], devices: tuple[Device, ...]
) -> None:
    if devices and not any(call.name in OPENING_CALLS for call in calls):
        raise PlanError(
            f"{image.name} opens no file: it cannot use the device {devices[0].name}",
            hint="leave out --block, --net and --volume",
        )


def _check_snapshot(
    image: Image,
    options: Options,
    calls: Collection[SystemCall],
    hypercalls: Collection[Hypercall],
) -> None:
    if not options.snapshot:
        return
    if any(each.kind != manifest.VOLUME for each in manifest.declared(options.devices)):
        raise PlanError(
            f"{image.name}: a snapshot cannot have disks and network interfaces: what they were is "
            "not in its memory",
            hint="leave out --block and --net",
        )
    reads = any(call.name == "console_in" for call in hypercalls)
    if not (reads or options.after or any(call.name in OPENING_CALLS for call in calls)):
        raise PlanError(
            f"{image.name} never reads its standard input and opens no file: it would not stop",
            hint="take a snapshot of a program that does, or say when: --after SECONDS",
        )


def _settled(
    program: PlacedProgram, options: Options, library: Sizes, sizes: Mapping[str, int]
) -> tuple[Layout, Rewriting]:
    """The memory map, and the sites as jumps into it.

    The library OS starts where the trampolines end, so they are made once to be measured.
    """
    rough = lay_out(program, library, trampolines=0, memory=options.memory, **sizes)
    measured = len(_rewriting(program, rough, options).trampolines)
    place = lay_out(program, library, trampolines=measured, memory=options.memory, **sizes)
    rewriting = _rewriting(program, place, options)
    assert len(rewriting.trampolines) == measured
    return place, rewriting


def _rewriting(program: PlacedProgram, place: Layout, options: Options) -> Rewriting:
    """The sites of the program and of its objects, each with its trampolines behind the others'."""
    if not options.rewrite:
        return Rewriting((), b"", tuple((site, "rewriting is off") for site in program.scan.sites))
    whole = Rewriting((), b"", ())
    for image, scan in program.parts:
        whole += rewrite(
            image,
            scan,
            place.trampolines + len(whole.trampolines),
            entry=place.entry("syscall_entry"),
            entry_flags=place.entry("syscall_entry_flags"),
        )
    return whole


def _users(
    calls: tuple[SystemCall, ...], devices: tuple[Device, ...]
) -> dict[str, tuple[str, ...]]:
    """What needs each hypercall, in words; one that nothing needs is not there."""
    users = dict(hypercall_users(calls, {device.kind for device in devices}))
    for name in CORE_HYPERCALLS:
        users[name] = (*users.get(name, ()), "the line that says why a guest ended")
    return users


def _hypercalls(users: Collection[str]) -> tuple[Hypercall, ...]:
    return tuple(call for call in contract.hypercalls() if call.name in users)


_DEFAULT = {"kvm": KILL_PROCESS, "process": TRAP}
"""What becomes of a call that no rule allows; the library OS answers those of its process."""


def _rules(
    backend: Backend,
    hypercalls: tuple[Hypercall, ...],
    place: Layout,
    devices: tuple[Device, ...],
    way_out: WayOut | None,
) -> list[Rule]:
    """What the hypercalls ask of the host."""
    rules = []
    goes_back = any(call.name == REWIND for call in hypercalls)
    # devices first: the filter is run from its start for every call
    there = (call for call in hypercalls if backend in call.backends)
    for hypercall in sorted(there, key=lambda call: not call.device):
        for host in (each for each in hypercall.host if each.backend in ("", backend)):
            why = f"{hypercall.name}: {host.why}"
            label = f"host_{hypercall.name}_{host.own or host.call}"
            asked = readable(host) if goes_back else host
            for pins in resolved(asked, backend, devices, place.changing, way_out):
                if backend == "kvm":
                    rules.append(Rule(host.call, why, pins))
                else:
                    rules.append(Rule(host.call, why, pins, label, place.text))
    return rules
