"""The library OS's own algorithms, compiled as for a guest and called in this process."""

from __future__ import annotations

import ctypes
import subprocess
from bisect import bisect
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limpet import contract
from limpet.formats import tree
from limpet.sources import GUEST_INCLUDES
from limpet.tools.toolchain import compile_object, zig
from tests.support import SUPPORT

NATIVE = SUPPORT / "native"
PAGE = 4096
EFAULT, EINVAL, ENOMEM, EEXIST = 14, 22, 12, 17

U64, S64, PTR, INT = ctypes.c_uint64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int
Unit = Callable[..., int]

quick = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Library:
    """One file of tests/native with what it includes, loaded."""

    def __init__(self, name: str, folder: Path) -> None:
        (folder / "contract.h").write_text(contract.c_header())
        (folder / "tree_format.h").write_text(tree.c_header())
        made = folder / f"{name}.o"
        flags = ["-O2", "-fPIC", *GUEST_INCLUDES]
        compile_object(NATIVE / f"{name}.c", made, flags=flags, include=folder)
        output = folder / f"{name}.so"
        subprocess.run([zig(), "ld.lld", "-shared", "-o", output, made], check=True)
        self._loaded = ctypes.CDLL(str(output))

    def __call__(self, name: str, result: type | None, *arguments: type) -> Unit:
        """A function of it."""
        function = self._loaded[name]
        function.restype, function.argtypes = result, arguments
        return function


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Library]:
    """Loads a file of tests/native."""
    folder = tmp_path_factory.mktemp("native")
    return lambda name: Library(name, folder)


# --- strings ---


@pytest.fixture(scope="session")
def string(native: Callable[[str], Library]) -> Library:
    """core/string.c."""
    return native("string")


texts = st.binary(max_size=80).map(lambda b: b.replace(b"\0", b"\1"))


@quick
@given(data=st.binary(min_size=1, max_size=300), spans=st.tuples(*[st.integers(0, 300)] * 3))
def test_moving_bytes(string: Library, data: bytes, spans: tuple[int, int, int]) -> None:
    """memmove by any overlap, memcpy by none, memset: as Python's slices."""
    size = len(data)
    to, source, n = (each % size for each in spans)
    n = min(n, size - max(to, source))
    buffer = ctypes.create_string_buffer(data, size)
    at = ctypes.addressof(buffer)
    expected = bytearray(data)
    expected[to : to + n] = data[source : source + n]
    assert string("move", PTR, PTR, PTR, U64)(at + to, at + source, n) == at + to
    assert buffer.raw == bytes(expected)
    other = ctypes.create_string_buffer(size)
    assert string("copy", PTR, PTR, PTR, U64)(other, at, size) == ctypes.addressof(other)
    assert other.raw == bytes(expected)
    string("set", PTR, PTR, INT, U64)(at + to, 0x1A5, n)
    expected[to : to + n] = b"\xa5" * n
    assert buffer.raw == bytes(expected)


@quick
@given(a=texts, b=texts, common=texts)
def test_comparing(string: Library, a: bytes, b: bytes, common: bytes) -> None:
    """memcmp, strcmp and strlen, bytes unsigned."""

    def sign(x: int) -> int:
        return (x > 0) - (x < 0)

    a, b = common + a, common + b
    expected = (a > b) - (a < b)
    assert sign(string("compare_strings", INT, ctypes.c_char_p, ctypes.c_char_p)(a, b)) == expected
    assert string("length", U64, ctypes.c_char_p)(a) == len(a)
    n = min(len(a), len(b))
    expected = (a[:n] > b[:n]) - (a[:n] < b[:n])
    compare = string("compare", INT, ctypes.c_char_p, ctypes.c_char_p, U64)
    assert sign(compare(a, b, n)) == expected
    assert compare(a, b, 0) == 0


# --- random numbers ---


@pytest.fixture
def entropy(native: Callable[[str], Library]) -> Library:
    """parts/entropy, as at the start of a guest."""
    library = native("entropy")
    library("start", None)()
    return library


def _block(entropy: Library, key: bytes, counter: int, nonce: bytes = bytes(12)) -> bytes:
    out = ctypes.create_string_buffer(64)
    call = entropy("block", None, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_char_p, PTR)
    call(key, counter, nonce, out)
    return out.raw


# RFC 8439, section 2.3.2 and appendix A.1: key, counter, nonce, key stream.
RFC_8439 = [
    (
        bytes(range(32)),
        1,
        "000000090000004a00000000",
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
    ),
    (
        bytes(32),
        0,
        "000000000000000000000000",
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
    ),
    (
        bytes(32),
        1,
        "000000000000000000000000",
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
    ),
    (
        bytes(31) + b"\1",
        1,
        "000000000000000000000000",
        "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
        "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
    ),
    (
        b"\0\xff" + bytes(30),
        2,
        "000000000000000000000000",
        "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
        "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096",
    ),
    (
        bytes(32),
        0,
        "000000000000000000000002",
        "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
        "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d",
    ),
]


@pytest.mark.parametrize("vector", RFC_8439)
def test_chacha20(entropy: Library, vector: tuple[bytes, int, str, str]) -> None:
    """The block function of RFC 8439."""
    key, counter, nonce, stream = vector
    assert _block(entropy, key, counter, bytes.fromhex(nonce)).hex() == stream


def _stream(entropy: Library, size: int) -> bytes:
    """Fast key erasure: of every 512 bytes the first 32 are the next key."""
    key, out, since, seeds = bytes(32), b"", 1 << 20, 0
    while len(out) < size:
        if since >= 1 << 20:
            seeds += 1
            key, since = bytes(a ^ seeds for a in key), 0
        pool = b"".join(_block(entropy, key, counter) for counter in range(8))
        key, out, since = pool[:32], out + pool[32:], since + 480
    return out[:size]


def _random(entropy: Library, size: int, flags: int = 0) -> bytes:
    out = ctypes.create_string_buffer(size + 1)
    assert entropy("get_random", S64, PTR, U64, S64)(out, size, flags) == size
    assert out.raw[size] == 0
    return out.raw[:size]


@quick
@given(sizes=st.lists(st.integers(0, 1500), max_size=8))
def test_random_stream(entropy: Library, sizes: list[int]) -> None:
    """The generator gives its key stream, however it is asked, and keeps none of it."""
    entropy("start", None)()
    given_out = b"".join(_random(entropy, size) for size in sizes)
    assert given_out == _stream(entropy, len(given_out))
    state = ctypes.create_string_buffer(1024)
    kept = state.raw[: entropy("state", U64, PTR)(state)]
    assert len(kept) == 32 + 512
    assert not any(given_out[at : at + 16] in kept for at in range(0, len(given_out) - 15, 16))


def test_random_reseeds(entropy: Library) -> None:
    """The host is asked again after a mebibyte."""
    assert _random(entropy, 3 << 20) == _stream(entropy, 3 << 20)
    assert entropy("seeded_times", INT)() == 3
    call = entropy("get_random", S64, PTR, U64, S64)
    assert [call(None, 0, flags) for flags in (1, 2, 4, 6, 8)] == [0, 0, 0, -EINVAL, -EINVAL]


# --- memory ---


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
        self.count = (memory("end", U64)() - self.low) // PAGE
        self._free = memory("free_count", U64)
        self._map = memory("map", S64, S64, S64, S64)
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
        if not self._inside(first, count):
            assert got == (-EEXIST if flags == NOREPLACE and first == -1 else -ENOMEM)
        elif there and flags == NOREPLACE:
            assert got == -EEXIST
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
        old = [self.pages.get(page, 0) for page in range(first, first + have)]
        if got < 0:
            blocked = any(page in self.pages for page in range(first + have, first + want))
            blocked |= not self._inside(first, want)
            if max(have, want) > self.count + 1:  # the arena and its bitmap
                assert got == -ENOMEM
            elif flags & FIXED_REMAP and all(old):
                overlap = first < target + want and target < first + have
                assert overlap or not self._inside(target, want)
                assert got == (-EINVAL if overlap else -ENOMEM)
            elif all(old):
                assert got == -ENOMEM and blocked
                assert not flags & MAYMOVE or not self._has_room(want)
            else:
                assert got == -EFAULT
            return
        assert all(old)
        to = (got - self.low) // PAGE
        assert self._inside(to, want)
        assert to == target if flags & FIXED_REMAP else to == first or flags & MAYMOVE
        if flags & FIXED_REMAP:
            for page in range(to, to + want):
                self.pages.pop(page, None)
        for page in range(first, first + have):
            del self.pages[page]
        for page, mark in enumerate(old[:want], to):
            assert page not in self.pages
            self.pages[page] = mark
        self._fill(to + have, max(want - have, 0))

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
        assert memory("map", S64, U64, U64, S64)(at, length, flags) in (-EINVAL, -ENOMEM)
    remap = memory("remap", S64, U64, U64, U64, S64, U64)
    for flags in (0, MAYMOVE, MAYMOVE | FIXED_REMAP):
        assert remap(at, length, PAGE, flags, at) in (-EINVAL, -ENOMEM, -EFAULT)
        assert remap(at, PAGE, length, flags, at) in (-EINVAL, -ENOMEM, -EFAULT)
    program.check()
    assert memory("unmap", S64, U64, U64)(at, 0) == -EINVAL


def test_pages_of_the_library_os(memory: Library) -> None:
    """What the library OS took, the program can neither unmap nor map over."""
    program = Memory(memory)
    at = memory("take_pages", U64, U64)(2)
    first = (at - program.low) // PAGE
    assert program._unmap(program.low, program.count * PAGE) == 0
    assert program._free() == program.count - 2
    for flags, error in ((FIXED, -ENOMEM), (NOREPLACE, -EEXIST)):
        assert program._map(at - PAGE, 2 * PAGE, PRIVATE | flags) == error
    assert program._remap(at, PAGE, 2 * PAGE, MAYMOVE, 0) == -EFAULT
    assert program._map(program.low, (first + 1) * PAGE, PRIVATE | FIXED) == -ENOMEM
    assert program._free() == program.count - 2


# --- clocks ---


@pytest.fixture(scope="session")
def clock(native: Callable[[str], Library]) -> Library:
    """parts/clock."""
    return native("clock")


SECOND = 10**9
U64_MAX = (1 << 64) - 1
start_arguments = (None, U64, U64, U64)
u64s = st.one_of(st.integers(0, U64_MAX), st.integers(0, 64).map(lambda n: (1 << n) - 1))


@settings(quick, max_examples=500)
@given(nanoseconds=u64s, elapsed=u64s, tick=u64s)
def test_rate(clock: Library, nanoseconds: int, elapsed: int, tick: int) -> None:
    """A rate is exact to 32 binary places, or refused; no division can overflow."""
    rate = clock("rate", U64, U64, U64)(nanoseconds, elapsed)
    exact = (nanoseconds << 32) // elapsed if elapsed else 0
    assert rate == (exact if exact < 1 << 64 else 0)
    if rate:
        most = clock("renewed_after", U64)()
        assert most == (SECOND << 32) // rate
        count = tick % (most + 1)
        ns = clock("in_nanoseconds", U64, U64)(count)
        assert ns == count * rate >> 32 <= SECOND
        assert ns <= clock("in_nanoseconds", U64, U64)(count + 1)


@pytest.mark.parametrize("khz", [1, 1000, 1_000_000, 2_999_999, 6_000_001, 10**9])
def test_rates_of_processors(clock: Library, khz: int) -> None:
    """A second is a second, to a few nanoseconds, at every rate there is."""
    clock("rate", U64, U64, U64)(1_000_000, khz)
    ticks = min(khz * 1000, clock("renewed_after", U64)())
    assert abs(clock("in_nanoseconds", U64, U64)(ticks) - ticks * 10**6 // khz) <= 1 + (ticks >> 32)


answers = st.lists(st.tuples(st.integers(0, 1 << 62), u64s), max_size=20)


@quick
@given(khz=st.sampled_from([0, 1, 2_400_000, 5_000_000, U64_MAX]), answers=answers)
def test_time_never_runs_back(clock: Library, khz: int, answers: list[tuple[int, int]]) -> None:
    """Whatever the host and the TSC do."""
    clock("start", *start_arguments)(khz, 5 * SECOND, 9 * SECOND)
    last = 0
    for host, elapsed in answers:
        clock("host_is", None, U64, U64)(host, host + 7)
        now = clock("after", U64, U64)(elapsed)
        assert now >= last
        last = now


def test_host_is_asked_once_a_second(clock: Library) -> None:
    """Between answers the TSC counts; after a second's worth of it the host is asked."""
    clock("start", *start_arguments)(2_000_000, 5 * SECOND, 1000 * SECOND)
    after, asked = clock("after", U64, U64), clock("times_asked", U64)
    assert after(0) == 5 * SECOND
    half = after(1_000_000_000)
    assert 0 <= half - 5 * SECOND - SECOND // 2 < 10**7
    assert asked() == 1
    assert 0 <= clock("realtime", U64)() - (995 * SECOND + half) < 10**7
    clock("host_is", None, U64, U64)(8 * SECOND, 1003 * SECOND)
    assert (after(2_100_000_000), asked()) == (8 * SECOND, 2)
    assert (after(-SECOND), asked()) == (8 * SECOND, 3)  # the TSC of another processor is behind


REALTIME, MONOTONIC, ABSOLUTE = 0, 1, 1


@pytest.mark.parametrize(
    ("which", "flags", "seconds", "until"),
    [
        (MONOTONIC, 0, 3, 8),
        (MONOTONIC, ABSOLUTE, 30, 30),
        (MONOTONIC, ABSOLUTE, 2, 5),
        (REALTIME, ABSOLUTE, 1010, 15),
        (REALTIME, ABSOLUTE, 999, 5),
        (REALTIME, ABSOLUTE, 0, 5),
        (MONOTONIC, 0, 1 << 40, 1 << 31),
        (MONOTONIC, ABSOLUTE, (1 << 63) - 1, 1 << 31),
        (REALTIME, ABSOLUTE, (1 << 63) - 1, 1 << 31),
    ],
)
def test_sleep(clock: Library, which: int, flags: int, seconds: int, until: int) -> None:
    """Sleep ends when it should: what is past at once, what is absurdly far some time."""
    clock("start", *start_arguments)(2_000_000, 5 * SECOND, 1000 * SECOND)
    assert clock("sleep", S64, S64, S64, S64, S64)(which, flags, seconds, 0) == 0
    assert clock("longest_wait", S64)() >= 0
    now = clock("after", U64, U64)(0)
    assert now >= until * SECOND
    assert now < until * SECOND + 10**7 or seconds >= 1 << 40


def test_sleep_refuses(clock: Library) -> None:
    """What Linux calls invalid is."""
    sleep = clock("sleep", S64, S64, S64, S64, S64)
    for seconds, nanoseconds in ((-1, 0), (0, -1), (0, SECOND)):
        assert sleep(MONOTONIC, 0, seconds, nanoseconds) == -EINVAL
    assert sleep(99, 0, 0, 0) == -EINVAL
