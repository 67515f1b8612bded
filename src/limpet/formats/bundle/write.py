"""Bundles: one executable ELF file of monitor, guest memory and the plan's record.

The file is its own loader: every region is a ``PT_LOAD`` at the address where the guest will find
it, so ``execve`` maps it, copy-on-write and shared between instances.  Sources: the System V gABI
chapters 4 and 5, and Linux ``fs/binfmt_elf.c`` (``ET_EXEC`` segments are mapped where they say).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from limpet.contract.pages import LARGE_PAGE, PAGE, align_up
from limpet.formats import elf
from limpet.formats.bundle.part import Part
from limpet.formats.contents import cut, in_pages, padded, same, without_zeros
from limpet.formats.elf import ProgramHeader, SectionHeader

RECORD_SECTION = ".limpet.record"
GUEST_SECTION = ".limpet.guest"
NAMES_SECTION = ".shstrtab"

MAX_SEGMENTS = (64 << 10) // elf.PROGRAM_SIZE
"""Linux starts no program with more headers (``fs/binfmt_elf.c``, ``load_elf_phdrs``)."""

LATE = "late"
"""What the name of a segment starts with that is only read until it is loaded."""


_START = 64
"""Bytes by which most pages are told from the first one of a segment."""

FEW = 4
"""What part of a writable segment's content the zeros behind it are at most, to be in the file."""

LARGE_CONTENT = 2 * LARGE_PAGE
"""What is only read, and as large as that, lies in the file so that large pages of it are large
pages of memory: where the file system has them, all instances share these (decision 33)."""


@dataclass(frozen=True)
class Load:
    """One segment of the file: ``content`` at ``address``, then zeros up to ``size`` bytes."""

    name: str
    address: int
    size: int
    content: bytes
    flags: int  # elf.PF_R, PF_W, PF_X


def _whole_pages(load: Load) -> bytes:
    """Its content as whole pages.  Of what is writable the kernel supplies trailing zero pages.

    It would make those of read-only memory writable, so they are in the file; and so are few behind
    much, since the kernel maps its own apart.  A partial page would make ``execve`` clear the rest
    of it, hence copy it, in every instance.
    """
    content = load.content
    if load.flags & elf.PF_W:
        content = cut(content, align_up(without_zeros(content), PAGE))
        if (load.size - len(content)) * FEW <= len(content):
            content = padded(content, load.size)
    return in_pages(content)


def arranged(loads: Sequence[Load]) -> list[Load]:
    """The segments of the file, ascending, whole pages each.

    Neighbours with the same rights become one, since ``execve`` maps every one apart, but for those
    that are loaded late: their plan has decided which stand by themselves.
    """
    merged: list[Load] = []
    for load in sorted(loads, key=lambda load: load.address):
        content = _whole_pages(load)
        last = merged[-1] if merged else None
        if last and _continues(last, load):
            both = b"".join((last.content, content))
            name = f"{last.name}+{load.name}"
            whole = Load(name, last.address, last.size + load.size, both, load.flags)
            merged[-1] = replace(whole, content=_whole_pages(whole))
        else:
            merged.append(Load(load.name, load.address, load.size, content, load.flags))
    return merged


def _continues(last: Load, load: Load) -> bool:
    apart = last.name.startswith(LATE) and load.name.startswith(LATE)
    joins = last.address + len(last.content) == load.address and last.flags == load.flags
    return joins and not apart


def write(entry: int, segments: Sequence[Load], record: bytes, guest: bytes = b"") -> bytes:
    """The bytes of a bundle that starts at ``entry``, of segments as :func:`arranged`."""
    return b"".join(pieces(entry, segments, record, guest))


def pieces(
    entry: int, segments: Sequence[Load], record: bytes, guest: bytes = b""
) -> tuple[bytes, ...]:
    """The same, one behind the other: they may be large, and need not be copied."""
    first = align_up(elf.HEADER_SIZE + (len(segments) + 1) * elf.PROGRAM_SIZE, PAGE)
    offsets, end = _offsets(segments, first)
    parts, body, done = [], list[bytes](), first
    for load, at in zip(segments, offsets, strict=True):
        size = len(load.content)
        parts.append(Part(load.name, load.address, at, size, load.size, load.flags))
    for at, _, index in sorted((at, -parts[i].size, i) for i, at in enumerate(offsets)):
        if at >= done:  # or it is inside the largest
            body += (bytes(at - done), segments[index].content)
            done = at + parts[index].size
    head, tail = around(entry, parts, end, record, guest)
    return (head, *body, tail)


def around(
    entry: int, parts: Sequence[Part], end: int, record: bytes, guest: bytes
) -> tuple[bytes, bytes]:
    """What stands in the file before the segments, and behind them where they ``end``."""
    headers, sections, at = bytearray(), _Sections(), end
    for part in parts:
        headers += _program_header(part).pack()
        sections.add_part(part)
    headers += ProgramHeader(elf.PT_GNU_STACK, elf.PF_R | elf.PF_W, 0, 0, 0, 0, 16).pack()
    for name, content in ((GUEST_SECTION, guest), (RECORD_SECTION, record)):
        if content or name == RECORD_SECTION:
            sections.add(name, elf.SHT_PROGBITS, 0, 0, at, len(content))
            at += len(content)
    names = sections.finish(at)
    header = elf.Header(
        elf.IDENT.ljust(16, b"\0"),
        elf.ET_EXEC,
        elf.EM_X86_64,
        entry,
        elf.HEADER_SIZE,
        at + len(names),
        elf.PROGRAM_SIZE,
        len(parts) + 1,
        elf.SECTION_SIZE,
        len(sections.rows),
        len(sections.rows) - 1,
    )
    head = header.pack() + bytes(headers)
    table = b"".join(row.pack() for row in sections.rows)
    return head.ljust(align_up(len(head), PAGE), b"\0"), guest + record + names + table


def _offsets(segments: Sequence[Load], first: int) -> tuple[list[int], int]:
    """Where the content of each segment is in the file, and where that of all ends.

    What cannot be written, and stands page by page in the largest of these, is there once: an
    object in its place, and its file among the packed ones.  Code in large pages has its own place.
    """
    fixed = [index for index, load in enumerate(segments) if not load.flags & elf.PF_W]
    largest = max(fixed, key=lambda index: len(segments[index].content), default=-1)
    inside = _inside(segments, fixed, largest)
    offsets, at = [0] * len(segments), first
    for index, load in enumerate(segments):
        if index not in inside:
            at += _to_fit(load, at)
            offsets[index] = at
            at += len(load.content)
    for index, where in inside.items():
        offsets[index] = offsets[largest] + where
    return offsets, at


def _to_fit(load: Load, at: int) -> int:
    """Bytes to leave free at ``at`` so that large pages of the file can be those of memory."""
    whole = load.address % LARGE_PAGE == len(load.content) % LARGE_PAGE == 0
    large = whole or len(load.content) >= LARGE_CONTENT or _large_code(load)
    if load.flags & elf.PF_W or not large:
        return 0
    return (load.address - at) % LARGE_PAGE


def _large_code(load: Load) -> bool:
    """Whether a process has code of it in a large page, which it would touch in sixteenths."""
    end = load.address + len(load.content)
    return bool(load.flags & elf.PF_X) and align_up(load.address, LARGE_PAGE) + LARGE_PAGE <= end


def _inside(segments: Sequence[Load], fixed: Sequence[int], largest: int) -> dict[int, int]:
    """Which segments stand in the ``largest``, and at which offset of it."""
    pages: dict[bytes, int] = {}
    whole = segments[largest].content if len(fixed) > 1 else b""
    starts = {bytes(segments[index].content[:_START]) for index in fixed if index != largest}
    for at in range(0, len(whole), PAGE):
        if bytes(whole[at : at + _START]) in starts:
            pages.setdefault(bytes(whole[at : at + PAGE]), at)
    found = {}
    for index in fixed:
        if _large_code(segments[index]):
            continue
        content = segments[index].content
        where = pages.get(bytes(content[:PAGE])) if index != largest else None
        if where is not None and same(whole[where : where + len(content)], content):
            found[index] = where
    return found


def _program_header(part: Part) -> ProgramHeader:
    sizes = part.size, part.memory_size
    return ProgramHeader(elf.PT_LOAD, part.flags, part.offset, part.address, *sizes, PAGE)


class _Sections:
    """Section names and headers, for readers such as ``readelf`` and ``limpet audit``."""

    def __init__(self) -> None:
        self._names = bytearray(b"\0")
        self.rows = [SectionHeader(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)]

    def add(self, name: str, kind: int, flags: int, address: int, offset: int, size: int) -> None:
        row = SectionHeader(len(self._names), kind, flags, address, offset, size, 0, 0, 1, 0)
        self.rows.append(row)
        self._names += name.encode() + b"\0"

    def add_part(self, part: Part) -> None:
        """A loaded segment by its name."""
        flags = elf.SHF_ALLOC
        flags |= elf.SHF_WRITE if part.flags & elf.PF_W else 0
        flags |= elf.SHF_EXECINSTR if part.flags & elf.PF_X else 0
        self.add(f".{part.name}", elf.SHT_PROGBITS, flags, part.address, part.offset, part.size)

    def finish(self, offset: int) -> bytes:
        """The table of names, which has itself, to lie at ``offset``."""
        size = len(self._names) + len(NAMES_SECTION) + 1
        self.add(NAMES_SECTION, elf.SHT_STRTAB, 0, 0, offset, size)
        return bytes(self._names)
