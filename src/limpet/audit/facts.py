"""What ``audit`` read of a bundle, in the words that people and policies use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from limpet import contract
from limpet.arch.x86_64 import arranging
from limpet.arch.x86_64.arranging import INT3_SIZE
from limpet.arch.x86_64.host import REQUEST_NAMES
from limpet.arch.x86_64.machine import BREAKPOINT
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.host_abi import call_name, request_name
from limpet.audit.inside import Inside, is_request
from limpet.audit.model import FilterFacts, FilterRule, HostCall, Hypercall, Memory, Part
from limpet.audit.monitor_code import NO_FILTER, Call, MonitorCode
from limpet.audit.recorded import RecordedRule
from limpet.audit.seccomp_decode import EVERYTHING, Allowed
from limpet.contract.limits import MAX_DEVICES
from limpet.contract.pages import PAGE
from limpet.contract.slots import HELD
from limpet.errors import LimpetError
from limpet.formats import manifest
from limpet.formats.bundle.read import BundleFile
from limpet.guests.registry import read_image
from limpet.planning.seccomp import KILL_PROCESS, TRAP

PORT_WIDTH = 4
_MOST_EVIDENCE = 8
_IOCTL, _OPENAT = NUMBERS["ioctl"], NUMBERS["openat"]
_VERDICTS = {KILL_PROCESS: "kills the process", TRAP: "raises SIGSYS", 0: "kills the thread"}
_OUT = re.compile(rb"(?:\x66\xba(..)|\xba(..)\0\0)(?:[^\xef]{0,24}?)\xef", re.DOTALL)
"""``mov $port, %dx`` or ``%edx``, then ``out`` soon."""


def parts(bundle: BundleFile) -> Iterator[Part]:
    """The file by pieces: what is loaded, what is not, and the rest."""
    for each in bundle.parts:
        yield Part(each.name, each.size, each.address, each.rights)
    for name, _, size in bundle.sections:
        yield Part(name.lstrip("."), size, 0, "---")
    known = sum(p.size for p in bundle.parts) + sum(size for _, _, size in bundle.sections)
    yield Part("headers", max(0, len(bundle.data) - known), 0, "---")


def snapshot_bytes(bundle: BundleFile) -> int:
    """How much memory the guest goes on with, where it does not start."""
    if not bundle.record.options.get("snapshot"):
        return 0
    sealed = bundle.record.sealed if bundle.record.machine is None else ()
    written = sum(part.size for part in bundle.parts if "w" in part.rights)
    return written + sum(high - low for low, high in sealed)


def host_call(call: Call, bundle: BundleFile) -> HostCall:
    """A SYSCALL of the monitor with what its code says of it."""
    names = tuple(sorted(call_name(number) for number in call.numbers)) or ("unknown",)
    detail = ""
    if call.numbers == {_IOCTL}:
        detail = ", ".join(sorted(request_name(value) for value in call.arguments[1]))
    elif call.numbers == {_OPENAT} and call.argument(1):
        detail = bundle.string(call.argument(1) or 0)
    before, behind = NO_FILTER in call.filters, call.filters != {NO_FILTER}
    when = "either" if before and behind else "behind the filter" if behind else "before the filter"
    return HostCall(call.address, names, detail, when)


def filter_facts(inside: Inside, address: int) -> FilterFacts:
    """A filter as an allow-list."""
    decoded = inside.filters[address]
    backend = inside.backend(decoded)
    default = _VERDICTS.get(decoded.default, f"does {decoded.default:#x}")
    rules = tuple(_rule(each, inside, backend) for each in decoded.allowed)
    return FilterFacts(backend, address, decoded.instructions, default, rules)


def _rule(each: Allowed, inside: Inside, backend: str) -> FilterRule:
    arguments = {
        index: ranges for index, ranges in enumerate(each.arguments) if ranges != (EVERYTHING,)
    }
    rules = inside.rules.get(backend, ())
    whys = dict.fromkeys(rule.why + _held(rule) for rule in rules if _overlaps(rule.allowed, each))
    return FilterRule(call_name(each.number), arguments, each.pointer, ", or ".join(whys))


def _overlaps(rule: Allowed, each: Allowed) -> bool:
    """Whether ``each``, which may be several rules put together, has something of ``rule``."""
    return rule.number == each.number and all(
        any(low <= last and first <= high for first, last in mine for low, high in theirs)
        for mine, theirs in zip(rule.arguments, each.arguments, strict=True)
    )


def _held(rule: RecordedRule) -> str:
    slots = sorted(rule.slots.items())
    held = (f"argument {i + 1} {HELD[which].format(handle)}" for i, (which, handle) in slots)
    return f" ({', '.join(held)})" if rule.slots else ""


def requests(inside: Inside) -> set[str]:
    """Names of the ioctl requests that the monitor makes, or a debugger could with its hands."""
    made = {v for call in inside.code.calls if _IOCTL in call.numbers for v in call.arguments[1]}
    passed = {
        value
        for decoded in inside.filters.values()
        for each in decoded.allowed
        if each.number == _IOCTL
        for value in REQUEST_NAMES
        if any(low <= value <= high for low, high in each.arguments[1])
    }
    return {request_name(value) for value in made | passed}


def opens(inside: Inside) -> set[str]:
    """Paths that the monitor opens."""
    calls = [call for call in inside.code.calls if _OPENAT in call.numbers]
    paths = {call.argument(1) for call in calls}
    return {
        inside.bundle.string(path)
        if path is not None and inside.bundle.part_at(path)
        else "what the command line names"
        for path in paths
    }


def handled_ports(code: MonitorCode) -> set[int]:
    """Ports that the monitor's dispatch compares with or looks up."""
    steps = (t.first + t.stride * i for t in code.tables for i in range(t.count))
    return set(code.compared) | set(steps)


def hypercalls(inside: Inside) -> Iterator[Hypercall]:
    """The ways from guest to monitor, with the guest's instructions that take them."""
    known = (*contract.hypercalls(), *contract.hvt_hypercalls())
    names = {call.port: call.name for call in known if call.name in inside.record.hypercalls}
    ports = inside.machine.ports if inside.machine else ()
    handled, seen = handled_ports(inside.code), set()
    for port in sorted(_starts(ports, handled | set(inside.record.ports))):
        seen.add(names.get(port, ""))
        name = names.get(port, f"port {port:#x}")
        yield Hypercall(name, port, port in handled, tuple(_outs(inside, port)))
    stubs = [rule for rules in inside.rules.values() for rule in rules if rule.stub]
    gate, inner = _ring0_gate(inside), {call.name for call in known if call.ring0}
    for name in sorted(set(inside.record.hypercalls) - seen):
        mine = {r.allowed.number for r in stubs if r.stub.startswith(f"host_{name}_")}
        if mine or not (gate and name in inner):
            yield Hypercall(name, None, bool(mine), tuple(_stubs(inside, mine)))
        if gate and name in inner:
            yield Hypercall(name, None, True, gate, ring0=True)


def _ring0_gate(inside: Inside) -> tuple[int, ...]:
    """The INT3 that asks ring 0 to arrange memory, where there is code for that."""
    page = _ring0_page(inside)
    return (arranging.gate_of(page) - INT3_SIZE,) if page else ()


def executes(inside: Inside) -> bool:
    """Whether ring 0 of the guest makes pages executable when it is asked to."""
    page = _ring0_page(inside)
    return bool(page) and arranging.executes(page)


def _ring0_page(inside: Inside) -> bytes:
    """The page with that code; nothing where there is none."""
    machine = inside.machine
    gates = [each for each in machine.gates if each.vector == BREAKPOINT] if machine else []
    if not gates or gates[0].address % PAGE != arranging.GATE_AT:
        return b""
    return inside.bundle.memory(gates[0].address // PAGE * PAGE, PAGE)


def _starts(ports: tuple[int, ...], known: set[int]) -> set[int]:
    """Where four open bytes start: those that are known, and any beyond."""
    spare = set(ports)
    chosen = {p for p in known if all(p + i in spare for i in range(PORT_WIDTH))}
    spare -= {p + i for p in chosen for i in range(PORT_WIDTH)}
    return chosen | {p for p in spare if p - 1 not in spare}


def _outs(inside: Inside, port: int) -> Iterator[int]:
    wanted, found = port.to_bytes(2, "little"), 0
    for part in inside.bundle.parts:
        if part == inside.bundle.monitor or part.name == "supervisor":
            continue
        for match in _OUT.finditer(inside.bundle.piece(part)):
            if wanted in match.groups() and found < _MOST_EVIDENCE:
                found += 1
                yield part.address + match.end() - 1


def _stubs(inside: Inside, numbers: set[int]) -> Iterator[int]:
    for decoded in inside.filters.values():
        for each in decoded.allowed:
            if each.number in numbers and each.pointer[0] == each.pointer[1]:
                yield each.pointer[0] - 2


def memory(inside: Inside) -> Iterator[Memory]:
    """What the guest may do where: by the page tables, or by the segments in a process."""
    if inside.machine:
        for each in inside.machine.pages:
            yield Memory(each.address, each.size, each.rights, each.user)
        return
    for part in inside.bundle.parts:
        yield Memory(part.address, part.memory_size, part.rights, True)


def devices(inside: Inside) -> Iterator[str]:
    """Devices that the guest's own manifest asks for."""
    part = next((part for part in inside.bundle.parts if part.name == "devices"), None)
    if part:
        yield from _table(inside.bundle.content(part))
    if inside.guest is None:
        return
    try:
        image = read_image(inside.guest, inside.record.guest.name)
    except LimpetError as error:
        inside.found("guest", error.message)
        return
    for device in image.devices:
        yield f"{device.kind} {device.name}"


def _table(content: bytes) -> Iterator[str]:
    """The devices of a Linux program, from the table that it shares with the monitor."""
    if len(content) < manifest.HEAD.size:
        return
    _, count = manifest.HEAD.unpack_from(content)
    for handle in range(1, min(count, MAX_DEVICES + 1)):
        at = manifest.HEAD.size + handle * manifest.ENTRY.size
        if at + manifest.ENTRY.size <= len(content):
            name, kind, *_ = manifest.ENTRY.unpack_from(content, at)
            text = name.split(b"\0")[0].decode("ascii", "replace")
            yield f"{manifest.PROGRAM_KINDS.get(kind, f'type {kind}')} {text}"


@dataclass(frozen=True)
class Slot:
    """``struct kvm_userspace_memory_region`` as the code fills it; ``None`` where it hides it."""

    number: int | None
    flags: int | None
    address: int | None
    size: int | None  # chosen at start, of some guests
    host: int | None


def slots(inside: Inside) -> Iterator[Slot]:
    """What memory the virtual machine is given, by every call that can do so."""
    for call in inside.code.calls:
        if _IOCTL not in call.numbers or not _may_request(call, "KVM_SET_USER_MEMORY_REGION"):
            continue
        at = call.argument(2)
        if at is None or not is_request(call, "KVM_SET_USER_MEMORY_REGION"):
            yield Slot(None, None, None, None, None)
            continue
        word = partial(call.state.word, inside.bundle)
        yield Slot(word(at, 4), word(at + 4, 4), word(at + 8), word(at + 16), word(at + 24))


def _may_request(call: Call, name: str) -> bool:
    return not call.arguments[1] or name in {request_name(each) for each in call.arguments[1]}
