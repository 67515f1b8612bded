"""The C that is written for one Linux program: the library OS's gates, the monitor's constants."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence

from limpet.arch.x86_64.machine import Supervisor
from limpet.contract import Backend, Filtered, Hypercall, hypercalls, opening
from limpet.contract.limits import PROGRAM_STATUSES
from limpet.formats.manifest import KINDS, VOLUME, Device
from limpet.guests.linux import layout
from limpet.guests.linux.counted import with_counts
from limpet.guests.linux.jit import EXECUTE
from limpet.guests.linux.late import LOAD
from limpet.guests.linux.layout import Layout
from limpet.guests.linux.outside import outside_c
from limpet.guests.linux.rewinding import REWIND, stub_of
from limpet.guests.linux.signals import ATTEND
from limpet.guests.linux.traced import TRACE
from limpet.guests.linux.volumes import settled
from limpet.planning import choices, sealed
from limpet.planning.blobs import Blobs
from limpet.planning.features import Chosen
from limpet.planning.filters import WayOut
from limpet.planning.monitor import Core, defines, filter_values, monitor_values
from limpet.planning.options import Options
from limpet.planning.seccomp import Filter

CORE = Core(
    start=("core/start.c",),
    handlers=("core/guest_range.h", "core/guest_block.h"),
    backends={"kvm": ("core/kvm.c",), "process": ("core/process.c",)},
)

HUGE_AFTER, HUGE_BEFORE = 4 << 20, 2 << 20
"""Bytes at both ends of the arena in ordinary pages; kvm monitors ask for huge ones between them.

What a program maps first lies at the end: a small one would touch a whole huge page there.

A program with large data gets huge ones from the start.
"""


_LEADS = (
    ("terminal", "host_terminal)(struct terminal *block)", "hypercall_terminal"),
    (EXECUTE, "host_execute)(struct execute *block)", "hypercall_execute"),
    (LOAD, "host_load)(struct load *block)", "hypercall_load"),
    ("tick", "tick_taken)(const struct regs *, const void *)", "tick_came"),
    ("tick", "tick_for_timers)(void)", "tick_soon"),
)
"""What leads to a hypercall, where the plan has it."""


def gates_c(
    chosen: Sequence[Hypercall],
    backends: Sequence[Backend],
    devices: Sequence[Device],
    *,
    threads: bool,
    placed: bool,
    timer: int = 0,
    snapshot: bool = False,
    after: int = 0,
    terminals: bool = False,
    way_out: WayOut | None = None,
    traced: bool = False,
    counted: bool = False,
) -> str:
    """``gates.c``: how the library OS reaches its monitor, for each hypercall in the plan.

    ``timer`` is the address of a tick's timer in the monitor's constants, ``after`` the
    milliseconds until a snapshot is taken.

    Where there are ``threads``, an argument block can lie on a stack in the arena; the monitor
    takes it from the library OS's own data.
    """
    text = "/* Generated: the hypercalls of this guest. */\n"
    text += '#include "core/alarm.h"\n#include "core/tick.h"\n'
    text += f"#define TICK_TIMER {timer:#x}L\n#define NETWORKS {_count(devices, 'net')}\n"
    text += "u64 exits_made;\n" + defines(sealed.ADDRESSES)
    if way_out:
        text += defines({**_ways_out(way_out), "ENDPOINTS": way_out.endpoints_at})
    if "process" in backends:
        goes_back = any(call.name == REWIND for call in chosen)
        text += '#include "stub.h"\n'
        text += '#include "x86_64/arranging.h"\n' if goes_back else ""
        for call in (each for each in chosen if "process" in each.backends):
            made = (host for host in call.host if host.backend != "kvm" and not host.own)
            stubs = dict.fromkeys(host.call for host in made)
            for each in stubs:
                stub = stub_of(call.name, each, goes_back=goes_back)
                text += f"{stub}({call.name}, {each})\n"
            text += f'#include "hypercalls/{call.name}/process.c"\n'
    if "kvm" in backends:
        text += "".join(
            f'#include "hypercalls/{call.name}/ring0.c"\n' for call in chosen if call.ring0
        )
        text += (
            "\nstatic void out(u16 port, void *block) {\n    exits_made++;\n"
            '    __asm__ volatile("outl %0, %1" ::"a"((u32)(u64)block), "Nd"(port)'
            ' : "memory");\n}\n'
        )
    hears = any(call.name == ATTEND for call in chosen)
    tells_time = hears or any(call.name == "wait" for call in chosen)
    text += outside_c(way_out)
    time = "outside_time" if way_out else "host_time"
    text += "\nconst struct host_time *const guest_time = "
    text += f"&{time};\n" if tells_time else "NULL;\n"
    text += _alarms(hears, after)
    text += _arranging(chosen)
    there = [call for call in chosen if _is_there(call, backends)]
    names = {call.name for call in chosen}
    for name, declared, function in _LEADS:
        text += f"void (*const {declared} = {function if name in names else 'NULL'};\n"
    text += _device_files(devices) + _volumes(devices)
    text += '#include "parts/memory/placed.h"\nconst struct placed_ops *const guest_placed = '
    text += "&placed_ops;\n" if placed else "NULL;\n"
    text += '#include "parts/terminals/reach.h"\n'
    text += "const struct terminals *const guest_terminals = "
    text += "&own_terminals;\n" if terminals else "NULL;\n"
    text += _snapshot(names, backends, devices, way_out) if snapshot else _NO_SNAPSHOT
    arranged = "kvm" in backends and any(call.ring0 for call in chosen)
    gates = "".join(
        _gate(call, call in there, backends, threads, arranged)
        for call in hypercalls()
        if not (hears and call.name == "wait")
    )
    gates = settled(gates) if _count(devices, VOLUME) else gates
    if hears:
        gates += "\nvoid hypercall_wait(struct wait *block) {\n    attend(block);\n}\n"
    gates = _by_the_guests_clock(gates) if snapshot and tells_time else gates
    if counted and "process" in backends:
        gates = with_counts(gates, [call for call in there if "process" in call.backends], backends)
    return text + (_traced(gates, there) if traced else gates)


def _alarms(hears: bool, after: int) -> str:
    """The timers that are there from the start: what begins with the first look at any."""
    if not after:
        return f"struct alarms alarms{' = {.at = 1, .ring = attend_begin}' * hears};\n"
    begins = "    attend_begin(now);\n" * hears + "    snapshot_begin(now);\n"
    return (
        '#include "parts/snapshot/snapshot.h"\n'
        f"const s64 snapshot_after = {after}L * 1000000;\n"
        f"static void begin(s64 now) {{\n{begins}}}\n"
        "struct alarms alarms = {.at = 1, .ring = begin};\n"
    )


def _arranging(chosen: Sequence[Hypercall]) -> str:
    """What arranges the program's memory: nothing where it has no use for that."""
    arranges = any(call.name == "place" for call in chosen)
    ops = "&own_memory" if arranges else "NULL"
    return f"const struct guest_memory *const guest_memory = {ops};\n"


_NO_SNAPSHOT = """\
#include "parts/snapshot/snapshot.h"
const struct snapshot_ops *const guest_snapshot = NULL;
"""

_RENEWED = {"wait": "clock", "attend": "clock", "entropy": "entropy", "tick": "tick"}
"""What a guest renews when it goes on, if it has the hypercall."""


_STREAMS = ("console_in", "console_out")
"""What memory is taken and told through: there is no other gate while it is not as it was."""


def _snapshot(
    chosen: Collection[str],
    backends: Sequence[Backend],
    devices: Sequence[Device],
    way_out: WayOut | None,
) -> str:
    """What makes a guest stop, and go on."""
    parts = dict.fromkeys(_RENEWED[name] for name in _RENEWED if name in chosen)
    parts |= {"links": None} if way_out else {}
    renewed = "".join(f"    {each}_renew();\n" for each in parts)
    streams, given = "", ""
    for each in (each for each in _STREAMS if each in chosen):
        asks = f"out(PORT_{each.upper()}, block)" if "kvm" in backends else f"process_{each}(block)"
        streams += f"static void direct_{each}(struct {each} *block) {{\n    {asks};\n}}\n"
        given += f"    .{each} = direct_{each},\n"
    given += "    .unfit = volumes_unfit,\n" if _count(devices, VOLUME) else ""
    given += "    .connected = &links_made,\n" if way_out else ""
    given += "    .behind = &snapshot_behind,\n" if "clock" in parts else ""
    gone_back = _gone_back(parts) if REWIND in chosen else ("", "")
    return (
        '#include "parts/snapshot/snapshot.h"\n'
        f"{streams}{gone_back[0]}"
        f"static void renew(void) {{\n{renewed}}}\n"
        "static const struct snapshot_ops stops = {\n"
        "    .start = snapshot_start, .input = snapshot_input, .renew = renew,\n"
        f"{given}{gone_back[1]}"
        "    .folder = &snapshot_folder};\n"
        "const struct snapshot_ops *const guest_snapshot = &stops;\n"
    )


def _gone_back(parts: Iterable[str]) -> tuple[str, str]:
    """What renews a machine that its monitor took back, and the entries of it."""
    told = {"clock": "clock_rewound(told)", "entropy": "entropy_rewound(told)"}
    calls = "".join(f"    {told.get(each, f'{each}_renew()')};\n" for each in parts)
    return (
        f"static void rewound(const struct rewind *told) {{\n    (void)told;\n{calls}}}\n",
        f"    .rewind = hypercall_{REWIND},\n    .rewound = rewound,\n",
    )


def _by_the_guests_clock(gates: str) -> str:
    """``gates`` where the host's clock is another one than the guest's."""
    there = gates.replace("void hypercall_wait(", "static void host_wait(")
    passed = "    snapshot_wait(block, host_wait);\n"
    return f"{there}\nvoid hypercall_wait(struct wait *block) {{\n{passed}}}\n"


def _traced(gates: str, there: Sequence[Hypercall]) -> str:
    """``gates`` that leave a record of each hypercall, those that nobody else serves too."""
    told = [call for call in there if call.name != TRACE]
    for call in told:
        gates = gates.replace(f"void hypercall_{call.name}(", f"static void made_{call.name}(")
    text = '#include "parts/trace/trace.h"\n#include "x86_64/machine.h"\n'
    for call in told:
        assert call.block
        block, which = call.block.name, f"{call.number}, block, sizeof *block"
        body = f"    trace_ends({which});\n    made_{call.name}(block);\n"
        if call.name != "exit":
            leaves = "" if call.ring0 else "    trace_leaves();\n"
            body = (
                f"{leaves}    u64 since = ticks();\n    made_{call.name}(block);\n"
                f"    trace_left({call.number}, since, block, sizeof *block);\n"
            )
        text += f"\nvoid hypercall_{call.name}(struct {block} *block) {{\n{body}}}\n"
    return gates + text


def _is_there(call: Hypercall, backends: Sequence[Backend]) -> bool:
    return bool(set(backends) & set(call.backends)) or (call.ring0 and "kvm" in backends)


def _count(devices: Sequence[Device], kind: str) -> int:
    return sum(each.kind == kind for each in devices)


def _device_files(devices: Sequence[Device]) -> str:
    """What opens the devices: nothing where there are none, so that the linker drops the code."""
    text = ""
    for kind in KINDS.values():
        ops = f"&{kind}_ops" if _count(devices, kind) else "NULL"
        text += f"const struct file_ops *const {kind}_device_ops = {ops};\n"
    return text


def _volumes(devices: Sequence[Device]) -> str:
    """What serves the host's folders, and how it reaches the host."""
    there = "&own_volumes" if _count(devices, VOLUME) else "NULL"
    calls = (call.name for call in hypercalls() if call.device == VOLUME)
    table = ", ".join(f".{name.removeprefix('volume_')} = hypercall_{name}" for name in calls)
    return (
        '#include "parts/volumes/reach.h"\n'
        f"const u16 volume_modes[] = {{{', '.join(map(str, opening.NEW_MODES))}}};\n"
        f"const struct volume_host volume_host = {{{table}}};\n"
        f"const struct volumes *const guest_volumes = {there};\n"
    )


def _gate(
    call: Hypercall, chosen: bool, backends: Sequence[Backend], threads: bool, arranged: bool
) -> str:
    assert call.block
    head = f"\nvoid hypercall_{call.name}(struct {call.block.name} *block) {{\n"
    if not chosen:
        return head + f'    (void)block;\n    panic("the plan has no hypercall {call.name}");\n}}\n'
    through_port = f"out(PORT_{call.name.upper()}, block);\n"
    if threads and "kvm" in backends and "kvm" in call.backends:
        head = f"\nstatic struct {call.block.name} {call.name}_block;{head}"
        through_port = (
            f"{{\n        {call.name}_block = *block;\n"
            f"        out(PORT_{call.name.upper()}, &{call.name}_block);\n"
            f"        *block = {call.name}_block;\n    }}\n"
        )
    if arranged and call.names_memory and "kvm" in call.backends:
        head, through_port = _passed(call)
    by_call = f"process_{call.name}(block);\n"
    if call.ring0:
        through_port = f"ring0_{call.name}(block);\n"
    elif call.backends == ("kvm",):
        return head + f"    {through_port}}}\n"
    elif len(call.backends) == 1:
        return head + f"    {by_call}}}\n"
    if len(backends) == 2:
        body = f"    if (boot_info.backend == BACKEND_KVM)\n        {through_port}"
        return head + body + f"    else\n        {by_call}}}\n"
    return head + "    " + (through_port if "kvm" in backends else by_call) + "}\n"


def _passed(call: Hypercall) -> tuple[str, str]:
    """A gate that says where the monitor finds memory: what is placed lies elsewhere."""
    assert call.block
    name, block = call.name, f"{call.name}_block"
    head = (
        f"\nstatic struct {call.block.name} {block};\n"
        f"static long pass_{name}(u64 address, u64 length) {{\n"
        f"    {block}.address = address, {block}.length = length;\n"
        f"    out(PORT_{name.upper()}, &{block});\n"
        f"    return {block}.result;\n}}\n"
        f"\nvoid hypercall_{name}(struct {call.block.name} *block) {{\n"
    )
    fills = "true" if call.fills else "false"
    asked = f"block->address, block->length, {fills}, pass_{name}"
    return head, (
        f"{{\n        {block} = *block;\n"
        f"        block->result = guest_memory->pass({asked});\n    }}\n"
    )


def plan_h(
    place: Layout,
    options: Options,
    filters: Mapping[Filtered, Filter],
    blobs: Blobs,
    pages: Supervisor | None,
    devices: Sequence[Device],
    chosen: Chosen,
    way_out: WayOut | None = None,
) -> str:
    """``plan.h``: the monitor's constants."""
    room = pages.room if pages else (0, 0)
    data_lo, data_hi = place.large_data
    values = {
        "GUEST_LO": place.guest[0],
        "GUEST_HI": place.guest[1],
        "BLOCKS_LO": place.state,
        "BLOCKS_HI": place.state_end,
        "STACK_LO": place.stack[0],
        "STACK_HI": place.stack[1],
        "BOOT_INFO": place.boot_info,
        "GUEST_START": place.entry("guest_start"),
        "TRAP_ENTRY_PROCESS": place.entry("trap_entry_process"),
        "SIGNAL_STACK": place.signal_stack,
        "SIGNAL_STACK_SIZE": layout.SIGNAL_STACK_SIZE,
        "SLOT_LO": place.guest[0],
        "SLOT_HI": room[1],
        "TABLES_LO": room[0],
        "TABLES_HI": room[1],
        "HUGE_LO": place.arena[0] + (0 if data_hi else HUGE_AFTER),
        "HUGE_HI": place.arena[1] - (0 if data_hi else HUGE_BEFORE),
        "DATA_LO": data_lo,
        "DATA_HI": data_hi,
        "MANIFEST_AT": place.devices,
        "NETWORKS": _count(devices, "net"),
        "WRITTEN_VOLUMES": sum(each.kind == VOLUME and not each.read_only for each in devices),
        "TEXT_LO": place.text,
        "TEXT_HI": place.text_end,
        "TRAP_FRAME": place.trap_frame,
        "TRAP_ENTRY_KVM": place.trap_entry,
        "PAGE_TABLES": pages.cr3 if pages else 0,
        "TICK_TIMER": blobs.addresses().get("TICK_TIMER", 0),
    }
    values |= _ways_out(way_out) if way_out else {}
    filled = choices.table(devices, way_out.given.chosen if way_out else ())
    values["TABLE_SIZE"] = len(filled)
    text = defines(values) + monitor_values(options, filters, blobs, PROGRAM_STATUSES, chosen)
    for backend, filter_ in filters.items():
        text += filter_values(backend, filter_, place.filter_copy(backend))
    return text + _passed_environment(options) + _own_words(options)


def _ways_out(way_out: WayOut) -> dict[str, int]:
    return {**way_out.given.numbers(), "CHOICES_AT": way_out.choices_at}


def _passed_environment(options: Options) -> str:
    """The variables that pass by name."""
    names = (f"{each}=" for each in options.environment if "=" not in each)
    return f"#define PASSED_ENVIRONMENT {_bytes(names)}\n"


def _own_words(options: Options) -> str:
    """What the command line begins with, where that is not the bundle's name."""
    if not options.words:
        return ""
    counted = defines({"OWN_WORDS_COUNT": len(options.words)})
    return f"{counted}#define OWN_WORDS {_bytes(options.words)}\n"


def _bytes(words: Iterable[str]) -> str:
    """Each with its zero, and one more: no text of a user's gets into C."""
    whole = b"".join(os.fsencode(each) + b"\0" for each in words) + b"\0"
    return f"{{{', '.join(map(str, whole))}}}"
