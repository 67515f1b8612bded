"""What the guest of a virtual machine can run that is no code: constants beside it, or more.

Its page tables say what can be run.  What of an object is code say its own headers, which lie in
memory with it; which constants may have the rights of the code beside them, the plan's rule.
"""

from __future__ import annotations

import stat
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from limpet.audit.inside import Inside
from limpet.audit.late_code import first_pages
from limpet.contract.pages import PAGE, align_up
from limpet.errors import BundleError, LimpetError
from limpet.formats import elf
from limpet.formats.bundle.read import BundleFile
from limpet.formats.image import Access
from limpet.formats.tree.layout import head, record
from limpet.guests.registry import read_image
from limpet.planning.large_code import Rights, Run, run_as_well

LINKED = frozenset({"libos_text", "shim", "gates"})
"""Parts with code that is in no file: the library OS, and what traps of a unikernel."""

_MOST_HEADERS, _MOST_OBJECTS, _MOST_FOUND = 64, 4096, 4096


@dataclass(frozen=True)
class Object:
    """A program or shared object in memory, by what its headers say of its pages."""

    name: str
    rights: tuple[Rights, ...]

    @property
    def span(self) -> Run:
        """From its first page to behind its last."""
        return self.rights[0][0], max(high for _, high, _ in self.rights)


@dataclass(frozen=True)
class Beside:
    """Constants of an object that can be run."""

    name: str
    low: int
    high: int

    @property
    def words(self) -> str:
        """In a line."""
        count = (self.high - self.low) // PAGE
        return f"{count} pages of constants of {self.name} at {self.low:#x} can be run"


def beside_code(inside: Inside) -> tuple[Beside, ...]:
    """The constants that can be run as the plan's rule has them; with --strict these are none.

    Raises:
        BundleError: they are too many to be true.
    """
    if inside.record.options.get("strict"):
        return ()
    found, run = list[Beside](), _run(inside)
    for each in _objects(inside):
        for low, high in run_as_well(each.rights):
            found += [Beside(each.name, *part) for part in _both((low, high), run)]
            if len(found) > _MOST_FOUND:
                raise BundleError(
                    f"{inside.bundle.name}: more than {_MOST_FOUND} pieces of constants can be run",
                    hint="do not run the bundle",
                )
    return tuple(found)


def check_code(inside: Inside) -> None:
    """Nothing else can be run but code."""
    if inside.machine is None:
        return
    objects = list(_objects(inside))
    code = [run for each in objects for run in _code(each)]
    known = [*code, *_linked(inside, objects)]
    known += [(each.low, each.high) for each in beside_code(inside)]
    for low, high in _without(_run(inside), known):
        inside.found(
            "page tables",
            f"{(high - low) // PAGE} pages at {low:#x} can be run, and are no code",
        )


def _run(inside: Inside) -> list[Run]:
    """What the guest can run, ascending."""
    pages = inside.machine.pages if inside.machine else ()
    return [(each.address, each.end) for each in pages if each.user and each.executable]


def _code(each: Object) -> Iterator[Run]:
    for low, high, access in each.rights:
        if Access.EXECUTE in access and Access.WRITE not in access:
            yield low, high


def _linked(inside: Inside, objects: Iterable[Object]) -> Iterator[Run]:
    """What such parts have beside objects and packed files."""
    others = [each.span for each in objects]
    tree = inside.record.tree
    others += [(tree.address, tree.address + tree.size)] if tree else []
    for part in inside.bundle.parts:
        if LINKED & set(part.name.split("+")):
            yield from _without([(part.address, part.end)], others)


def _objects(inside: Inside) -> Iterator[Object]:
    """The guest's program, and the shared objects that lie behind it; not those that are packed."""
    tree, found = inside.record.tree, 0
    lowest = min(each.address for each in inside.bundle.parts)
    packed = range(tree.address, tree.address + tree.size) if tree else range(0)
    program = False
    for at, page in first_pages(inside.bundle):
        rights = () if at in packed else tuple(_rights(_loaded(inside, page, at)))
        if not rights or rights[0][0] != at:
            continue
        found += 1
        if found > _MOST_OBJECTS:
            raise BundleError(
                f"{inside.bundle.name}: more than {_MOST_OBJECTS} shared objects",
                hint="do not run the bundle",
            )
        program |= at == lowest
        name = inside.record.guest.name if at == lowest else f"the object at {at:#x}"
        yield Object(name, rights)
    if not program:
        yield from _guest(inside, lowest)


def _guest(inside: Inside, lowest: int) -> Iterator[Object]:
    """The program by its own file: its headers are not in memory."""
    if inside.guest is None:
        return
    try:
        image = read_image(inside.guest, inside.record.guest.name)
    except LimpetError:
        return  # which is said of its devices
    base = 0 if image.fixed else lowest - image.segments[0].address // PAGE * PAGE
    segments = ((e.address + base, e.end + base, e.access) for e in image.segments)
    yield Object(image.name, tuple(_rights(map(_in_pages, segments))))


def _loaded(inside: Inside, first: bytes, at: int) -> Iterator[Rights]:
    """What an object's headers have loaded, in whole pages; its ``first`` page is at ``at``.

    What has moved them says in that page where they are in its file.
    """
    header = elf.Header.unpack(first)
    size = min(header.phnum, _MOST_HEADERS) * elf.PROGRAM_SIZE
    table = first[header.phoff : header.phoff + size]
    if len(table) == size:
        yield from _segments(inside.bundle, header, table, at)
        return
    for file in _packed_files(inside):
        if file[: elf.HEADER_SIZE] == first[: elf.HEADER_SIZE]:
            table = bytes(file[header.phoff : header.phoff + size])
            yield from _segments(inside.bundle, header, table, at)
            return


def _packed_files(inside: Inside) -> Iterator[memoryview]:
    """The packed files' contents: they have been read, so their records are sound."""
    view = memoryview(inside.tree)
    for index in range(head(view) if inside.files else 0):
        each = record(view, index)
        if stat.S_ISREG(each["mode"]):
            yield view[each["data"] : each["data"] + each["size"]]


def _segments(bundle: BundleFile, header: elf.Header, table: bytes, at: int) -> Iterator[Rights]:
    """What cannot be written is in the file, as far as it is there at all."""
    base = 0 if header.type == elf.ET_EXEC else at
    for index in range(len(table) // elf.PROGRAM_SIZE):
        each = elf.ProgramHeader.unpack(table, index * elf.PROGRAM_SIZE)
        low, high = base + each.address, base + each.address + each.memory_size
        there = bundle.part_at(low)
        if each.kind != elf.PT_LOAD or low == high or not there:
            continue
        access = Access.READ
        access |= Access.EXECUTE if each.flags & elf.PF_X else access
        access |= Access.WRITE if each.flags & elf.PF_W else access
        end = high if Access.WRITE in access else min(high, there.address + there.size)
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


def _both(one: Run, others: Sequence[Run]) -> Iterator[Run]:
    """What is in ``one`` and in ``others``, which ascend."""
    low, high = one
    for start, end in others[bisect_right(others, low, key=lambda each: each[1]) :]:
        if start >= high:
            break
        yield max(low, start), min(high, end)


def _without(some: Iterable[Run], others: Iterable[Run]) -> Iterator[Run]:
    """What of ``some``, which ascend, is in none of the ``others``."""
    known = deque(_joined(sorted(others)))
    for low, high in some:
        at = low
        while known and known[0][1] <= at:
            known.popleft()
        while known and known[0][0] < high:
            start, end = known[0]
            if at < start:
                yield at, start
            at = min(max(at, end), high)
            if end > high:
                break
            known.popleft()
        if at < high:
            yield at, high


def _joined(runs: Iterable[Run]) -> Iterator[Run]:
    """Those that touch as one."""
    low = high = 0
    for start, end in runs:
        if start > high:
            if low < high:
                yield low, high
            low, high = start, end
        high = max(high, end)
    if low < high:
        yield low, high
