"""The C that is written for one monitor, whatever the guest: ``monitor.c``, and its constants.

Every text is a pure function of the plan's decisions, and short enough to read.  A kind of guest
supplies its :class:`Core`, features bring theirs, and the start calls both in a fixed order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from limpet.arch.x86_64.host import host_numbers_h
from limpet.arch.x86_64.machine import LOCAL_APIC
from limpet.contract import Backend, Filtered, Hypercall, landlock, on_kvm
from limpet.contract.limits import ExitStatuses
from limpet.contract.slots import SLOTS
from limpet.planning import regions
from limpet.planning.blobs import Blobs
from limpet.planning.features import Chosen
from limpet.planning.options import Options
from limpet.planning.seccomp import Filter


@dataclass(frozen=True)
class Core:
    """The C that a kind of guest brings, as paths below ``c/monitor``.

    ``start`` has ``prepare(stack)``; ``handlers`` what its hypercalls need, behind them comes
    ``backends``, which has ``run_kvm()`` or ``run_process()``.
    """

    start: tuple[str, ...]
    handlers: tuple[str, ...] = ()
    backends: Mapping[Backend, tuple[str, ...]] = field(default_factory=dict)


def includes(*names: str) -> str:
    """One ``#include`` a name."""
    return "".join(f'#include "{name}"\n' for name in names)


def defines(values: Mapping[str, int]) -> str:
    """One ``#define`` a value."""
    return "".join(f"#define {name} {value:#x}UL\n" for name, value in values.items())


def monitor_c(
    core: Core,
    chosen: Chosen,
    hypercalls: Sequence[Hypercall],
    backends: Sequence[Backend],
    gaps: Iterable[tuple[int, int]],
) -> str:
    """``monitor.c``: the one translation unit of a monitor.

    Args:
        gaps: addresses below the monitor where the plan has nothing.
    """
    text = "/* Generated: the monitor of one bundle. */\n"
    text += includes("core/monitor.h", "core/memory.c", "core/standard.c") + _HOOKS_DECLARED
    text += _each_hypercall(hypercalls)
    text += includes(*chosen.files()) + _hooks(chosen) + includes(*core.start)
    if "kvm" in backends:
        served = on_kvm(hypercalls)
        handlers = (f"hypercalls/{call.name}/kvm.c" for call in served)
        copy = ("copy.h",) if any(map(_is_large, served)) else ()
        text += includes(*core.handlers, *handlers, *copy) + serve(served)
    for backend in backends:
        text += includes(*core.backends[backend])
    return text + _main(chosen, backends, gaps) + includes("start.h")


_HOOKS_DECLARED = """\
#define HOOK static inline __attribute__((unused))
HOOK bool take_option(const char *word);
HOOK void options_taken(void);
HOOK void close_others(void);
HOOK void help_options(void);
HOOK void vcpu_made(int vcpu);
HOOK void run_interrupted(void);
HOOK void run_ended(void);
HOOK void exit_served(void);
HOOK void hypercall_made(u32 number);
HOOK long bytes_brought(long count);
HOOK long bytes_taken(long count);
HOOK void memory_filled(u64 at, u64 size);
HOOK void guest_rewound(void);
HOOK void raise_walls(u64 scopes);
HOOK void fence_made(long rules, u64 files);
"""


def _each_hypercall(hypercalls: Iterable[Hypercall]) -> str:
    """Names and numbers, for who has a line for each: ``EACH_HYPERCALL(LINE)``."""
    lines = " ".join(f"LINE({call.name}, {call.number})" for call in hypercalls)
    return f"#define EACH_HYPERCALL(LINE) {lines}\n"


def _hooks(chosen: Chosen) -> str:
    """What the parts of a monitor call to reach its features."""
    known = " || ".join(chosen.calls("option")) or "false"
    return (
        f"\nstatic inline bool take_option(const char *word) {{\n    (void)word;\n"
        f"    return {known};\n}}\n"
        f"static inline void options_taken(void) {{\n{_calls(chosen, 'options_taken')}}}\n"
        f"static inline void close_others(void) {{\n{_calls(chosen, 'placed')}}}\n"
        f"static inline void help_options(void) {{\n{_calls(chosen, 'help')}}}\n"
        "static inline void vcpu_made(int vcpu) {\n    (void)vcpu;\n"
        f"{_calls(chosen, 'vcpu')}}}\n"
        f"static inline void run_interrupted(void) {{\n{_calls(chosen, 'interrupted')}}}\n"
        f"static inline void run_ended(void) {{\n{_calls(chosen, 'ended')}}}\n"
        f"static inline void exit_served(void) {{\n{_calls(chosen, 'served')}}}\n"
        "static inline void hypercall_made(u32 number) {\n    (void)number;\n"
        f"{_calls(chosen, 'made')}}}\n"
        f"static inline long bytes_brought(long count) {{\n{_calls(chosen, 'brought')}"
        "    return count;\n}\n"
        f"static inline long bytes_taken(long count) {{\n{_calls(chosen, 'taken')}"
        "    return count;\n}\n"
        "static inline void memory_filled(u64 at, u64 size) {\n    (void)at, (void)size;\n"
        f"{_calls(chosen, 'filled')}}}\n"
        f"static inline void guest_rewound(void) {{\n{_calls(chosen, 'rewound')}}}\n"
        "static inline void fence_made(long rules, u64 files) {\n    (void)rules, (void)files;\n"
        f"{_calls(chosen, 'fenced')}}}\n"
        "static inline void raise_walls(u64 scopes) {\n    (void)scopes;\n"
        "    must(host6(NR_PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));\n"
        f"{_calls(chosen, 'isolate', 'walls', 'rights', 'walled')}}}\n\n"
    )


def _calls(chosen: Chosen, *hooks: str) -> str:
    return "".join(f"    {call};\n" for hook in hooks for call in chosen.calls(hook))


def _unmap_below(high: int) -> str:
    """Who starts a bundle may ask for a page at 0 (``MMAP_PAGE_ZERO``, personality(2)), and some
    kernels let nobody unmap that."""
    return f"    must(host3(NR_MUNMAP, 0, {high:#x}L, 0));\n"


def _main(chosen: Chosen, backends: Sequence[Backend], gaps: Iterable[tuple[int, int]]) -> str:
    """The whole life of a monitor: what it does, in this order."""
    body = "    open_standard();\n"
    if "process" in backends:
        for low, high in gaps:
            body += f"    unmap({low:#x}UL, {high:#x}UL);\n" if low else _unmap_below(high)
    body += _calls(chosen, "opened", "first", "words")
    body += "    prepare(stack);\n" + _calls(chosen, "prepared", "complete")
    if "kvm" in backends:
        body += "    int kvm_fd = open_kvm();\n    if (kvm_fd == KVM_FD)\n        run_kvm();\n"
        body += _calls(chosen, "no_kvm")
    if "process" in backends:
        body += "    run_process();\n"
    return (
        "\n_Noreturn void monitor_main(u64 *stack);\n"
        f"_Noreturn void monitor_main(u64 *stack) {{\n{body}}}\n"
    )


_MOVED = 48
"""Bytes up to which the compiler copies word by word, unless there is an array beside others."""


def _is_large(call: Hypercall) -> bool:
    if call.block is None:
        return False
    fields = call.block.fields
    array = len(fields) > 1 and any(each.count > 1 for each in fields)
    return array or call.block.size > _MOVED


_COUNTS = {"in": "bytes_brought", "out": "bytes_taken"}


def _case(call: Hypercall) -> str:
    head = f"    case PORT_{call.name.upper()}:"
    counted = f"        hypercall_made({call.number});\n"
    moved = f"        {_COUNTS[call.moves]}(block.result);\n" if call.moves else ""
    if call.block is None:
        return f"{head}\n{counted}        serve_{call.name}();\n        return;\n"
    copied = f"struct {call.block.name} block = *theirs;", "*theirs = block;"
    if _is_large(call):
        copied = (
            f"struct {call.block.name} block;\n        copy_bytes(&block, theirs, sizeof block);",
            "copy_bytes(theirs, &block, sizeof block);",
        )
    return (
        f"{head} {{\n"
        f"        struct {call.block.name} *theirs = guest_block(at, sizeof *theirs);\n"
        "        if (!theirs)\n            break;\n"
        f"{counted}        {copied[0]} /* copied once */\n"
        f"        serve_{call.name}(&block);\n"
        f"        {copied[1]}\n        memory_filled((u64)theirs, sizeof *theirs);\n"
        f"{moved}        return;\n    }}\n"
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


def filter_values(backend: Filtered, filter_: Filter, copy: int) -> str:
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


_BROKER = {
    "BROKER_BASE": regions.BROKER_BASE,
    "BROKER_SIZE": regions.BROKER_SIZE,
    "BROKER_MEMORY": regions.BROKER_MEMORY,
    "BROKER_END": regions.BROKER_END,
}


def monitor_values(
    options: Options,
    filters: Mapping[Filtered, Filter],
    blobs: Blobs,
    statuses: ExitStatuses,
    chosen: Chosen,
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
        "COUNTS_AT": regions.COUNTS_AT,
        "GUEST_COUNTS_AT": regions.GUEST_COUNTS_AT,
        **(_BROKER if "broker" in filters else {}),
        **({"PORTER_MEMORY": regions.PORTER_MEMORY} if "porter" in filters else {}),
        "LOCAL_APIC": LOCAL_APIC,
        "STRICT": int(options.strict),
        **chosen.constants(options),
        **addresses,
    }
    return (
        defines(values)
        + landlock.c_table()
        + "".join(
            f"#define EXIT_{name.upper()} {status}\n" for name, status in statuses._asdict().items()
        )
    )


def host_numbers(chosen: Chosen, hypercalls: Iterable[Hypercall]) -> str:
    """``host_numbers.h``: what the monitor's parts and the hypercalls declare, and no more."""
    made = [each for each in chosen.made() if not each.traced]
    calls = {each.host.call for each in made}
    calls |= {host.call for hypercall in hypercalls for host in hypercall.host}
    return host_numbers_h(calls, {name for each in made for name in each.requests})
