"""``audit``: what a bundle can do, read from its bytes, and where they and its record disagree.

Nothing is run and the record is not believed: system calls come from the monitor's instructions,
the allow-list from the filter's program, ports from the TSS, rights from the page tables.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from limpet.arch.x86_64 import machine_read
from limpet.arch.x86_64.host import REQUESTS
from limpet.arch.x86_64.machine_read import Machine
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit import seccomp_decode
from limpet.audit.bpf import Fuel
from limpet.audit.monitor_code import Call, MonitorCode, read_code
from limpet.audit.recorded import RecordedRule, recorded_rule
from limpet.audit.remade import NOT_TRIED, Remade
from limpet.audit.seccomp_decode import Decoded, Range
from limpet.contract.slots import SLOTS
from limpet.errors import BundleError, LimpetError
from limpet.formats.bundle import packed_guest
from limpet.formats.bundle.read import BundleFile, read_bundle
from limpet.formats.bundle.record import Record
from limpet.formats.tree.layout import Entry
from limpet.formats.tree.read import read_tree
from limpet.planning.seccomp import filled

_IOCTL, _SECCOMP = NUMBERS["ioctl"], NUMBERS["seccomp"]
_MOST_TRIED = 12_000_000
"""Instructions of filters that are run to try them, five times what 63 devices need."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as the record says, or breaks what every bundle promises."""

    where: str
    what: str


@dataclass(frozen=True)
class HostCall:
    """A SYSCALL instruction of the monitor."""

    address: int
    calls: tuple[str, ...]
    detail: str
    when: str  # "before the filter", "behind the filter" or "either"


@dataclass(frozen=True)
class FilterRule:
    """A system call that stays allowed."""

    call: str
    arguments: dict[int, tuple[Range, ...]]
    pointer: Range
    why: str


@dataclass(frozen=True)
class FilterFacts:
    """A seccomp program in words."""

    backend: str
    address: int
    instructions: int
    default: str
    rules: tuple[FilterRule, ...]


@dataclass(frozen=True)
class Hypercall:
    """One way from the guest to its monitor."""

    name: str
    port: int | None
    handled: bool
    evidence: tuple[int, ...]  # instructions of the guest that make it


@dataclass(frozen=True)
class Memory:
    """A run of memory and what the guest may do with it."""

    address: int
    size: int
    rights: str
    user: bool


@dataclass(frozen=True)
class Part:
    """A piece of the file."""

    name: str
    size: int
    address: int
    rights: str


@dataclass(frozen=True)
class Protection:
    """A barrier that is there, or is not."""

    name: str
    present: bool
    evidence: str


@dataclass(frozen=True)
class Audit:
    """Everything that was found in one bundle."""

    name: str
    sha256: str
    size: int
    limpet: str
    toolchain: str
    guest: str
    guest_sha256: str
    backends: tuple[str, ...]
    parts: tuple[Part, ...]
    monitor_bytes: int  # code and constants
    monitor_code: int  # instructions that can be reached
    calls: tuple[HostCall, ...]
    filters: tuple[FilterFacts, ...]
    requests: tuple[str, ...]
    opens: tuple[str, ...]
    ports: tuple[int, ...]
    hypercalls: tuple[Hypercall, ...]
    memory: tuple[Memory, ...]
    devices: tuple[str, ...]
    files: tuple[Entry, ...]
    protections: tuple[Protection, ...]
    findings: tuple[Finding, ...]
    remade: Remade = NOT_TRIED

    @property
    def guest_memory(self) -> Range:
        """From the guest's first to its last byte in a virtual machine; nothing in a process."""
        runs = [run for run in self.memory if run.user] if "kvm" in self.backends else []
        if not runs:
            return (1, 0)
        return min(run.address for run in runs), max(run.address + run.size for run in runs) - 1

    def as_data(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return asdict(self)


@dataclass
class Inside:
    """What was read of one bundle, before it is put into words."""

    bundle: BundleFile
    record: Record
    code: MonitorCode
    filters: dict[int, Decoded] = field(default_factory=dict)
    programs: dict[int, bytes] = field(default_factory=dict)
    data: list[range] = field(default_factory=list)  # of the monitor, known to be no code
    machine: Machine | None = None
    tree: bytes = b""
    files: tuple[Entry, ...] = ()
    guest: bytes | None = None
    findings: list[Finding] = field(default_factory=list)
    fuel: Fuel = field(default_factory=lambda: Fuel(_MOST_TRIED))

    @cached_property
    def rules(self) -> dict[str, tuple[RecordedRule, ...]]:
        """The record's rules for each backend.

        Raises:
            BundleError: one names a system call that there is not.
        """
        filters = self.record.filters.items()
        return {name: tuple(recorded_rule(rule) for rule in each.rules) for name, each in filters}

    def found(self, where: str, what: str) -> None:
        """Remember a finding, once."""
        finding = Finding(where, what)
        if finding not in self.findings:
            self.findings.append(finding)

    def backend(self, filter_: Decoded) -> str:
        """What a filter is for: only a kvm monitor runs a vCPU."""
        run = REQUESTS["KVM_RUN"]
        runs = any(
            each.number == _IOCTL and (run, run) in each.arguments[1] for each in filter_.allowed
        )
        return "kvm" if runs else "process"


def audit(path: Path) -> Audit:
    """Look into the bundle at ``path``.

    Raises:
        InputError: it cannot be read, or is not a bundle.
    """
    return audit_bundle(read_bundle(path))


def audit_bundle(bundle: BundleFile) -> Audit:
    """As :func:`audit`, of a bundle that was read already."""
    from limpet.audit import checks as audit_checks
    from limpet.audit import facts as audit_facts
    from limpet.audit.protections import protections

    inside = Inside(bundle, bundle.record, read_code(bundle))
    for step in (_read_filters, _read_machine, _read_files, _read_guest, *audit_checks.CHECKS):
        _attempt(inside, step)
    code, record = inside.code, inside.record
    return Audit(
        name=bundle.name,
        sha256=hashlib.sha256(bundle.data).hexdigest(),
        size=len(bundle.data),
        limpet=record.limpet,
        toolchain=record.toolchain,
        guest=record.guest.name,
        guest_sha256=record.guest.sha256,
        backends=tuple(sorted({inside.backend(each) for each in inside.filters.values()})),
        parts=tuple(audit_facts.parts(bundle)),
        monitor_bytes=len(bundle.content(bundle.monitor).rstrip(b"\0")),
        monitor_code=code.size,
        calls=tuple(audit_facts.host_call(each, bundle) for each in code.calls),
        filters=tuple(audit_facts.filter_facts(inside, at) for at in sorted(inside.filters)),
        requests=tuple(sorted(audit_facts.requests(code))),
        opens=tuple(sorted(audit_facts.opens(inside))),
        ports=inside.machine.ports if inside.machine else (),
        hypercalls=tuple(audit_facts.hypercalls(inside)),
        memory=tuple(audit_facts.memory(inside)),
        devices=tuple(audit_facts.devices(inside)),
        files=inside.files,
        protections=protections(inside),
        findings=tuple(inside.findings),
    )


def _attempt(inside: Inside, read: Callable[[Inside], None]) -> None:
    try:
        read(inside)
    except LimpetError as error:
        inside.found("structure", error.message)
    except struct.error as error:
        inside.found("structure", f"a structure is damaged: {error}")


def _read_filters(inside: Inside) -> None:
    for call in inside.code.calls:
        if _SECCOMP not in call.numbers or call.argument(0) != 1:
            continue
        if call.argument(1) != 0:
            inside.found("filter", f"{call.address:#x} installs a filter with flags")
            continue
        at = call.argument(2)
        length = call.state.word(inside.bundle, at, 2) if at is not None else None
        program = call.state.word(inside.bundle, at + 8) if at is not None else None
        if length is None or program is None:
            inside.found("filter", f"what {call.address:#x} installs cannot be told from the code")
            continue
        inside.programs[program] = _program(inside, program, length)
        inside.filters[program] = seccomp_decode.decode(inside.programs[program])


_CAPACITY = (5 << 30) + 512
"""Of devices, where a filter holds what the start knows of them; any other would do."""


def _program(inside: Inside, address: int, length: int) -> bytes:
    """What is installed from ``address``: for writable memory, the template that is put there."""
    part = inside.bundle.part_at(address)
    if part and not part.flags & 2:
        return inside.bundle.memory(address, 8 * length)
    templates = (each.template for each in inside.record.filters.values() if each.template)
    template = next((each for each in templates if each.copy == address), None)
    source = inside.bundle.part_at(template.address) if template else None
    if template is None or source is None or source.flags & 2:
        raise BundleError(f"the filter at {address:#x} is not in the file", hint="do not run it")
    program = inside.bundle.memory(template.address, 8 * length)
    rows = (
        struct.pack("<HBB", at, handle, SLOTS.index(which)) for at, handle, which in template.slots
    )
    table, monitor = b"".join(rows), inside.bundle.monitor
    at = inside.bundle.content(monitor).find(table)
    if at < 0:
        inside.found("filter", "the monitor does not complete it as recorded")
    inside.data += [
        range(template.address, template.address + 8 * length),
        range(monitor.address + at, monitor.address + at + len(table)),
    ]
    if any(at >= length for at, _, _ in template.slots):
        raise BundleError("the record's slots are not in the filter", hint="do not run the bundle")
    return filled(program, template.slots, _CAPACITY)


def is_request(call: Call, name: str) -> bool:
    """Whether a call is an ioctl with the request of that name."""
    return call.numbers == {_IOCTL} and call.argument(1) == REQUESTS[name]


def _read_machine(inside: Inside) -> None:
    for call in inside.code.calls:
        if is_request(call, "KVM_SET_SREGS"):
            at = call.argument(2)
            if at is None:
                inside.found("machine", "its registers cannot be told from the code")
            else:
                inside.machine = machine_read.read_machine(inside.bundle, at)


def _read_files(inside: Inside) -> None:
    tree = inside.record.tree
    if tree is None:
        return
    part = inside.bundle.part_at(tree.address)
    if part is None or tree.address + tree.size > part.end:
        inside.found("files", "the packed files are not where the record says")
        return
    inside.tree = inside.bundle.memory(tree.address, tree.size)
    inside.files = read_tree(inside.tree, inside.bundle.name)


def _read_guest(inside: Inside) -> None:
    inside.guest = packed_guest.take_out(inside.bundle)
