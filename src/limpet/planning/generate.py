"""The C that is written for one bundle: the gates, the constants, the monitor.

Every text is a pure function of the plan's decisions, and short enough to read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from limpet.arch.x86_64.machine import LOCAL_APIC
from limpet.contract import Backend, Hypercall, hypercalls
from limpet.contract.limits import PROGRAM_STATUSES, ExitStatuses
from limpet.contract.slots import SLOTS
from limpet.formats.manifest import KINDS
from limpet.guests.linux import layout
from limpet.planning import regions

if TYPE_CHECKING:
    from limpet.arch.x86_64.machine import Supervisor
    from limpet.formats.manifest import Device
    from limpet.guests.linux.layout import Layout
    from limpet.planning.blobs import Blobs
    from limpet.planning.options import Options
    from limpet.planning.seccomp import Filter


HUGE_AFTER = 4 << 20
"""Bytes of the arena in ordinary pages; the kvm monitor asks for huge ones behind them."""


def gates_c(
    chosen: Sequence[Hypercall], backends: Sequence[Backend], devices: Sequence[Device]
) -> str:
    """``gates.c``: how the library OS reaches its monitor, for each hypercall in the plan."""
    text = '/* Generated: the hypercalls of this guest. */\n#include "libos.h"\n'
    text += f"#define NETWORKS {_count(devices, 'net')}\n"
    if "process" in backends:
        text += '#include "stub.h"\n'
        for call in chosen:
            text += "".join(f"HOST_STUB_DEFINE({call.name}, {host.call})\n" for host in call.host)
            text += f'#include "hypercalls/{call.name}/process.c"\n'
    if "kvm" in backends:
        text += (
            "\nstatic void out(u16 port, void *block) {\n"
            '    __asm__ volatile("outl %0, %1" ::"a"((u32)(u64)block), "Nd"(port)'
            ' : "memory");\n}\n'
        )
    tells_time = any(call.name == "wait" for call in chosen)
    text += "\nconst struct host_time *const guest_time = "
    text += "&host_time;\n" if tells_time else "NULL;\n"
    text += _device_files(devices)
    return text + "".join(_gate(call, call in chosen, backends) for call in hypercalls())


def _count(devices: Sequence[Device], kind: str) -> int:
    return sum(each.kind == kind for each in devices)


def _device_files(devices: Sequence[Device]) -> str:
    """What opens the devices: nothing where there are none, so that the linker drops the code."""
    text = ""
    for kind in KINDS.values():
        ops = f"&{kind}_ops" if _count(devices, kind) else "NULL"
        text += f"const struct file_ops *const {kind}_device_ops = {ops};\n"
    return text


def _gate(call: Hypercall, chosen: bool, backends: Sequence[Backend]) -> str:
    assert call.block
    head = f"\nvoid hypercall_{call.name}(struct {call.block.name} *block) {{\n"
    if not chosen:
        return head + f'    (void)block;\n    panic("the plan has no hypercall {call.name}");\n}}\n'
    through_port = f"out(PORT_{call.name.upper()}, block);\n"
    by_call = f"process_{call.name}(block);\n"
    if len(backends) == 2:
        body = f"    if (boot_info.backend == BACKEND_KVM)\n        {through_port}"
        return head + body + f"    else\n        {by_call}}}\n"
    return head + "    " + (through_port if "kvm" in backends else by_call) + "}\n"


def plan_h(
    place: Layout,
    options: Options,
    filters: Mapping[Backend, Filter],
    blobs: Blobs,
    pages: Supervisor | None,
    devices: Sequence[Device],
) -> str:
    """``plan.h``: the monitor's constants."""
    end = pages.base + pages.size if pages else 0
    values = {
        "GUEST_LO": place.guest[0],
        "GUEST_HI": place.guest[1],
        "BLOCKS_LO": place.state,
        "BLOCKS_HI": place.state_end,
        "ARENA_LO": place.arena[0],
        "ARENA_HI": place.arena[1],
        "STACK_LO": place.stack[0],
        "STACK_HI": place.stack[1],
        "BOOT_INFO": place.boot_info,
        "GUEST_START": place.entry("guest_start"),
        "TRAP_ENTRY_PROCESS": place.entry("trap_entry_process"),
        "SIGNAL_STACK": place.signal_stack,
        "SIGNAL_STACK_SIZE": layout.SIGNAL_STACK_SIZE,
        "SLOT_LO": place.guest[0],
        "SLOT_HI": end,
        "HUGE_LO": place.arena[0] + HUGE_AFTER,
        "HUGE_HI": place.arena[1],
        "MANIFEST_AT": place.devices,
        "NETWORKS": _count(devices, "net"),
    }
    text = defines(values) + monitor_values(options, filters, blobs, PROGRAM_STATUSES)
    for backend, filter_ in filters.items():
        text += filter_values(backend, filter_, place.filter_copy(backend))
    return text + _passed_environment(options)


def _passed_environment(options: Options) -> str:
    """The variables that pass by name, as bytes: no text of a user's gets into C."""
    names = (each for each in options.environment if "=" not in each)
    passed = b"".join(each.encode(errors="surrogateescape") + b"=\0" for each in names)
    return f"#define PASSED_ENVIRONMENT {{{', '.join(str(byte) for byte in passed + bytes(1))}}}\n"


def filter_values(backend: Backend, filter_: Filter, copy: int) -> str:
    """Where a filter is when it is installed: at ``copy`` if the start completes it."""
    name = f"FILTER_{backend.upper()}"
    if not filter_.slots:
        return f"#define {name}_AT {name}\n"
    slots = "".join(
        f"{{{instruction}, {handle}, SLOT_{which.upper()}}}, "
        for instruction, handle, which in filter_.slots
    )
    numbers = {f"SLOT_{which.upper()}": number for number, which in enumerate(SLOTS)}
    text = defines({f"{name}_AT": copy} | numbers)
    return text + f"#define FILTER_SLOTS_{backend.upper()} {{{slots}{{0, 0, 0}}}}\n"


def fill(backend: Backend, filters: Mapping[Backend, Filter]) -> str:
    """The call that completes a backend's filter, where there is anything to complete."""
    return f"    fill_filter_{backend}();\n" if filters[backend].slots else ""


def defines(values: Mapping[str, int]) -> str:
    """One ``#define`` a value."""
    return "".join(f"#define {name} {value:#x}UL\n" for name, value in values.items())


def monitor_values(
    options: Options,
    filters: Mapping[Backend, Filter],
    blobs: Blobs,
    statuses: ExitStatuses,
) -> str:
    """The part of ``plan.h`` that monitors of every kind of guest have."""
    addresses = blobs.addresses()
    for backend, at in blobs.filter_addresses(filters).items():
        addresses[f"FILTER_{backend.upper()}"] = at
        addresses[f"FILTER_{backend.upper()}_LENGTH"] = filters[backend].length
    values = {
        "MONITOR_END": regions.MONITOR_BASE + regions.MONITOR_SIZE,
        "HOST_END": regions.HOST_END,
        "KVM_RUN_AT": regions.KVM_RUN_AT,
        "KVM_RUN_SIZE": regions.KVM_RUN_SIZE,
        "LOCAL_APIC": LOCAL_APIC,
        "MAX_OUTPUT": options.max_output,
        **addresses,
    }
    text = f"#define KVM_XCRS_SET {int('KVM_XCRS' in addresses)}\n"
    text += f"#define EXECUTE_ONLY {int('KVM_SREGS_KEYS' in addresses)}\n"
    text += f"#define TIMEOUT_MS {options.timeout}\n"
    text += "".join(
        f"#define EXIT_{name.upper()} {status}\n" for name, status in asdict(statuses).items()
    )
    return defines(values) + text


def includes(*names: str) -> str:
    """One ``#include`` a name."""
    return "".join(f'#include "{name}"\n' for name in names)


def device_sources(devices: Sequence[Device]) -> list[str]:
    """The monitor's C that finds and attaches ``devices``."""
    files = ["devices/devices.c"]
    for kind in KINDS.values():
        files.append(f"devices/{'' if _count(devices, kind) else 'no_'}{kind}.c")
    return files


def monitor_c(
    chosen: Sequence[Hypercall],
    options: Options,
    filters: Mapping[Backend, Filter],
    devices: Sequence[Device],
) -> str:
    """``monitor.c``: the one translation unit of a monitor."""
    text = "/* Generated: the monitor of one bundle. */\n" + includes(
        "core/monitor.h", "core/memory.c"
    )
    text += includes(f"features/timeout/{'' if options.timeout else 'no_'}timeout.c")
    if options.max_output:
        text += includes("features/output_limit/supervise.c")
    text += includes("core/start.c")
    if devices:
        text += includes(*device_sources(devices), "devices/words.c")
    if any(each.slots for each in filters.values()):
        text += includes("devices/filter.c")
    if "kvm" in options.backends:
        text += includes(
            "core/guest_range.h",
            "core/guest_block.h",
            *(f"hypercalls/{call.name}/kvm.c" for call in chosen),
        )
        text += serve(chosen) + includes("core/kvm.c")
        if "process" not in options.backends:
            text += includes("core/no_kvm.c")
    if "process" in options.backends:
        text += includes("core/process.c")
    return text + main(_starts(options, filters, bool(devices)))


def _case(call: Hypercall) -> str:
    head = f"    case PORT_{call.name.upper()}:"
    if call.block is None:
        return f"{head}\n        serve_{call.name}();\n        return;\n"
    return (
        f"{head} {{\n"
        f"        struct {call.block.name} *theirs = guest_block(at, sizeof *theirs);\n"
        "        if (!theirs)\n            break;\n"
        f"        struct {call.block.name} block = *theirs; /* copied once */\n"
        f"        serve_{call.name}(&block);\n"
        "        *theirs = block;\n        return;\n    }\n"
    )


def serve(chosen: Sequence[Hypercall]) -> str:
    """The monitor's dispatch: one ``case`` a hypercall, its argument block copied once."""
    cases = "".join(_case(call) for call in chosen)
    return (
        "\nstatic void serve(u16 port, u32 address) {\n"
        "    const struct guest_addr at = {address};\n"
        f"    switch (port) {{\n{cases}"
        "    default:\n"
        '        die(EXIT_REFUSED, "limpet: the guest made a hypercall that it does not have, '
        'backend kvm\\n");\n    }\n'
        '    die(EXIT_REFUSED, "limpet: the guest made a hypercall with an address outside its '
        'memory, backend kvm\\n");\n}\n\n'
    )


RUN_KVM = """\
    int kvm_fd = open_kvm();
    if (kvm_fd != KVM_FD)
        no_kvm(kvm_fd);
    run_kvm();
"""
_RUN_EITHER = """\
    int kvm_fd = open_kvm();
    if (kvm_fd == KVM_FD)
        run_kvm();
"""


def _starts(options: Options, filters: Mapping[Backend, Filter], devices: bool) -> str:
    supervise = "    supervise();\n" if options.max_output else ""
    # taking devices closes everything else
    first = f"{supervise}    stack = take_devices(stack);\n" if devices else ""
    first = first or f"    close_all();\n{supervise}"
    fills = "".join(fill(backend, filters) for backend in options.backends)
    body = RUN_KVM if "kvm" in options.backends else "    run_process();\n"
    if len(options.backends) == 2:
        body = f"{_RUN_EITHER}    run_process();\n"
    return f"{first}    prepare(stack);\n{fills}{body}"


def main(body: str) -> str:
    """The monitor's first instruction and its ``main``."""
    return (
        "\n_Noreturn void monitor_main(u64 *stack);\n"
        f"_Noreturn void monitor_main(u64 *stack) {{\n{body}}}\n\n"
        '__asm__(".section .text.start\\n.globl _start\\n_start:\\n"\n'
        '        "mov %rsp, %rdi\\nand $-16, %rsp\\ncall monitor_main\\n");\n'
    )
