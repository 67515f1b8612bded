"""``audit``: what a bundle can do, read from its bytes, and where they and its record disagree.

Nothing is run and the record is not believed: system calls come from the monitor's instructions,
the allow-list from the filter's program, ports from the TSS, rights from the page tables.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

from limpet.arch.x86_64 import machine_read
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit import checks as audit_checks
from limpet.audit import facts as audit_facts
from limpet.audit import seccomp_decode, ways
from limpet.audit.inside import Inside, is_request
from limpet.audit.model import Audit
from limpet.audit.monitor_code import read_code
from limpet.audit.protections import protections
from limpet.audit.reading import read_own
from limpet.contract import BESIDE
from limpet.contract.slots import SLOTS
from limpet.errors import BundleError, LimpetError
from limpet.formats.bundle import packed_guest
from limpet.formats.bundle.read import BundleFile
from limpet.formats.contents import without_zeros
from limpet.formats.tree.read import read_tree
from limpet.planning.seccomp import filled

_IOCTL, _SECCOMP = NUMBERS["ioctl"], NUMBERS["seccomp"]


def audit(path: Path) -> Audit:
    """Look into the bundle at ``path``.

    Raises:
        InputError: it cannot be read, or is not a bundle.
    """
    return audit_bundle(read_own(path))


def audit_bundle(bundle: BundleFile) -> Audit:
    """As :func:`audit`, of a bundle that was read already."""
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
        backends=tuple(
            sorted({inside.backend(each) for each in inside.filters.values()} - set(BESIDE))
        ),
        parts=tuple(audit_facts.parts(bundle)),
        monitor_bytes=without_zeros(bundle.content(bundle.monitor)),
        monitor_code=code.size,
        calls=tuple(audit_facts.host_call(each, bundle) for each in code.calls),
        filters=tuple(audit_facts.filter_facts(inside, at) for at in sorted(inside.filters)),
        requests=tuple(sorted(audit_facts.requests(inside))),
        opens=tuple(sorted(audit_facts.opens(inside))),
        ports=inside.machine.ports if inside.machine else (),
        hypercalls=tuple(audit_facts.hypercalls(inside)),
        memory=tuple(audit_facts.memory(inside)),
        devices=tuple(audit_facts.devices(inside)),
        published=tuple(dict.fromkeys(ways.published(inside))),
        endpoints=tuple(dict.fromkeys(ways.endpoints(inside))),
        files=inside.files,
        protections=protections(inside),
        findings=tuple(inside.findings),
        snapshot_bytes=audit_facts.snapshot_bytes(bundle),
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
        inside.data.append(range(address, address + 8 * length))
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
    found = inside.bundle.view(tree.address, tree.size)
    if found is None:
        inside.found("files", "the packed files are not where the record says")
        return
    inside.tree = found
    inside.files = read_tree(inside.tree, inside.bundle.name)


def _read_guest(inside: Inside) -> None:
    inside.guest = packed_guest.take_out(inside.bundle)
