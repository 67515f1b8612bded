"""The library OS's heap and its account of pages, against simple models."""

from __future__ import annotations

import ctypes
from bisect import bisect
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.native import EEXIST, EFAULT, EINVAL, ENOMEM, PAGE, S64, U64, Library, quick


@pytest.fixture(scope="session")
def memory(native: Callable[[str], Library]) -> Library:
    """core/pages.c, core/heap.c and parts/memory."""
    return native("memory")


class Heap:
    """The heap, with every object's bytes told apart."""

    def __init__(self, memory: Library) -> None:
        self.low = memory("start", U64)()
        self.high = memory("end", U64)()
        self._alloc = memory("alloc", U64, U64)
        self._free = memory("release", None, U64)
        self.objects: list[tuple[int, ...]] = []  # address, size, mark; sorted

    def alloc(self, size: int) -> int:
        """A new object: aligned, zero, in the arena, over no other."""
        at = self._alloc(size)
        if at:
            assert at % 16 == 0 and self.low <= at <= at + size <= self.high
            assert ctypes.string_at(at, size) == bytes(size)
            index = bisect(self.objects, (at,))
            assert index == 0 or sum(self.objects[index - 1][:2]) <= at
            assert index == len(self.objects) or at + size <= self.objects[index][0]
            mark = len(self.objects) % 255 + 1
            ctypes.memset(at, mark, size)
            self.objects.insert(index, (at, size, mark))
        return at

    def free(self, index: int) -> None:
        """An object away; it is still what was put there."""
        at, size, mark = self.objects.pop(index % len(self.objects))
        assert ctypes.string_at(at, size) == bytes([mark]) * size
        self._free(at)


sizes = st.one_of(
    st.integers(0, 2100),
    st.sampled_from([31, 32, 33, 1024, 1025, 2016, 2017, 4032, 4033, 4096, 8128, 8129]),
    st.integers(4000, 300_000),
    st.sampled_from([200 * PAGE, 1 << 40, (1 << 63) - 1, (1 << 64) - 4160, (1 << 64) - 1]),
)


@quick
@given(steps=st.lists(st.one_of(sizes, st.integers(-1000, -1)), max_size=120))
def test_heap(memory: Library, steps: list[int]) -> None:
    """Any order of allocating and freeing; what does not fit is refused."""
    heap = Heap(memory)
    for step in steps:
        if step >= 0:
            got = heap.alloc(step)
            assert got or step > 4032 or memory("free_count", U64)() == 0
            assert not (got and step >= 200 * PAGE)
        elif heap.objects:
            heap.free(step)
    while heap.objects:
        heap.free(0)


@pytest.mark.parametrize("size", [1, 32, 100, 2016, 2017, 4033, 20_000])
def test_heap_is_exhausted_and_reused(memory: Library, size: int) -> None:
    """A full arena gives NULL, and as many objects again once they are freed."""
    heap = Heap(memory)
    while heap.alloc(size):
        pass
    count = len(heap.objects)
    assert count * size > (heap.high - heap.low) // 3 or size < 32
    for index in range(count):
        heap.free(index * 7)
    while heap.alloc(size):
        pass
    assert len(heap.objects) == count
    memory("release", None, U64)(0)


MAYMOVE, FIXED_REMAP = 1, 2

PRIVATE, FIXED, NOREPLACE = 0x22, 0x10, 0x100000


class Memory:
    """A program's memory by the real calls, beside a model: page number to what was written."""

    def __init__(self, memory: Library) -> None:
        self.low = memory("start", U64)()
        self.count = (memory("list_ready", U64)() - self.low) // PAGE
        self._free = memory("free_count", U64)
        self._map = memory("map_pages", S64, S64, S64, S64)
        self._unmap = memory("unmap", S64, S64, S64)
        self._remap = memory("remap", S64, S64, S64, S64, S64, S64)
        self.pages: dict[int, int] = {}
        self._written = 0

    def _at(self, page: int) -> int:
        return self.low + page * PAGE

    def _word(self, page: int, offset: int) -> ctypes.c_uint64:
        return ctypes.c_uint64.from_address(self._at(page) + offset)

    def _fill(self, first: int, count: int) -> None:
        for page in range(first, first + count):
            assert page not in self.pages
            assert ctypes.string_at(self._at(page), PAGE) == bytes(PAGE)
            self._written += 1
            self._word(page, 0).value = self._word(page, PAGE - 8).value = self._written
            self.pages[page] = self._written

    def _has_room(self, count: int) -> bool:
        run = 0
        for page in range(self.count):
            run = 0 if page in self.pages else run + 1
            if run == count:
                return True
        return False

    def _inside(self, first: int, count: int) -> bool:
        return first >= 0 and first + count <= self.count

    def map(self, count: int, hint: int) -> None:
        """Anywhere, or at a hint when that is free."""
        got = self._map(self._at(hint), count * PAGE - 7, PRIVATE)
        if got < 0:
            assert (got, self._has_room(count)) == (-ENOMEM, False)
            return
        first, odd = divmod(got - self.low, PAGE)
        assert not odd and self._inside(first, count)
        free = not any(page in self.pages for page in range(hint, hint + count))
        assert first == hint or not (free and self._inside(hint, count))
        self._fill(first, count)

    def map_fixed(self, first: int, count: int, flags: int) -> None:
        """Exactly there, over what there is or not."""
        got = self._map(self._at(first), count * PAGE, PRIVATE | flags)
        there = [page for page in range(first, first + count) if page in self.pages]
        if there and flags == NOREPLACE:
            assert got == -EEXIST
        elif not self._inside(first, count):
            assert got == -ENOMEM or (flags == NOREPLACE and got == -EEXIST)
        else:
            assert got == self._at(first)
            for page in there:
                del self.pages[page]
            self._fill(first, count)

    def unmap(self, first: int, count: int) -> None:
        """Whatever is there."""
        assert self._unmap(self._at(first), count * PAGE) == 0
        for page in range(first, first + count):
            self.pages.pop(page, None)

    def remap(self, first: int, have: int, want: int, flags: int, target: int) -> None:
        """Grow, shrink or move."""
        got = self._remap(self._at(first), have * PAGE, want * PAGE, flags, self._at(target))
        if first not in self.pages:
            assert got == -EFAULT
        elif flags & FIXED_REMAP:
            self._move_to(got, first, have, want, target)
        elif want <= have:
            assert got == self._at(first)
            for page in range(first + want, first + have):
                self.pages.pop(page, None)
        elif not all(page in self.pages for page in range(first, first + have)):
            assert got == -EFAULT
        elif got < 0:
            blocked = any(page in self.pages for page in range(first + have, first + want))
            assert got == -ENOMEM and (blocked or not self._inside(first, want))
            assert not flags & MAYMOVE or not self._has_room(want)
        else:
            to = (got - self.low) // PAGE
            assert self._inside(to, want) and (to == first or flags & MAYMOVE)
            self._moved(first, have, want, to)

    def _move_to(self, got: int, first: int, have: int, want: int, target: int) -> None:
        if first < target + want and target < first + have:
            assert got == -EINVAL
            return
        if not self._inside(target, want):
            assert got == -ENOMEM
            return
        for page in (*range(target, target + want), *range(first + want, first + have)):
            self.pages.pop(page, None)
        have = min(have, want)
        if all(page in self.pages for page in range(first, first + have)):
            assert got == self._at(target)
            self._moved(first, have, want, target)
        else:
            assert got == -EFAULT

    def _moved(self, first: int, have: int, want: int, to: int) -> None:
        old = [self.pages.pop(page) for page in range(first, first + have)]
        for page, mark in enumerate(old, to):
            assert page not in self.pages
            self.pages[page] = mark
        self._fill(to + have, want - have)

    def check(self) -> None:
        """Every page holds what was written there, and no other is taken."""
        assert self._free() == self.count - len(self.pages)
        for page, mark in self.pages.items():
            assert self._word(page, 0).value == self._word(page, PAGE - 8).value == mark


places = st.integers(-1, 203)

counts = st.one_of(st.integers(1, 12), st.integers(1, 205))

steps_of_memory = st.one_of(
    st.tuples(st.just("map"), counts, places),
    st.tuples(st.just("map_fixed"), places, counts, st.sampled_from([FIXED, NOREPLACE])),
    st.tuples(st.just("unmap"), places, counts),
    st.tuples(st.just("remap"), places, counts, counts, st.sampled_from([0, 1, 3]), places),
    # a mapping that there is, by its place among them
    st.tuples(st.just("again"), st.integers(0, 200), counts, st.sampled_from([0, 1, 3]), places),
)


@settings(quick, max_examples=400)
@given(steps=st.lists(steps_of_memory, max_size=40))
def test_pages(memory: Library, steps: list[tuple[object, ...]]) -> None:
    """mmap, munmap and mremap in any order: no overlap, nothing lost, all of it free again."""
    program = Memory(memory)
    for name, *arguments in steps:
        if name != "again":
            getattr(program, str(name))(*arguments)
        elif program.pages:
            index, want, flags, target = (int(str(each)) for each in arguments)
            first = sorted(program.pages)[index % len(program.pages)]
            have = 1
            while first + have in program.pages and have <= index:
                have += 1
            program.remap(first, have, want, flags, target)
        program.check()
    program.unmap(0, program.count)
    program.check()
    program.map(program.count, 0)
    program.check()


@quick
@given(at=st.integers(0, (1 << 64) - 1), length=st.integers(0, (1 << 64) - 1), where=st.booleans())
def test_absurd_ranges(memory: Library, at: int, length: int, where: bool) -> None:
    """Addresses and lengths that wrap around are errors, not damage."""
    program = Memory(memory)
    program.map(3, -1)
    if where:
        at = (program.low + at % (program.count * PAGE)) // PAGE * PAGE
    length = max(length, (program.count + 1) * PAGE)
    for flags in (PRIVATE, PRIVATE | FIXED, PRIVATE | NOREPLACE):
        assert memory("map_pages", S64, U64, U64, S64)(at, length, flags) in (
            -EINVAL,
            -ENOMEM,
            -EEXIST,
        )
    remap = memory("remap", S64, U64, U64, U64, S64, U64)
    for flags in (0, MAYMOVE, MAYMOVE | FIXED_REMAP):
        assert remap(at, PAGE, length, flags, at) in (-EINVAL, -ENOMEM, -EFAULT)
        if remap(at, length, PAGE, flags, at) == at:  # as Linux: all behind it is gone
            kept = (at - program.low) // PAGE
            program.pages = {page: mark for page, mark in program.pages.items() if page <= kept}
    program.check()
    assert memory("unmap", S64, U64, U64)(at, 0) == -EINVAL


def test_pages_of_the_library_os(memory: Library) -> None:
    """What the library OS took, the program can neither unmap nor map over."""
    program = Memory(memory)
    at = memory("take_some_pages", U64, U64)(2)
    first = (at - program.low) // PAGE
    assert program._unmap(program.low, program.count * PAGE) == 0
    assert program._free() == program.count - 2
    for flags, error in ((FIXED, -ENOMEM), (NOREPLACE, -EEXIST)):
        assert program._map(at - PAGE, 2 * PAGE, PRIVATE | flags) == error
    assert program._remap(at, PAGE, 2 * PAGE, MAYMOVE, 0) == -EFAULT
    assert program._map(program.low, (first + 1) * PAGE, PRIVATE | FIXED) == -ENOMEM
    assert program._free() == program.count - 2
