"""``build``: carry out a plan — compile, link, and lay everything into one file."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from limpet.arch.x86_64 import arranging
from limpet.building.record import record_of
from limpet.contract.pages import PAGE, align_up
from limpet.errors import BuildError, Outgrown
from limpet.formats.bundle import packed_guest
from limpet.formats.bundle.write import LATE, MAX_SEGMENTS, Load, arranged, pieces
from limpet.formats.image import Access
from limpet.guests import registry
from limpet.planning.broker import host_numbers
from limpet.planning.plan import Plan
from limpet.planning.regions import BROKER_BASE, BROKER_SIZE, MONITOR_BASE, MONITOR_SIZE
from limpet.planning.shelves import content as shelf_content
from limpet.planning.shelves import shelves
from limpet.sources import MONITOR_INCLUDES
from limpet.tools import executables, freestanding, toolchain, upkeep
from limpet.tools.cache import Cache
from limpet.tools.freestanding import Linked
from limpet.version import __version__


@dataclass(frozen=True)
class Monitor:
    """The compiled residue of a plan: sections at fixed addresses, and its symbols."""

    text: bytes
    constants: bytes
    symbols: Mapping[str, int]
    entry: int

    @property
    def size(self) -> int:
        """Bytes of code and constants."""
        return len(self.text) + len(self.constants)


@dataclass(frozen=True)
class Bundle:
    """One executable file's bytes, in pieces, and what they were made from.

    ``symbols`` are those of what stands beside the guest.
    """

    plan: Plan
    monitor: Monitor
    pieces: tuple[bytes, ...] = field(repr=False)
    symbols: Mapping[str, int] = field(default_factory=dict, repr=False)

    @cached_property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)

    @property
    def size(self) -> int:
        """How many bytes that is."""
        return sum(map(len, self.pieces))

    def write(self, *paths: Path) -> None:
        """Put the bundle at each of ``paths``, executable, all of it or nothing.

        Raises:
            BuildError: a place cannot be written.
        """
        with ThreadPoolExecutor(len(paths)) as pool:
            list(pool.map(lambda path: executables.write(path, *self.pieces), paths))


def build(plan: Plan, cache: Cache | None = None, *, packed: bytes = b"") -> Bundle:
    """Make the bundle of ``plan``.

    Args:
        packed: the guest's section of a bundle that is made again; used when it holds this guest,
            since another zlib may compress to other bytes.

    Raises:
        ToolchainError: the pinned toolchain is missing or broken.
    """
    cache = cache or Cache.default()
    try:
        return _built(plan, cache, packed)
    except Outgrown:
        again = registry.plan(plan.guest, plan.options, cache, measured=True)
        return _built(again, cache, packed)


def _built(plan: Plan, cache: Cache, packed: bytes) -> Bundle:
    with upkeep.workspace(cache) as folder:
        _write_sources(plan, folder)
        with ThreadPoolExecutor(4) as pool:
            pool.submit(lambda: plan.guest.tree.digest)  # kept there: the record has it
            linked_future = pool.submit(registry.kind_of(plan.image).link, plan, folder, cache)
            monitor_future = pool.submit(_monitor, plan, folder)
            ring0_future = pool.submit(_ring0, plan, cache)
            contents, symbols = linked_future.result()
            linked = monitor_future.result()
            ring0 = ring0_future.result()
    labels = {**symbols, **linked.symbols}
    filters = [each.assemble(labels) for _, each in sorted(plan.filters.items())]
    text, entry = linked.sections[".text"], linked.symbols["_start"]
    monitor = Monitor(text, plan.blobs.pack(filters), linked.symbols, entry)
    loads = [*_loads(plan, contents, monitor, ring0), *_broker(plan, cache)]
    segments = arranged(list(_in_rows(loads, plan.rows)))
    _check_count(plan, len(segments))
    assert all(each.address + each.size <= behind.address for each, behind in pairwise(segments))
    with ThreadPoolExecutor(1) as pool:
        guest_future = pool.submit(packed_guest.pack, plan.image, segments, packed)
        made = record_of(plan, segments, toolchain.version(), __version__).pack()
        guest = guest_future.result()
    return Bundle(plan, monitor, pieces(entry, segments, made, guest), symbols)


def _ring0(plan: Plan, cache: Cache) -> tuple[bytes, bytes]:
    """The code of ring 0: its fault stubs, and what arranges memory where that is needed."""
    pages, place = plan.supervisor, plan.layout
    if not pages:
        return b"", b""
    stubs = freestanding.ring_0_stubs(place.trap_frame, place.trap_entry, cache)
    if not pages.arranging:
        return stubs, b""
    at = arranging.GATE_AT
    return stubs, freestanding.ring_0_arranging(at, at + arranging.PLAN_AT, cache)


def _broker(plan: Plan, cache: Cache) -> Iterator[Load]:
    """The code of the broker, where the guest has one."""
    if "broker" not in plan.filters:
        return
    end = BROKER_BASE + BROKER_SIZE
    code = freestanding.broker(BROKER_BASE, end, host_numbers(), cache)
    yield Load("broker", BROKER_BASE, BROKER_SIZE, code.ljust(BROKER_SIZE, b"\0"), 5)


def _check_count(plan: Plan, pieces: int) -> None:
    """Linux starts no program that has more."""
    if pieces >= MAX_SEGMENTS:  # one more says that the stack is not executable
        raise BuildError(
            f"{plan.image.name}: with its {len(plan.guest.objects)} shared objects it has {pieces} "
            f"pieces of memory, and Linux starts a program of at most {MAX_SEGMENTS - 1}",
            hint="pack fewer shared objects: those that it loads, with --include",
        )


def _write_sources(plan: Plan, folder: Path) -> None:
    for name, text in plan.sources.items():
        (folder / name).write_text(text, encoding="utf-8")
    freestanding.write_headers(folder)


_MONITOR_SCRIPT = """\
ENTRY(_start)
SECTIONS {{
  . = {text:#x};
  .text : {{ *(.text.start) *(.text .text.*) *(.rodata .rodata.* .data.rel.ro*) }}
  ASSERT(. <= {end:#x}, "the monitor has outgrown its place")
  .data : {{ *(.data .data.* .bss .bss.* COMMON) }}
  ASSERT(SIZEOF(.data) == 0, "a monitor has no writable data")
  /DISCARD/ : {{ *(.comment .note.* .eh_frame*) }}
}}
"""


def _monitor(plan: Plan, folder: Path) -> Linked:
    output, target = folder / "monitor.o", folder / "monitor.elf"
    flags = ["-Os", "-DLIMPET_MONITOR=1", *MONITOR_INCLUDES]
    toolchain.compile_object(folder / "monitor.c", output, flags=flags, include=folder)
    script, end = folder / "monitor.ld", MONITOR_BASE + MONITOR_SIZE
    script.write_text(_MONITOR_SCRIPT.format(text=plan.monitor_text, end=end), encoding="utf-8")
    toolchain.link([output], target, script)
    return freestanding.read_linked(target)


def _flags(access: Access) -> int:
    return (
        (4 if Access.READ in access else 0)
        | (2 if Access.WRITE in access else 0)
        | (1 if Access.EXECUTE in access else 0)
    )


def _loads(
    plan: Plan, linked: Mapping[str, bytes], monitor: Monitor, ring0: tuple[bytes, bytes]
) -> Sequence[Load]:
    loads = []
    pages = plan.supervisor
    for region in plan.regions:
        if region.at_start:
            continue
        content = linked.get(region.name, region.content)
        if plan.guest.memory and Access.WRITE in region.access:
            content = region.content
        assert content is not None, region.name
        if region.filled:
            content = content.ljust(region.size, b"\xcc")
        if region.late is not None:
            continue
        flags = _flags(region.access | region.host)
        size = region.size if flags & 2 else align_up(len(content), PAGE)
        if pages:  # the plan maps the room that the linker was given, not what it filled
            pages = pages.without(region.address + size, region.end)
        if not size:
            continue
        if plan.options.backends == ("kvm",):
            flags = flags & ~1 | 4  # only the virtual machine executes it
        loads.append(Load(region.name, region.address, size, content, flags))
    if pages:
        content = pages.content(*ring0)
        loads.append(Load("supervisor", pages.base, pages.size, content, 6))
    constants = monitor.constants.ljust(plan.monitor_text - MONITOR_BASE, b"\0")
    text = constants + monitor.text
    size = align_up(len(text), PAGE)
    loads.append(Load("monitor", MONITOR_BASE, size, text, 5))
    return [*loads, *_late(plan)]


def _in_rows(loads: Iterable[Load], rows: Sequence[tuple[int, int]]) -> Iterator[Load]:
    """``loads`` with those of each row as one: zeros are between them."""
    waiting, row = deque(rows), list[Load]()
    for load in sorted(loads, key=lambda load: load.address):
        if row and load.address >= waiting[0][1]:
            waiting.popleft()
            yield _row(row)
            row = []
        if waiting and waiting[0][0] <= load.address:
            row.append(load)
        else:
            yield load
    if row:
        yield _row(row)


def _row(loads: Sequence[Load]) -> Load:
    low = at = loads[0].address
    pieces: list[bytes] = []
    for load in loads:
        pieces += bytes(load.address - at), load.content
        at = load.address + len(load.content)
    pieces.append(bytes(loads[-1].address + loads[-1].size - at))
    name = "+".join(load.name for load in loads)
    return Load(name, low, sum(map(len, pieces)), b"".join(pieces), loads[0].flags)


def _late(plan: Plan) -> Iterator[Load]:
    """What is only read until it is loaded."""
    for number, shelf in enumerate(shelves(plan.regions)):
        content = shelf_content(shelf)
        yield Load(f"{LATE}{number}", shelf[0].address, len(content), content, _flags(Access.READ))
