"""Ring 0's code that changes page tables, run here on tables in a buffer, with any numbers.

What it does is compared with a few lines of Python that know nothing of tables, and what must
always hold is read from the tables themselves.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.arch.x86_64.arranging import CODE_SIZE, GATE_AT, PLAN_AT
from limpet.arch.x86_64.paging import LARGE_PAGE, MARK, NO_EXECUTE, PAGE, Mapping, page_tables
from limpet.guests.linux.layout import RESERVE
from limpet.sources import C_ROOT, GUEST_ROOT
from limpet.tools import freestanding
from limpet.tools.cache import Cache
from limpet.tools.process import run
from limpet.tools.toolchain import zig

PRESENT, WRITABLE, USER, LARGE = 1, 2, 4, 0x80
ADDRESS = 0x000F_FFFF_FFFF_F000
EINVAL, ENOMEM = -22, -12
CODE, DATA, TEXT, ARENA = 0x400000, 0x401000, 8 << 20, 16 << 20
ARENA_END = ARENA + 2 * LARGE_PAGE + 5 * PAGE
ROOM = 48 * PAGE

Pages = dict[int, tuple[int, int]]
"""By address: what is mapped there, and the rights: 1 to read, 2 to write, 4 to run."""


CALLABLE = """
#include "arrange.c"
__attribute__((visibility("default"))) long call(u64 from, u64 to, u64 pages, u64 rights,
                                                 const struct arrange_plan *plan) {
    return arrange(from, to, pages, rights, plan);
}
"""


@pytest.fixture(scope="module")
def arrange(tmp_path_factory: pytest.TempPathFactory) -> ctypes._NamedFuncPointer:
    """The function, compiled for this process."""
    folder = tmp_path_factory.mktemp("arrange")
    freestanding.write_headers(folder)
    source, library = folder / "callable.c", folder / "arrange.so"
    source.write_text(CALLABLE)
    include = [f"-I{each}" for each in (folder, C_ROOT / "contract", GUEST_ROOT / "ring0")]
    run(
        [zig(), "cc", "-shared", "-fPIC", "-O1", "-g0", *include, source, "-o", library],
        timeout=300,
    )
    found = ctypes.CDLL(str(library)).call
    found.argtypes, found.restype = [ctypes.c_uint64] * 4 + [ctypes.c_void_p], ctypes.c_long
    return found


class Machine:
    """Tables of a small guest in a buffer, at whose address they are."""

    def __init__(self, room: int = ROOM, jit: bool = False, gigabytes: int = 0) -> None:
        self.buffer = mmap.mmap(-1, 64 * PAGE + room)
        self.keep = (ctypes.c_char * len(self.buffer)).from_buffer(self.buffer)
        self.base = ctypes.addressof(self.keep)
        tables = page_tables(
            self.base,
            (
                Mapping(CODE, PAGE, writable=False, executable=True),
                Mapping(DATA, PAGE, writable=True, executable=False),
                Mapping(TEXT, LARGE_PAGE, writable=False, executable=True),
                Mapping(ARENA, ARENA_END - ARENA, True, False, marked=True),
                Mapping(1 << 30, PAGE, writable=True, executable=False, user=False),
            ),
            gigabytes,
        )
        self.buffer[: len(tables)] = tables
        self.now = (ctypes.c_uint64 * 2)(self.base + len(tables), 0)
        self.end = self.base + len(tables) + room
        row = self.base + 2 * PAGE, gigabytes << 30
        words = self.base, *row, ctypes.addressof(self.now), self.end, ARENA, ARENA_END, *RESERVE
        self.plan = ctypes.create_string_buffer(struct.pack("<10Q", *words, jit))
        self.first = dict(self.leaves())
        self.pages: Pages = {at: (at, 3) for at in range(ARENA, ARENA_END, PAGE)}

    def table(self, at: int) -> tuple[int, ...]:
        """Entries; a table lies where tables are."""
        assert self.base <= at < self.end and at % PAGE == 0
        return struct.unpack_from("<512Q", self.buffer, at - self.base)

    def leaves(self, at: int = 0, level: int = 3, low: int = 0) -> Iterator[tuple[int, int]]:
        """Address and entry of each small page that has one, present or not."""
        for index, entry in enumerate(self.table(at or self.base)):
            size = PAGE << 9 * level
            where = low + index * size
            if not entry:
                continue
            if level == 0:
                yield where, entry
            elif level == 1 and entry & LARGE:
                for piece in range(0, size, PAGE):
                    yield where + piece, (entry & ~LARGE) + piece
            else:
                yield from self.leaves(entry & ADDRESS, level - 1, where)

    def check(self) -> None:
        """What a guest must never get, and what the model has."""
        found: Pages = {}
        for at, entry in self.leaves():
            if not ARENA <= at < ARENA_END and not RESERVE[0] <= at < RESERVE[1]:
                assert entry == self.first[at], hex(at)
                continue
            assert entry & USER and entry & MARK
            assert entry & NO_EXECUTE or not entry & WRITABLE
            assert ARENA <= entry & ADDRESS < ARENA_END
            rights = entry & (PRESENT | WRITABLE) | (0 if entry & NO_EXECUTE else 4)
            found[at] = entry & ADDRESS, rights
        assert found == self.pages
        frames = [frame for frame, _ in found.values()]
        assert len(set(frames)) == len(frames)

    def move(self, start: int, to: int, pages: int) -> None:
        """The model."""
        moved = {at: self.pages.pop(start + at, None) for at in range(0, pages * PAGE, PAGE)}
        for at, page in moved.items():
            self.pages.pop(to + at, None)
            if page:
                self.pages[to + at] = page

    def give(self, start: int, pages: int, rights: int) -> None:
        """The model."""
        for at in range(start, start + pages * PAGE, PAGE):
            if at in self.pages:
                self.pages[at] = self.pages[at][0], rights


def movable(at: int, size: int) -> bool:
    """Whether all of it is arena, or reserve."""
    return any(low <= at and at + size <= high for low, high in ((ARENA, ARENA_END), RESERVE))


PLACES = [ARENA, ARENA_END, ARENA + LARGE_PAGE, *RESERVE, RESERVE[0] + (1 << 30), CODE, DATA, 0]
PLACES += [RESERVE[1] - 4 * PAGE, 1 << 30, 1 << 39, 1 << 47, 1 << 63, 2**64 - PAGE]
ADDRESSES = st.one_of(
    st.builds(
        lambda base, pages: (base + pages * PAGE) % 2**64,
        st.sampled_from(PLACES),
        st.integers(-9, 1100),
    ),
    st.integers(0, 2**64 - 1),
)
NEAR = st.builds(
    lambda base, page: base + page * PAGE,
    st.sampled_from(
        [ARENA, RESERVE[0], RESERVE[0] + (1 << 39) - 3 * PAGE, RESERVE[0] + LARGE_PAGE]
    ),
    st.integers(0, 1000),
)
COUNTS = st.one_of(
    st.integers(0, 600), st.sampled_from([1 << 18, (1 << 18) + 1, 1 << 52, 2**64 - 1])
)
CALL = st.tuples(
    st.one_of(NEAR, NEAR, ADDRESSES),
    st.one_of(NEAR, NEAR, st.just(0), ADDRESSES),
    COUNTS,
    st.one_of(st.sampled_from([0, 1, 3, 5, 5, 7]), st.integers(0, 2**64 - 1)),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(CALL, max_size=12), st.booleans(), st.integers(0, 3))
def test_any_numbers(
    arrange: ctypes._NamedFuncPointer, calls: list[tuple[int, ...]], jit: bool, gigabytes: int
) -> None:
    """Each call does what the model does, or nothing, whatever page directories are in a row."""
    machine = Machine(jit=jit, gigabytes=gigabytes)
    may = (0, 1, 3, 5) if jit else (0, 1, 3)
    for start, to, pages, rights in calls:
        result = arrange(start, to, pages, rights, machine.plan)
        size, bad = pages * PAGE, start % PAGE or to % PAGE or not 0 < pages <= 1 << 18
        if to:
            bad = bad or not (movable(start, size) and movable(to, size)) or abs(start - to) < size
        else:
            bad = bad or rights not in may or not PAGE <= start <= RESERVE[1] - size
        assert result == EINVAL if bad else result in (0, ENOMEM)
        if not bad and to and result == 0:
            machine.move(start, to, pages)
        elif not bad and not to:
            done = pages if result == 0 else _done(machine, start, pages)
            machine.give(start, done, rights)
    machine.check()


def _done(machine: Machine, start: int, pages: int) -> int:
    """Rights change up to where there is no table and none can be had, a table at a time."""
    tables, large = _small(machine), {at // LARGE_PAGE for at, _ in machine.leaves()}
    done = 0
    while done < pages:
        at = start + done * PAGE
        piece = min(pages - done, (LARGE_PAGE - at % LARGE_PAGE) // PAGE)
        whole = piece == LARGE_PAGE // PAGE and at // LARGE_PAGE in large
        if not whole and at // LARGE_PAGE not in tables:
            return done
        done += piece
    return pages


def _small(machine: Machine, at: int = 0, level: int = 3, low: int = 0) -> set[int]:
    """Which 2 MiB have a table of small pages, empty ones among them."""
    found: set[int] = set()
    for index, entry in enumerate(machine.table(at or machine.base)):
        where = low + index * (PAGE << 9 * level)
        if entry and level > 1:
            found |= _small(machine, entry & ADDRESS, level - 1, where)
        elif entry and not entry & LARGE:
            found.add(where // LARGE_PAGE)
    return found


def test_no_room(arrange: ctypes._NamedFuncPointer) -> None:
    """Where no table is left nothing has moved, and what is left goes on working."""
    machine = Machine(room=5 * PAGE)
    assert arrange(ARENA, RESERVE[0], 4, 0, machine.plan) == 0  # splits one, and takes two
    machine.move(ARENA, RESERVE[0], 4)
    assert arrange(ARENA + 4 * PAGE, RESERVE[0] + (1 << 30), 4, 0, machine.plan) == 0
    machine.move(ARENA + 4 * PAGE, RESERVE[0] + (1 << 30), 4)
    far = RESERVE[0] + (1 << 40)
    assert arrange(ARENA + 8 * PAGE, far, 4, 0, machine.plan) == ENOMEM
    assert arrange(ARENA + LARGE_PAGE, 0, 1, 1, machine.plan) == ENOMEM  # could not be split
    across = RESERVE[0] + LARGE_PAGE - 2 * PAGE  # half of it has a table
    assert arrange(ARENA + 8 * PAGE, across, 4, 0, machine.plan) == ENOMEM
    assert arrange(RESERVE[0], ARENA, 4, 0, machine.plan) == 0
    machine.move(RESERVE[0], ARENA, 4)
    machine.check()


def test_large_pages(arrange: ctypes._NamedFuncPointer) -> None:
    """A whole one changes without a table; a part of one leaves the rest out of reach."""
    machine = Machine(jit=True)
    before = machine.now[0]
    for rights in (1, 0, 5, 3, 0):
        assert arrange(ARENA, 0, LARGE_PAGE // PAGE, rights, machine.plan) == 0
        machine.give(ARENA, LARGE_PAGE // PAGE, rights)
        machine.check()
    assert machine.now[0] == before
    assert arrange(ARENA + 3 * PAGE, 0, 2, 3, machine.plan) == 0
    machine.give(ARENA + 3 * PAGE, 2, 3)
    assert arrange(TEXT, 0, LARGE_PAGE // PAGE, 3, machine.plan) == 0  # no page of the arena
    machine.check()


@pytest.mark.parametrize("gigabytes", [0, 1])
def test_ends(arrange: ctypes._NamedFuncPointer, gigabytes: int) -> None:
    """Rights of small pages end with their table, with the arena, and at what was moved away."""
    machine = Machine(gigabytes=gigabytes)
    last, second = ARENA + 2 * LARGE_PAGE, ARENA + LARGE_PAGE
    for start, pages, rights in (
        (last + 3 * PAGE, 4, 1),  # two of them are none of the arena's
        (ARENA + PAGE, 1, 0),
        (second - 3 * PAGE, 7, 1),
        (second + PAGE, 30, 3),
    ):
        assert arrange(start, 0, pages, rights, machine.plan) == 0
        machine.give(start, pages, rights)
        machine.check()
    assert arrange(second - 2 * PAGE, RESERVE[0], 4, 0, machine.plan) == 0
    machine.move(second - 2 * PAGE, RESERVE[0], 4)
    for start, pages in ((second, 9), (second - 9 * PAGE, 18), (RESERVE[0], 9)):
        for rights in (0, 3, 1):
            assert arrange(start, 0, pages, rights, machine.plan) == 0
            machine.give(start, pages, rights)
            machine.check()


def test_wrapping(arrange: ctypes._NamedFuncPointer) -> None:
    """A range that ends behind the last address."""
    machine = Machine()
    for pages in range(1, 5):
        at = 2**64 - 2 * PAGE
        assert arrange(at, RESERVE[0], pages, 0, machine.plan) == EINVAL
        assert arrange(ARENA, at, pages, 0, machine.plan) == EINVAL
        assert arrange(at, 0, pages, 3, machine.plan) == EINVAL
    machine.check()


def test_unmarked(arrange: ctypes._NamedFuncPointer) -> None:
    """Rights of what the plan has not marked stay, and so does what is nobody's."""
    machine = Machine()
    for at in (CODE, DATA, 1 << 30):
        for rights in (0, 1, 3):
            assert arrange(at, 0, 1, rights, machine.plan) == 0
            assert arrange(TEXT, 0, 1, rights, machine.plan) == ENOMEM  # it stays large
            assert arrange(TEXT, 0, LARGE_PAGE // PAGE, rights, machine.plan) == 0
    machine.check()


def test_linked() -> None:
    """It fills the page of the fault stubs, and its room for the plan is zeros."""
    code = freestanding.ring_0_arranging(GATE_AT, GATE_AT + PLAN_AT, Cache.default())
    assert len(code) == CODE_SIZE and not any(code[PLAN_AT:])
