"""The program and the shared objects in a bundle's memory, by their own headers, which lie there.

Whoever made the bundle wrote them: what they say holds for an object's own pages alone, and takes
no longer to read than so many objects may.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from limpet.contract.pages import PAGE, align_up
from limpet.errors import BundleError, LimpetError
from limpet.formats import elf
from limpet.formats.bundle.read import BundleFile
from limpet.formats.contents import Content
from limpet.formats.image import Access
from limpet.formats.tree.layout import head, record
from limpet.guests.registry import read_image
from limpet.planning.large_code import Rights, Run

_MOST_HEADERS, _MOST_OBJECTS = 64, 4096

_WRITE = 2


@dataclass(frozen=True)
class Object:
    """A program or shared object in memory, by what its headers say of its pages."""

    name: str
    rights: tuple[Rights, ...]

    @property
    def span(self) -> Run:
        """From its first page to behind its last."""
        return self.rights[0][0], max(high for _, high, _ in self.rights)


def first_pages(bundle: BundleFile) -> Iterator[tuple[int, bytes]]:
    """What looks like the first page of an object and cannot be written, with its address."""
    for part in bundle.parts:
        if part.flags & _WRITE:
            continue
        for at in range(part.offset, part.offset + part.size, PAGE):
            if bundle.data[at : at + len(elf.IDENT)] == elf.IDENT:
                yield part.address + at - part.offset, bytes(bundle.data[at : at + PAGE])


def objects(
    bundle: BundleFile, guest: bytes | None, packed: Sequence[Run], tree: Content
) -> Iterator[Object]:
    """The guest's program, and the shared objects that lie behind it; not those that are packed.

    What looks like one within another is data of that one.

    Args:
        bundle: whose memory it is.
        guest: the program's file, where that is known.
        packed: where the packed files lie.
        tree: these, where they are sound.

    Raises:
        BundleError: they are too many to be true.
    """
    known, lowest = _packed(tree), min(each.address for each in bundle.parts)
    end, seen, program, name = 0, 0, False, bundle.record.guest.name
    for at, page in first_pages(bundle):
        if at < end or any(low <= at < high for low, high in packed):
            continue
        seen += 1
        if seen > _MOST_OBJECTS:
            raise BundleError(
                f"{bundle.name}: more than {_MOST_OBJECTS} shared objects",
                hint="do not run the bundle",
            )
        called, table = known.get(page[: elf.HEADER_SIZE], (f"the object at {at:#x}", b""))
        loaded = list(_loaded(bundle, page, at, table))
        if min((low for low, _, _ in loaded), default=None) != at:
            continue
        program |= at == lowest
        found = Object(name if at == lowest else called, tuple(_rights(loaded)))
        end = found.span[1]
        yield found
    if not program:
        yield from _by_file(guest, name, lowest)


def _by_file(guest: bytes | None, name: str, lowest: int) -> Iterator[Object]:
    """The program by its own file: its headers are not in memory."""
    if guest is None:
        return
    try:
        image = read_image(guest, name)
    except LimpetError:
        return  # which is said of its devices
    base = 0 if image.fixed else lowest - image.segments[0].address // PAGE * PAGE
    segments = ((e.address + base, e.end + base, e.access) for e in image.segments)
    yield Object(image.name, tuple(_rights(map(_in_pages, segments))))


def _loaded(bundle: BundleFile, first: bytes, at: int, packed: bytes) -> Iterator[Rights]:
    """What an object's headers have loaded, in whole pages; its ``first`` page is at ``at``.

    What has moved them says in that page where they are in its file, which has them ``packed``.
    """
    header = elf.Header.unpack(first)
    size = min(header.phnum, _MOST_HEADERS) * elf.PROGRAM_SIZE
    table = first[header.phoff : header.phoff + size]
    if len(table) < size:
        table = packed
    base = 0 if header.type == elf.ET_EXEC else at
    for index in range(len(table) // elf.PROGRAM_SIZE):
        yield from _segment(bundle, elf.ProgramHeader.unpack(table, index * elf.PROGRAM_SIZE), base)


def _packed(tree: Content) -> dict[bytes, tuple[str, bytes]]:
    """The names of packed objects, and program headers that do not stand in their first page, by
    their files' headers; the first file of each."""
    view, found = memoryview(tree), dict[bytes, tuple[str, bytes]]()
    for index in range(head(view) if tree else 0):
        each = record(view, index)
        file = view[each["data"] : each["data"] + each["size"]]
        if not stat.S_ISREG(each["mode"]) or file[: len(elf.IDENT)] != elf.IDENT:
            continue
        if len(file) > PAGE:
            header = elf.Header.unpack(bytes(file[: elf.HEADER_SIZE]))
            size = min(header.phnum, _MOST_HEADERS) * elf.PROGRAM_SIZE
            moved = header.phoff + size > PAGE
            table = bytes(file[header.phoff : header.phoff + size]) if moved else b""
            name = bytes(view[each["name"] : each["name"] + each["name_length"]])
            called = name.decode(errors="replace")
            found.setdefault(bytes(file[: elf.HEADER_SIZE]), (called, table))
    return found


def _segment(bundle: BundleFile, each: elf.ProgramHeader, base: int) -> Iterator[Rights]:
    """What cannot be written is in the file, as far as it is there at all."""
    low, high = base + each.address, base + each.address + each.memory_size
    there = bundle.part_at(low)
    if each.kind != elf.PT_LOAD or low == high or not there:
        return
    access = Access.READ
    access |= Access.EXECUTE if each.flags & elf.PF_X else access
    access |= Access.WRITE if each.flags & elf.PF_W else access
    end = high if Access.WRITE in access else min(high, bundle.filled_to(there))
    if low < end:
        yield _in_pages((low, end, access))


def _in_pages(each: Rights) -> Rights:
    low, high, access = each
    return low // PAGE * PAGE, align_up(high, PAGE), access


def _rights(segments: Iterable[Rights]) -> Iterator[Rights]:
    """``segments`` as runs that ascend; what two of them have has the rights of both."""
    known = list(segments)
    borders = sorted({at for low, high, _ in known for at in (low, high)})
    for low, high in pairwise(borders):
        here = [access for start, end, access in known if start <= low and high <= end]
        if here:
            rights = here[0]
            for each in here:
                rights |= each
            yield low, high, rights
