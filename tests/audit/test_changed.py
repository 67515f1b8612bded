"""A changed byte of a bundle is found and named; a hostile bundle ends in findings or an error."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.html import as_html
from limpet.audit.inspect import audit_bundle
from limpet.audit.text import as_text
from limpet.contract import BACKENDS, CONTRACT_VERSION, Backend
from limpet.errors import BundleError, LimpetError
from limpet.formats.bundle import read as bundle_file
from tests.support.audited import EVERY, SMALL, small
from tests.support.bundle_edit import Edited
from tests.support.bundles import Maker


@EVERY
def test_filter_byte(make: Maker, backend: Backend) -> None:
    """One number in the filter's program."""
    edited = Edited(small(make, backend))
    each = edited.audit().filters[0]
    program = edited.bundle.memory(each.address, 8 * each.instructions)
    jump = next(
        at
        for at in range(0, len(program), 8)
        if struct.unpack_from("<HBBI", program, at)[::3] == (0x15, NUMBERS["exit_group"])
    )
    edited.poke(each.address + jump + 4, struct.pack("<I", NUMBERS["execve"]))
    found = edited.findings()
    assert any(
        f"{backend}: it lets through execve (argument 1 0x0 to 0xff)" in each for each in found
    )
    assert any(f"{backend}: it refuses exit_group" in each for each in found)


def test_stub_moved(make: Maker) -> None:
    """A filter that lets a call through from where no stub is."""
    edited = Edited(small(make, "process"))
    each = edited.audit().filters[0]
    program = edited.bundle.memory(each.address, 8 * each.instructions)
    pointer = struct.pack("<I", each.rules[0].pointer[0])
    edited.poke(each.address + program.index(pointer), struct.pack("<I", 0x1002345))
    assert any("from 0x1002345, where no SYSCALL stands" in each for each in edited.findings())


def test_other_contract(make: Maker) -> None:
    """A bundle of another contract is refused, and the message says of which."""
    edited = Edited(small(make, "kvm"))
    other = CONTRACT_VERSION ^ 1  # as many digits
    edited.in_record(b'"contract":%d,' % CONTRACT_VERSION, b'"contract":%d,' % other)
    with pytest.raises(BundleError, match=f"contract {other}, here is {CONTRACT_VERSION}"):
        edited.audit()


def test_port_opened(make: Maker) -> None:
    """One bit in the I/O bitmap."""
    edited = Edited(small(make, "kvm"))
    task = edited.machine.descriptors[2][0]
    (base,) = struct.unpack("<H", edited.bundle.memory(task + 102, 2))
    edited.poke(task + base + 0x500 // 8, b"\x00\xfe")
    assert "ports: port 0x508 is open to the guest, which is not recorded" in edited.findings()


@pytest.mark.parametrize(
    ("bits", "which", "expected"),
    [
        (2, "r-x", "are writable and executable"),
        (1 << 63, "rw-", "are writable and executable"),
        (1 << 13, "r--", "are mapped to"),
        (4, "own", "let the guest reach the processor's own pages"),
    ],
)
def test_page_table_bit(make: Maker, bits: int, which: str, expected: str) -> None:
    """One bit of one page-table entry."""
    edited = Edited(small(make, "kvm"))
    runs = {run.rights if run.user else "own": run for run in edited.machine.pages[::-1]}
    at = runs[which].address
    edited.flip(edited.leaf(at), bits)
    where = f"page tables: the pages {at:#x} to"
    assert any(each.startswith(where) and expected in each for each in edited.findings())


def test_gate(make: Maker) -> None:
    """An exception that leads into the guest's memory."""
    edited = Edited(small(make, "kvm"))
    table = edited.machine.descriptors[1][0]
    edited.poke(table + 16 * 14 + 6, b"\x01\x01")
    assert any(each.startswith("machine: exception 14 leads to") for each in edited.findings())


@EVERY
def test_extra_system_call(make: Maker, backend: Backend) -> None:
    """A SYSCALL where there was none, and another number for one that was there."""
    edited = Edited(small(make, backend))
    monitor = edited.bundle.monitor
    spare = monitor.address + monitor.size - 16
    edited.poke(spare, b"\x0f\x05")
    assert f"monitor: SYSCALL at {spare:#x}, where no code leads" in edited.findings()
    edited = Edited(small(make, backend))
    first = edited.code.calls[0].address
    code = edited.bundle.memory(first - 32, 32)
    edited.poke(first - 32 + code.rindex(b"\xb8"), b"\xb8" + struct.pack("<I", NUMBERS["execve"]))
    assert (
        f"monitor: SYSCALL at {first:#x} makes execve, which no monitor does" in edited.findings()
    )


@EVERY
def test_without_filter(make: Maker, backend: Backend) -> None:
    """A monitor that does not install its filter."""
    edited = Edited(small(make, backend))
    call = next(c for c in edited.code.calls if NUMBERS["seccomp"] in c.numbers)
    edited.poke(call.address, b"\x31\xc0")
    found = edited.findings()
    assert "filter: no seccomp program is installed" in found
    assert any("the guest is" in each and "without a filter" in each for each in found)


@EVERY
def test_segment_rights(make: Maker, backend: Backend) -> None:
    """A monitor that can be written."""
    edited = Edited(small(make, backend))
    count = struct.unpack_from("<H", edited.data, 56)[0]
    for at in range(64, 64 + 56 * count, 56):
        if struct.unpack_from("<Q", edited.data, at + 16)[0] == edited.bundle.monitor.address:
            edited.data[at + 4] |= 2
    with pytest.raises(BundleError, match="its headers are not those that Limpet writes"):
        edited.findings()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b'"ports":[1280,', b'"ports":[1300,', "ports: port 0x500 is open to the guest"),
        (b'"call":"exit_group"', b'"call":"exit_grout"', "names a system call exit_grout"),
        (b'"call":"write"', b'"call":"lseek"', "which is not recorded"),
        (b"[1,1],[2,2]", b"[1,1],[1,1]", "lets through write"),
        (b'"limpet":"', b'"LIMPET":"', "its record is damaged"),
    ],
)
def test_record_edited(make: Maker, old: bytes, new: bytes, expected: str) -> None:
    """Words of the record that the bytes do not bear out."""
    edited = Edited(small(make, "kvm"))
    edited.in_record(old, new)
    try:
        found = edited.findings()
    except LimpetError as error:
        found = [error.message]
    assert any(expected in each for each in found)


def test_recorded_hashes(make: Maker) -> None:
    """Every digest of the record is looked at."""
    record = Edited(small(make, "kvm")).bundle.record
    for digest, where in [
        (record.guest.sha256, "structure: "),
        *((part.sha256, f"{part.name}: its bytes") for part in record.parts),
    ]:
        edited = Edited(small(make, "kvm"))
        edited.in_record(digest.encode(), b"0" * 64)
        assert any(each.startswith(where) for each in edited.findings()), where


@EVERY
def test_packed_file(make: Maker, backend: Backend, tree: Path) -> None:
    """A packed file's byte, and one of the packed table."""
    path = make(make.compile(SMALL, "small"), backend, root=tree).path
    edited = Edited(path)
    at = edited.data.index(b"welcome\n")
    edited.data[at] ^= 1
    assert "files: /etc/motd is not the file that was packed" in edited.findings()
    edited = Edited(path)
    assert edited.bundle.record.tree
    start = edited.bundle.record.tree.address
    edited.poke(start + 16, b"\xec")  # the mode of the root
    assert "files: their table is not the one that was packed" in edited.findings()
    edited.poke(start + 16 + 4, b"\x01")  # its owner, who is always user 0
    found = edited.findings()
    assert any("they are not in the form in which files are packed" in each for each in found)


@EVERY
def test_guest_byte(make: Maker, backend: Backend) -> None:
    """A byte of the program itself: the segment's digest, and the guest's own."""
    edited = Edited(small(make, backend))
    edited.poke(edited.bundle.parts[0].address + 100, b"\xff")
    found = edited.findings()
    assert any("its bytes are not those of the record" in each for each in found)
    assert any("its SHA-256 is not the one in the record" in each for each in found)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_hostile(make: Maker, backend: Backend) -> None:
    """Whatever the bytes: an audit or a clear error, soon."""
    path = small(make, backend)
    edited = Edited(path)
    whole = bytes(edited.data)
    lively = [(0, 0x400), *((o, s) for _, o, s in edited.bundle.sections)]
    lively += [(p.offset, p.size) for p in edited.bundle.parts if p.name[:3] in ("mon", "sup")]
    places = st.sampled_from(lively).flatmap(lambda part: st.integers(part[0], sum(part) - 1))

    @settings(max_examples=80, deadline=None, database=None)
    @given(st.lists(st.tuples(places, st.binary(min_size=1, max_size=9)), max_size=6), st.data())
    def mutate(edits: list[tuple[int, bytes]], data: st.DataObject) -> None:
        changed = bytearray(whole)
        for at, content in edits:
            changed[at : at + len(content)] = content
        if data.draw(st.integers(0, 15)) == 0:
            del changed[data.draw(st.integers(0, len(changed))) :]
        started = time.monotonic()
        try:
            found = audit_bundle(bundle_file.parse(bytes(changed), "mutant"))
            as_text(found)
            as_html(found)
        except LimpetError as error:
            assert error.message
        assert time.monotonic() - started < 10

    mutate()


HOSTILE_CODE = [
    (b"\xeb\xfe", "jumps to itself"),
    (b"\xe8\xfb\xff\xff\xff", "calls itself"),
    (b"\x50\xeb\xfd", "pushes without end"),
    (b"\x48\xff\xc0\xeb\xfb", "counts without end"),
    (b"\xff\xe0", "jumps to nowhere known"),
    (b"\x06", "no instruction"),
]


@pytest.mark.parametrize(("code", "what"), HOSTILE_CODE, ids=[what for _, what in HOSTILE_CODE])
def test_hostile_code(make: Maker, code: bytes, what: str) -> None:
    """Code made to keep a reader busy ends in findings."""
    edited = Edited(small(make, "kvm"))
    edited.poke(edited.bundle.entry, code)
    assert "filter: no seccomp program is installed" in edited.findings()


def test_page_tables_without_end(make: Maker) -> None:
    """A root table whose entries all name itself."""
    edited = Edited(small(make, "kvm"))
    root = edited.machine.tables[0]
    edited.poke(root, struct.pack("<Q", root | 0x27) * 512)
    assert any("its page tables map more than" in each for each in edited.findings())
