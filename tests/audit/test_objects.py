"""Headers of objects in memory that somebody forged: they say nothing of what is not theirs."""

from __future__ import annotations

import stat
import struct
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from limpet.arch.x86_64.machine_read import Pages
from limpet.arch.x86_64.paging import LARGE, NO_EXECUTE
from limpet.audit.inside import Inside
from limpet.audit.inspect import audit_bundle
from limpet.audit.objects import Object, objects
from limpet.audit.run_as_well import beside_code
from limpet.contract.pages import LARGE_PAGE, PAGE
from limpet.errors import BundleError
from limpet.formats import elf
from limpet.formats.bundle.read import BundleFile, parse, read_bundle
from limpet.formats.bundle.write import Load
from limpet.formats.image import Access
from limpet.formats.tree.write import Node, pack_nodes
from tests.support.audited import SMALL, small
from tests.support.bundle_edit import Edited, loads_of, written
from tests.support.bundles import Maker, need

AT = 0x30_0000_0000


def header(*segments: tuple[int, int, int], table: int = elf.HEADER_SIZE) -> bytes:
    """A shared object's first page with these segments: address, size, flags."""
    sizes = elf.PROGRAM_SIZE, len(segments), elf.SECTION_SIZE, 0, 0
    first = elf.Header(elf.IDENT.ljust(16, b"\0"), 3, elf.EM_X86_64, 0, table, 0, *sizes).pack()
    for address, size, flags in segments:
        first += elf.ProgramHeader(elf.PT_LOAD, flags, 0, address, size, size, PAGE).pack()
    return first.ljust(PAGE, b"\0")


def with_pages(path: Path, pages: Sequence[bytes]) -> BundleFile:
    """The bundle with these pages more."""
    bundle = read_bundle(path)
    loads = [*loads_of(bundle), Load("more", AT, len(pages) * PAGE, b"".join(pages), 4)]
    return parse(written(bundle, sorted(loads, key=lambda load: load.address)), "changed")


def entries(edited: Edited, at: int, end: int) -> list[int]:
    """Where the page tables' entries of this memory stand."""
    found = []
    while at < end:
        table = edited.machine.tables[0]
        for level in (3, 2, 1, 0):
            place = table + 8 * (at >> 12 + 9 * level & 511)
            (entry,) = struct.unpack("<Q", edited.bundle.memory(place, 8))
            if entry & LARGE or not level:
                break
            table = entry & 0xFFFFFFFFFF000
        found.append(place)
        at += PAGE << 9 * level
    return found


def tree(*files: bytes) -> bytes:
    """These files, packed."""
    top = Node(b"", stat.S_IFDIR | 0o755, 0)
    for index, content in enumerate(files):
        name = b"%d" % index
        top.children[name] = Node(
            name, stat.S_IFREG | 0o644, 0, len(content), partial(_put, content)
        )
    return bytes(pack_nodes(top).data)


def _put(content: bytes, to: memoryview) -> None:
    to[:] = content


def test_packed_files_are_no_code(make: Maker, tmp_path: Path) -> None:
    """Whatever a header in the library OS's memory says."""
    (tmp_path / "a.txt").write_text("text\n" * 5000)
    edited = Edited(make(make.compile(SMALL, "small"), "kvm", root=tmp_path).path)
    tree = edited.bundle.record.tree
    part = next(each for each in edited.bundle.parts if "libos_text" in each.name)
    assert tree
    at = part.address + part.size - PAGE
    edited.poke(at, header((0, PAGE, 5), (tree.address - at, tree.size, 5)))
    for place in entries(edited, tree.address, tree.address + tree.size):
        edited.flip(place, NO_EXECUTE)
    found = [each for each in edited.findings() if "are no code" in each]
    assert any(f"pages at {tree.address:#x} can be run" in each for each in found), found


def test_one_within_another_is_data(make: Maker) -> None:
    """What it says of the other's pages, or of those behind, holds for nobody."""
    pages = [header((0, PAGE, 4), (PAGE, PAGE, 5), (2 * PAGE, PAGE, 4))]
    pages += [header((0, PAGE, 5), (PAGE, 2 * PAGE, 5)), bytes(PAGE), header((0, PAGE, 5))]
    bundle = with_pages(small(make, "kvm"), pages)
    found = [each for each in objects(bundle, None, (), b"") if each.rights[0][0] >= AT]
    read, code = Access.READ, Access.READ | Access.EXECUTE
    assert [each.rights for each in found] == [
        (
            (AT, AT + PAGE, read),
            (AT + PAGE, AT + 2 * PAGE, code),
            (AT + 2 * PAGE, AT + 3 * PAGE, read),
        ),
        ((AT + 3 * PAGE, AT + 4 * PAGE, code),),
    ]


@pytest.mark.parametrize("table", [elf.HEADER_SIZE, 1 << 20], ids=["elsewhere", "nowhere"])
def test_too_many(make: Maker, table: int) -> None:
    """They are counted whether they are objects or not: each takes time to be looked at."""
    bundle = with_pages(small(make, "kvm"), [header((PAGE, PAGE, 5), table=table)] * 4097)
    found = audit_bundle(bundle)
    said = "changed: more than 4096 shared objects"
    assert said in [each.what for each in found.findings]
    assert ("only code can be run", said) in [
        (each.name, each.evidence) for each in found.protections if not each.present
    ]


@pytest.mark.parametrize("where", ["first page", "packed"])
def test_most_headers(make: Maker, where: str) -> None:
    """Of more headers than an object has the others say nothing."""
    segments = [(index * PAGE, PAGE, 4) for index in range(70)]
    moved = where == "packed"
    first = header(*segments, table=PAGE if moved else elf.HEADER_SIZE)
    bundle = with_pages(small(make, "kvm"), [first, *[bytes(PAGE)] * 69])
    file = tree(first + first[elf.HEADER_SIZE :]) if moved else b""
    (found,) = (each for each in objects(bundle, None, (), file) if each.rights[0][0] == AT)
    assert found.span == (AT, AT + 64 * PAGE)


def test_packed_files_are_read_once(make: Maker) -> None:
    """However many pages look as if their headers were in one; seconds of a processor."""
    first = header((PAGE, PAGE, 5), table=1 << 20)
    bundle = with_pages(small(make, "kvm"), [first] * 4000)
    files, started = tree(*[b""] * 1500), time.process_time()
    found = [each for each in objects(bundle, None, (), files) if each.rights[0][0] >= AT]
    assert not found and time.process_time() - started < 3


def inside_of(path: Path) -> Inside:
    """As it is before anything was looked at."""
    edited = Edited(path)
    bundle = edited.parse()
    return Inside(bundle, bundle.record, edited.code, machine=edited.machine)


def test_objects_are_read_once(make: Maker) -> None:
    """Whatever asks for them."""
    inside = inside_of(small(make, "kvm"))
    assert inside.objects is inside.objects


def test_too_many_constants(make: Maker) -> None:
    """An object of large pages, each fourth of its pages constants that can be run."""
    inside, count = inside_of(small(make, "kvm")), 33 * LARGE_PAGE // PAGE
    kinds = Access.READ, *[Access.READ | Access.EXECUTE] * 3
    rights = ((AT + at * PAGE, AT + (at + 1) * PAGE, kinds[at % 4]) for at in range(count))
    inside.objects = (Object("it", tuple(rights)),)
    assert inside.machine
    run = Pages(AT, count * PAGE, 0, writable=False, executable=True, user=True)
    inside.machine = replace(inside.machine, pages=(run,))
    with pytest.raises(BundleError, match="more than 4096 pieces of constants can be run"):
        beside_code(inside)


def test_they_have_the_names_of_packed_files(make: Maker) -> None:
    """Whose headers theirs are; an address says nothing to who reads an audit."""
    bundle = read_bundle(make(need(Path("/usr/bin/env"), "coreutils"), "kvm").path)
    tree = bundle.record.tree
    assert tree
    files = bundle.view(tree.address, tree.size)
    assert files
    packed = ((tree.address, tree.address + tree.size),)
    names = [each.name for each in objects(bundle, None, packed, files)]
    assert {"env", "libc.so.6", "ld-linux-x86-64.so.2"} <= set(names), names
