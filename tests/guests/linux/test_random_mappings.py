"""Memory and files against the kernel: random mappings of files that are written meanwhile.

Files are mapped shared and privately, read, written, cut, grown, punched and emptied by name, by
descriptor and in memory, in every order; memory is looked at and set, beyond the end of a file and
of a mapping too.

Left out, since it differs on purpose:

- a second shared mapping of a page of a file, which may have the address of the first
- what a private mapping has of a page that is written in the file behind it
- that a file's times change when its memory is written
- shared memory without a file that grows: what is new of it is SIGBUS on Linux
- what is written to memory behind the end of a file, in its last page
- holes of a file that is mapped shared, which has none then
- memory that is not mapped any more, where other mappings may be on one side
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import strategies as st

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from tests.support.bundles import BACKENDS, Maker
from tests.support.same_calls import Pair, check_all

pytestmark = pytest.mark.slow

PAGE = 4096
NONE, READ, WRITE = 0, 1, 2
SHARED, PRIVATE, FIXED, ANONYMOUS, NO_RESERVE = 1, 2, 0x10, 0x20, 0x4000
WORK, STILL, READ_ONLY, FOLDER = 0, 1, 2, 3
"""Descriptors: a file to be written, one that is never written, one that cannot be, a folder."""

LOOK, SET = -1, -2
FAR = [1 << 31, 1 << 47, 1 << 62, (1 << 63) - 1, (1 << 63) - PAGE, -PAGE, -(1 << 63)]
ADVICE = [0, 1, 2, 3, 4, 4, 4, 4, 8, 14, 15, 16, 17, 99, -1]


class Story:
    """Calls by chance, with what of memory is there meanwhile."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.lines = [
            self._line("open", "sbig", 2),
            self._line("open", "s/calls", 0),
            self._line("open", "sbig", 0),
            self._line("open", "sd", 0),
        ]
        self._asked = 0
        self._alive: dict[int, int] = {}
        self._shared: int | None = None
        self._wrote = False
        self._fixed: set[int] = set()

    def make(self, steps: int) -> list[str]:
        """That many steps."""
        for _ in range(steps):
            self._step()
        return self.lines

    def _line(self, name: str | int, *given: int | str) -> str:
        number = name if isinstance(name, int) else NUMBERS[name]
        words = [each if isinstance(each, str) else f"i{each}" for each in given]
        return " ".join([str(number), *words])

    def _say(self, name: str | int, *given: int | str) -> None:
        self.lines.append(self._line(name, *given))

    def _pages(self, most: int = 20) -> int:
        return self._chance.choice([1, 1, 2, 3, self._chance.randint(1, most)]) * PAGE

    def _bytes(self) -> int:
        return self._chance.choice([1, 7, 100, PAGE, PAGE + 1, 3 * PAGE, 20000])

    def _at(self) -> int:
        return self._chance.choice([0, 5, PAGE - 1, PAGE, 9000, 16 * PAGE, 17 * PAGE, 69999, 70000])

    def _step(self) -> None:
        ways = [(8, self._in_file)]
        if self._shared is None:
            ways += [(6, self._map_shared)]
        ways += [(2, self._map_other), (1, self._map_wrongly), (1, self._forget)]
        if self._alive:
            ways += [(8, self._look), (8, self._set), (4, self._change), (1, self._unmap)]
        self._chance.choices([each for _, each in ways], [each for each, _ in ways])[0]()

    def _map(self, length: int, rights: int, flags: int, fd: int, offset: int) -> int:
        self._say("mmap", 0, length, rights, flags, fd, offset)
        self._asked += 1
        return self._asked - 1

    def _map_shared(self) -> None:
        length, offset = self._pages(), self._chance.choice([0, 0, PAGE, 4 * PAGE, 16 * PAGE])
        length -= self._chance.choice([0, 0, 1, PAGE - 1])
        rights = self._chance.choice([READ, READ | WRITE, READ | WRITE])
        slot = self._map(length, rights, SHARED, WORK, offset)
        self._alive[slot] = length
        self._shared = slot

    def _map_other(self) -> None:
        length = self._pages(6)
        rights = self._chance.choice([READ | WRITE, READ | WRITE, READ, NONE])
        kind = self._chance.choice([PRIVATE | ANONYMOUS, SHARED | ANONYMOUS, PRIVATE])
        kind |= self._chance.choice([0, 0, NO_RESERVE])
        fd = STILL if kind & ANONYMOUS == 0 else -1
        slot = self._map(length, rights, kind, fd, 0)
        self._alive[slot] = length
        if kind & SHARED:
            self._fixed.add(slot)

    def _map_wrongly(self) -> None:
        chance = self._chance
        self._map(
            chance.choice([0, 1, PAGE, PAGE, *FAR[1:]]),
            chance.choice([READ, READ | WRITE, WRITE]),
            chance.choice([0, SHARED | PRIVATE, 4, PRIVATE]),
            chance.choice([STILL, FOLDER, -1, 900 - 1, 1 << 32]),
            chance.choice([0, 1, PAGE - 1, *FAR]),
        )

    def _forget(self) -> None:
        """What is written to a private page is given up: the file's bytes come back, or zeros."""
        length, at = self._pages(4), self._chance.choice([0, 0, PAGE])
        kind = self._chance.choice([PRIVATE, PRIVATE, PRIVATE | ANONYMOUS, SHARED | ANONYMOUS])
        fd = -1 if kind & ANONYMOUS else STILL
        slot = self._map(length, READ | WRITE, kind, fd, 0 if fd < 0 else at)
        self._say(SET, f"m{slot},3", length - 3, 77)
        size = min(self._pages(2), length)
        self._say("madvise", f"m{slot},0", size, self._chance.choice([4, 4, 4, 8, 9]))
        self._say(LOOK, f"m{slot},0", length)
        self._say("mremap", f"m{slot},0", length, PAGE if kind & SHARED else 5 * PAGE, 1)
        self._say(LOOK, f"m{slot},0", PAGE if kind & SHARED else 5 * PAGE)

    def _slot(self) -> int:
        return self._chance.choice(sorted(self._alive))

    def _look(self) -> None:
        slot = self._slot()
        at = self._chance.choice([0, 0, 3, PAGE, PAGE - 2, self._alive[slot] - 1])
        at = at if at < self._alive[slot] else 0
        self._say(LOOK, f"m{slot},{at}", min(self._bytes(), self._alive[slot] - at))

    def _set(self) -> None:
        slot = self._slot()
        at = self._chance.choice([0, 9, PAGE, 2 * PAGE - 3])
        size = min(self._bytes(), max(self._alive[slot] - at, 1))
        if slot == self._shared:
            self._wrote = True
            self._say("ftruncate", WORK, self._chance.choice([3, 17, 18, 18, 20]) * PAGE)
        if at < self._alive[slot]:
            self._say(SET, f"m{slot},{at}", size, self._chance.randint(0, 255))

    def _in_file(self) -> None:
        chance, size, at = self._chance, self._bytes(), self._at()
        way = chance.choice(
            [
                ("pwrite64", WORK, "w", size, at),
                ("pwrite64", WORK, "w", size, at),
                ("pwritev", WORK, f"u{size},5", 2, at),
                ("write", WORK, "w", size),
                ("pread64", WORK, "r", size, at),
                ("pread64", READ_ONLY, "r", size, at),
                ("read", WORK, "r", size),
                ("lseek", WORK, at, 0),
                ("ftruncate", WORK, chance.choice([at, at, 70000, 0, 1, 80000])),
                ("truncate", "sbig", chance.choice([at, 70000])),
                ("fallocate", WORK, 3, at, size),
                ("fallocate", WORK, chance.choice([0, 1, 0x10]), at, size),
                ("copy_file_range", STILL, "O0", WORK, f"O{at}", 10, 0),
                ("sendfile", WORK, STILL, "O0", 10),
                ("fsync", WORK) if self._wrote else ("fstat", WORK, "S"),
                ("fsync", WORK),
            ]
        )
        self._wrote |= way[0] == "truncate"  # to the same size: what that is depends on the host
        self._say(*way)

    def _change(self) -> None:
        chance, slot = self._chance, self._slot()
        length = self._alive[slot]
        at = min(chance.choice([0, 0, PAGE, 2 * PAGE]), (length - 1) // PAGE * PAGE)
        more = chance.choice([PAGE, 2 * PAGE, length, length + 3, 5 * length, 0])
        which = chance.choice(
            ["msync", "madvise", "madvise", "mprotect", "mremap", "mremap", "odd"]
        )
        inside = min(more, max(length - at, 0))
        if which == "msync":
            self._say(which, f"m{slot},{at}", inside, chance.choice([0, 1, 2, 4, 5, 4, 8, -1]))
        elif which == "madvise":
            self._say(which, f"m{slot},{at}", inside, chance.choice(ADVICE))
        elif which == "mprotect":
            self._say(which, f"m{slot},{at}", inside, chance.choice([1, 3, 3, 3, 0]))
        elif which == "mremap" and slot != self._shared:
            new = min(self._pages(8), length if slot in self._fixed else 8 * PAGE)
            self._say(which, f"m{slot},0", length, new, 1)
            self._alive[slot] = new
        elif which == "odd":
            name = chance.choice(["msync", "madvise", "mprotect", "mremap"])
            last = [1] if name == "mremap" else []
            odd = chance.choice([f"m{slot},1", f"m{slot},{PAGE - 1}", "i8", "i-4096"])
            self._say(name, odd, chance.choice([PAGE, *FAR]), chance.choice([1, 4, 99]), *last)

    def _unmap(self) -> None:
        slot = self._slot()
        self._say("munmap", f"m{slot},0", self._alive.pop(slot))
        if slot == self._shared:
            self._shared = None


sequences = st.lists(st.integers(0, 1 << 32), min_size=1, max_size=4).map(
    lambda seeds: [Story(seed).make(40) for seed in seeds]
)
EXAMPLES = {"process": 40, "kvm": 8}


@pytest.mark.parametrize("backend", BACKENDS)
def test_same_as_the_kernel(make: Maker, backend: Backend, template: Path) -> None:
    """What is in memory and in files, faults, and the error of each argument."""
    pair = Pair(make, backend, template, features=("rights",))
    check_all(pair.compare, sequences, EXAMPLES[backend])
