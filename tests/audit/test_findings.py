"""One finding each: bundles in which a single thing is wrong, and `audit` or `verify` names it."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from limpet.audit.inspect import audit_bundle
from limpet.audit.verify import Difference, _differences
from limpet.contract import Backend
from limpet.formats import elf
from limpet.formats.bundle.read import BundleFile, parse, read_bundle
from limpet.formats.bundle.write import Load, arranged
from tests.audit.test_enemy_code import injected, unlike_the_record
from tests.support.audited import EVERY, small
from tests.support.bundle_edit import Edited, loads_of, written
from tests.support.bundles import Maker

PREFIXES = {
    "another segment": "64 4889c0",
    "an older one": "2e 4889c0",
    "addresses of 32 bits": "67 4889c0",
    "repeated": "f3 4889c0",
    "repeated otherwise": "f2 4889c0",
    "repeated in two ways": "f2f3 4889c0",
}
"""Before ``mov %rax, %rax``: the processor ignores them, here and today."""


@EVERY
@pytest.mark.parametrize("what", PREFIXES)
def test_prefixes(make: Maker, backend: Backend, what: str) -> None:
    """No monitor has them, so they are not read past."""
    found = injected(small(make, backend), bytes.fromhex(PREFIXES[what])).findings()
    assert any("is no instruction" in each for each in unlike_the_record(found)), found


@EVERY
def test_path_in_memory_that_changes(make: Maker, backend: Backend) -> None:
    """openat of a path in a segment that can be written."""
    path = small(make, backend)
    part = next(each for each in read_bundle(path).parts if each.flags & elf.PF_W)
    at = struct.pack("<I", part.address + 16).hex()
    code = bytes.fromhex(f"b801010000 48c7c79cffffff be{at} ba02000800 0f05")
    expected = f"opens the path at {part.address + 16:#x}, which can be changed before"
    assert any(expected in each for each in injected(path, code).findings())


SET_MEMORY = 0x4020AE46
"""``KVM_SET_USER_MEMORY_REGION``."""


def near(edited: Edited, request: int, old: str, new: str) -> None:
    """Change an instruction shortly before an ioctl."""
    address = next(c.address for c in edited.code.calls if c.argument(1) == request)
    code, (was, put) = edited.bundle.memory(address - 64, 64), map(bytes.fromhex, (old, new))
    edited.poke(address - 64 + code.rindex(was), put)


def findings(bundle: BundleFile, loads: list[Load]) -> list[str]:
    """What the audit says of a bundle of these segments."""
    found = audit_bundle(parse(written(bundle, arranged(loads)), "changed")).findings
    return [f"{each.where}: {each.what}" for each in found]


@EVERY
def test_filter_for_any_architecture(make: Maker, backend: Backend) -> None:
    """The comparison of the architecture goes on either way."""
    edited = Edited(small(make, backend))
    each = edited.audit().filters[0]
    program = edited.bundle.memory(each.address, 8 * each.instructions)
    at = program.index(struct.pack("<HBBI", 0x20, 0, 0, 4)) + 8
    code, yes, no, value = struct.unpack_from("<HBBI", program, at)
    assert (code, value, yes != no) == (0x15, 0xC000003E, True)
    edited.poke(each.address + at, struct.pack("<HBBI", code, yes, yes, value))
    expected = f"filter: the program at {each.address:#x} ignores the architecture"
    assert expected in edited.findings()


@EVERY
def test_a_number_of_a_filter(make: Maker, backend: Backend) -> None:
    """One may have the bytes of SYSCALL, as an address of the guest's: no code leads there either,
    and nothing is wrong with it."""
    edited = Edited(small(make, backend))
    each = edited.audit().filters[0]
    program = edited.bundle.memory(each.address, 8 * each.instructions)
    number = each.address + program.index(struct.pack("<I", 0xC000003E))
    edited.poke(number, b"\x12\x10\x0f\x05")
    found = edited.findings()
    assert found and not any("where no code leads" in each for each in found)


@EVERY
def test_filter_that_refuses_mildly(make: Maker, backend: Backend) -> None:
    """What is not allowed gets an error, and the guest may try on."""
    edited = Edited(small(make, backend))
    each = edited.audit().filters[0]
    program = bytearray(edited.bundle.memory(each.address, 8 * each.instructions))
    for at in range(0, len(program), 8):
        if (
            struct.unpack_from("<H", program, at)[0] == 0x06
            and program[at + 6 : at + 8] != b"\xff\x7f"
        ):
            struct.pack_into("<I", program, at + 4, 0x00050001)
    edited.poke(each.address, bytes(program))
    edited.poke(each.address + len(program) - 4, struct.pack("<I", 0x00050001))
    expected = f"filter: the program at {each.address:#x} does not refuse by default"
    assert expected in edited.findings()


@EVERY
def test_segment_that_is_written_and_run(make: Maker, backend: Backend) -> None:
    """Memory of the guest with every right."""
    bundle = read_bundle(small(make, backend))
    loads = loads_of(bundle)
    at = next(i for i, e in enumerate(loads) if e.flags & elf.PF_X or e.flags & elf.PF_W)
    loads[at] = replace(loads[at], flags=7)
    found = findings(bundle, loads)
    assert any(each.endswith(": the segment is writable and executable") for each in found)


@EVERY
def test_monitor_that_can_be_written(make: Maker, backend: Backend) -> None:
    """The monitor's own segment."""
    bundle = read_bundle(small(make, backend))
    loads = [replace(e, flags=7) if e.name == "monitor" else e for e in loads_of(bundle)]
    assert "monitor: the monitor can be written" in findings(bundle, loads)


@EVERY
def test_segment_more_or_less(make: Maker, backend: Backend) -> None:
    """A page that nobody recorded, and one that is gone."""
    bundle = read_bundle(small(make, backend))
    loads = loads_of(bundle)
    more = Load("more", loads[0].address - 8192, 4096, bytes(4096), elf.PF_R)
    what = f"a segment at {more.address:#x} that the record does not have"
    assert f"more: {what}" in findings(bundle, [more, *loads])
    assert f"{loads[0].name}: the segment is missing" in findings(bundle, loads[1:])


@EVERY
def test_segment_of_another_size(make: Maker, backend: Backend) -> None:
    """More memory than recorded."""
    bundle = read_bundle(small(make, backend))
    loads = loads_of(bundle)
    at = next(
        i
        for i, each in enumerate(loads)
        if each.flags & elf.PF_W and each.address + each.size < loads[i + 1].address
    )
    changed = [*loads]
    changed[at] = replace(loads[at], size=loads[at].size + 4096)
    found = findings(bundle, changed)
    assert any(each.endswith("are not as recorded") for each in found)


def test_memory_of_the_host(make: Maker) -> None:
    """The virtual machine's memory is other memory of the monitor's process."""
    edited = Edited(small(make, "kvm"))
    near(edited, SET_MEMORY, "48894218", "48895218")  # mov [rdx + 24], rdx instead of rax
    assert any("machine: guest memory 0x1000000 is the host's" in e for e in edited.findings())


def test_slot_of_memory(make: Maker) -> None:
    """The virtual machine's memory is another slot than the first."""
    edited = Edited(small(make, "kvm"))
    near(edited, SET_MEMORY, "48c70200000000", "48c70201000000")  # movq $1, [rdx] instead of $0
    expected = "machine: its memory is not slot 0, or cannot be told"
    assert expected in edited.findings()


@EVERY
def test_bytes_in_no_part(make: Maker, backend: Backend) -> None:
    """Where all parts are the same and the file is not: that is a difference too."""
    bundle = read_bundle(small(make, backend))
    hidden = bundle.parts[len(bundle.parts) // 2]
    given = replace(bundle, parts=tuple(each for each in bundle.parts if each != hidden))
    data = bytearray(bundle.data)
    data[hidden.offset + 7] ^= 1
    found = list(_differences(given, replace(given, data=bytes(data))))
    assert found == [Difference("between the parts", hidden.offset + 7, 1)]
    assert list(_differences(given, given)) == []
