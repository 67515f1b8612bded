"""Where a bundle's bytes disagree with its record, or break what every bundle promises."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

from limpet.arch.x86_64.machine_read import Machine
from limpet.audit import bpf, seccomp_decode
from limpet.audit.code_checks import code, memory_slot
from limpet.audit.facts import PORT_WIDTH, handled_ports
from limpet.audit.host_abi import call_name
from limpet.audit.inside import Inside, is_request
from limpet.audit.monitor_code import NO_FILTER
from limpet.audit.openings import openings
from limpet.audit.recorded import RecordedRule
from limpet.audit.run_as_well import check_code
from limpet.audit.seccomp_decode import X86_64, Allowed, Decoded
from limpet.formats.bundle.record import LOCATE
from limpet.planning import seccomp
from limpet.planning.seccomp import KILL_PROCESS, TRAP

_WRITE, _EXECUTE = 2, 1
_MOST_CORNERS = 256


def _parts(inside: Inside) -> None:
    """The segments are those of the record, byte for byte."""
    bundle = inside.bundle
    known = {each.address: each for each in inside.record.parts}
    for part in bundle.parts:
        each = known.pop(part.address, None)
        if each is None:
            inside.found(part.name, f"a segment at {part.address:#x} that the record does not have")
            continue
        if (part.memory_size, part.flags) != (each.size, each.flags):
            inside.found(each.name, f"its size or rights ({part.rights}) are not as recorded")
        if hashlib.sha256(bundle.piece(part)).hexdigest() != each.sha256:
            inside.found(each.name, "its bytes are not those of the record")
    for each in known.values():
        inside.found(each.name, "the segment is missing")


def _segments(inside: Inside) -> None:
    """No memory of the process is writable and executable."""
    for part in inside.bundle.parts:
        if part.flags & _WRITE and part.flags & _EXECUTE:
            inside.found(part.name, "the segment is writable and executable")
    if inside.bundle.monitor.flags & _WRITE:
        inside.found("monitor", "the monitor can be written")


def _guarded(inside: Inside) -> None:
    """The guest starts behind a filter that refuses by default, on its own architecture."""
    if not inside.filters:
        inside.found("filter", "no seccomp program is installed")
    for program, decoded in inside.filters.items():
        if decoded.default not in (KILL_PROCESS, TRAP):
            inside.found("filter", f"the program at {program:#x} does not refuse by default")
        if not decoded.checks_architecture:
            inside.found("filter", f"the program at {program:#x} ignores the architecture")
    for call in inside.code.calls:
        if is_request(call, "KVM_RUN") and NO_FILTER in call.filters:
            inside.found("filter", f"the guest is run at {call.address:#x} without a filter")
    for address, filters in inside.code.leaves:
        if NO_FILTER in filters:
            inside.found("filter", f"the guest is entered at {address:#x} without a filter")


def _filters(inside: Inside) -> None:
    """The filters say what the record's rules say."""
    seen = set()
    for program, decoded in inside.filters.items():
        backend = inside.backend(decoded)
        seen.add(backend)
        rules = inside.rules.get(backend)
        if rules is None:
            inside.found("filter", f"the record has no filter for {backend}")
            continue
        for each in decoded.boxes:
            _recorded_rule(inside, backend, each, rules)
        for rule in rules:
            _kept_rule(inside, backend, inside.programs[program], decoded, rule)
            if rule.slots:
                _held_rule(inside, backend, program, decoded, rule)
    for backend in inside.rules.keys() - seen:
        inside.found("filter", f"the record has a filter for {backend}, the monitor none")


def _recorded_rule(
    inside: Inside, backend: str, each: Allowed, rules: tuple[RecordedRule, ...]
) -> None:
    name = call_name(each.number)
    if not any(rule.allowed.covers(each) for rule in rules):
        inside.found("filter", f"{backend}: it lets through {_words(each)}, which is not recorded")
    low, high = each.pointer
    if low == high:
        part = inside.bundle.part_at(low - 2)
        fixed = part and part.flags & _EXECUTE and not part.flags & _WRITE
        if not fixed or inside.bundle.memory(low - 2, 2) != b"\x0f\x05":
            inside.found("filter", f"{backend}: {name} from {low:#x}, where no SYSCALL stands")


def _words(each: Allowed) -> str:
    limits = [
        f"argument {index + 1} " + " or ".join(f"{low:#x} to {high:#x}" for low, high in ranges)
        for index, ranges in enumerate(each.arguments)
        if ranges != (seccomp_decode.EVERYTHING,)
    ]
    return f"{call_name(each.number)} ({'; '.join(limits) or 'any arguments'})"


def _kept_rule(
    inside: Inside, backend: str, program: bytes, decoded: Decoded, rule: RecordedRule
) -> None:
    wanted, steps = rule.allowed, bpf.steps(program)
    pointers = {e.pointer[0] for e in decoded.allowed if e.number == wanted.number}
    for arguments in _corners(_plain(rule)):
        data = [
            struct.pack("<IIQ6Q", wanted.number, X86_64, pointer, *arguments)
            for pointer in pointers
        ]
        if not any(_passes(inside, steps, each) for each in data):
            inside.found("filter", f"{backend}: it refuses {_words(wanted)}, which is recorded")
            return


def _passes(inside: Inside, program: list[bpf.Step], data: bytes) -> bool:
    return bpf.lets_through(bpf.verdict(program, data, inside.fuel))


_PLAIN = {"sector": (512, 512), "last": (0, 0), "within": (0, 0)}


def _plain(rule: RecordedRule) -> Allowed:
    """``rule`` for the first sector of a device with sectors of 512 bytes."""
    arguments = list(rule.allowed.arguments)
    for index, (which, _) in rule.slots.items():
        arguments[index] = (_PLAIN[which],)
        if which == "within":
            arguments[index - 1] = ((0, 512),)
    return replace(rule.allowed, arguments=tuple(arguments))


_CAPACITIES = (512, 64 << 10, (4 << 30) - 512, 4 << 30, (4 << 30) + 512, (1 << 40) + 4096)


def _held_rule(
    inside: Inside, backend: str, program: int, decoded: Decoded, rule: RecordedRule
) -> None:
    """Around the end of devices of many sizes: the last byte is let through, and none behind."""
    template = inside.record.filters[backend].template
    if template is None:
        inside.found("filter", f"{backend}: {rule.why}: nothing says what its devices hold")
        return
    pointers = {e.pointer[0] for e in decoded.allowed if e.number == rule.allowed.number}
    for capacity in _CAPACITIES:
        filled = bpf.steps(seccomp.filled(inside.programs[program], template.slots, capacity))
        for arguments, fits in _near_end(rule, capacity):
            data = (
                struct.pack("<IIQ6Q", rule.allowed.number, X86_64, pointer, *arguments)
                for pointer in pointers
            )
            if (
                any(bpf.lets_through(bpf.verdict(filled, each, inside.fuel)) for each in data)
                != fits
            ):
                what = "refuses" if fits else "lets through"
                inside.found(
                    "filter",
                    f"{backend}: it {what} {call_name(rule.allowed.number)} of {arguments[2]:#x} "
                    f"bytes at {arguments[3]:#x} of a device with {capacity:#x}",
                )
                return


def _near_end(rule: RecordedRule, capacity: int) -> Iterator[tuple[list[int], bool]]:
    base = [ranges[0][0] for ranges in rule.allowed.arguments]
    exact = any(which == "sector" for which, _ in rule.slots.values())
    most = rule.allowed.arguments[2][0][1]
    for size in (0, 1, 511, 512, 513, 4096, 1 << 20, 1 << 32):
        for offset in (
            0,
            capacity - size,
            capacity - size + 1,
            capacity,
            1 << 63,
            (1 << 64) - size,
        ):
            if 0 <= offset < 1 << 64:
                base[2], base[3] = size, offset
                allowed = size == 512 if exact else size <= most
                yield list(base), allowed and offset + size <= capacity


def _corners(each: Allowed) -> Iterator[tuple[int, ...]]:
    """Calls at the limits of a rule."""
    choices = [sorted({end for pair in ranges for end in pair}) for ranges in each.arguments]
    for count, corner in enumerate(product(*choices)):
        if count >= _MOST_CORNERS:
            return
        yield corner


def _machine(inside: Inside) -> None:
    """Ring 3, W^X, and nothing of the processor's own within the guest's reach."""
    machine = inside.machine
    if machine is None:
        if any(is_request(call, "KVM_RUN") for call in inside.code.calls):
            inside.found("machine", "the virtual machine's state cannot be read")
        return
    own = machine.own_pages
    for run in machine.pages:
        where = f"the pages {run.address:#x} to {run.end:#x}"
        if run.writable and run.executable:
            inside.found("page tables", f"{where} are writable and executable")
        if run.physical != run.address:
            inside.found("page tables", f"{where} are mapped to {run.physical:#x}")
        if run.user and any(run.physical <= page < run.physical + run.size for page in own):
            inside.found("page tables", f"{where} let the guest reach the processor's own pages")
    _gates(inside, machine)
    _ports(inside, machine)
    memory_slot(inside)


def _gates(inside: Inside, machine: Machine) -> None:
    supervisor = [run for run in machine.pages if run.executable and not run.user]
    for gate in machine.gates:
        if not any(run.address <= gate.address < run.end for run in supervisor):
            inside.found("machine", f"exception {gate.vector} leads to {gate.address:#x}")


def _ports(inside: Inside, machine: Machine) -> None:
    """The I/O bitmap opens the recorded hypercalls' ports and no other."""
    recorded = set(inside.record.ports)
    wanted = {port + index for port in recorded for index in range(PORT_WIDTH)}
    for port in sorted(set(machine.ports) - wanted)[:16]:
        inside.found("ports", f"port {port:#x} is open to the guest, which is not recorded")
    for port in sorted(wanted - set(machine.ports))[:16]:
        inside.found("ports", f"port {port:#x} is closed, which the record has open")
    for port in sorted(recorded - handled_ports(inside.code)):
        inside.found("ports", f"no code of the monitor's handles port {port:#x}")


def _files(inside: Inside) -> None:
    """The packed files are those of the record."""
    tree = inside.record.tree
    if tree is None or not inside.tree or not inside.files:
        return
    if hashlib.sha256(inside.tree).hexdigest() == tree.sha256:
        return
    known = [tree.files[at : at + LOCATE] for at in range(0, len(tree.files), LOCATE)]
    changed = [
        entry.path
        for entry, digest in zip(inside.files, known, strict=False)
        if entry.sha256[:LOCATE] != digest
    ]
    for path in changed[:16]:
        inside.found("files", f"{path} is not the file that was packed")
    if not changed:
        inside.found("files", "their table is not the one that was packed")


CHECKS: tuple[Callable[[Inside], None], ...] = (
    _segments,
    code,
    _guarded,
    _filters,
    openings,
    _machine,
    check_code,
    _files,
    _parts,
)
"""What is wrong in itself first, then what only a digest shows."""
