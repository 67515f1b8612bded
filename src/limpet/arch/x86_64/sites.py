"""Where a program makes system calls, and which: its SYSCALL instructions and their numbers.

Every ``0F 05`` in the code is a candidate.  It is a *site* when decoding from many places before
it lands on it (x86 decoding falls into step within a few instructions), or from one that something
in the file can jump to; otherwise the two bytes are part of something else and *hidden*.  A number
counts as known only when no branch, jump table or pointer found in the file can enter between the
instruction that sets EAX and the SYSCALL.  What is not known widens the set of system calls that
are served; it is never guessed.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from limpet.arch.x86_64.flow import Code
from limpet.arch.x86_64.pointers import immediates, near, tables, words
from limpet.arch.x86_64.registers import (
    LEAVES,
    WRITES_FIRST,
    WRITES_NONE,
    register_of,
    value_left,
)
from limpet.arch.x86_64.sweep import step_by_step
from limpet.errors import ImageError
from limpet.formats.image import Access, Image, Segment
from limpet.formats.unwind import bytes_at

SYSCALL = b"\x0f\x05"
_LOOK_BACK, _LOOK_AHEAD = 160, 48
_REACH = 512
_STREAMS = 24
_FEW_STREAMS = 8
_CLOSE = 40
_AGREEMENT = 0.9

_REL8 = re.compile(rb"[\x70-\x7f\xeb\xe0-\xe3](?=(.))", re.DOTALL)
_LEA = re.compile(rb"\x8d(?=[\x05\x0d\x15\x1d\x25\x2d\x35\x3d](....))", re.DOTALL)

_MOST_FOUND, _MOST_DECODED = 8_000, 12_000_000
"""Places that may be a system call, and instructions looked at for them, in one program: far more
than programs have.  A guest may be made to keep its reader busy."""


class Instruction(NamedTuple):
    """A decoded instruction."""

    address: int
    code: bytes
    mnemonic: str
    operands: str

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + len(self.code)


@dataclass(frozen=True)
class Site:
    """A SYSCALL instruction.

    ``numbers`` are the system calls it can make, empty when that only shows at run time, and
    ``arguments`` likewise the values of theirs;
    ``before`` and ``after`` are its neighbours as far as decoding is certain.  ``reached`` is
    whether code leads to it from a place that the file names: else the bytes may be data.
    """

    address: int
    numbers: frozenset[int]
    evidence: str
    before: tuple[Instruction, ...]
    after: tuple[Instruction, ...]
    reached: bool
    arguments: tuple[frozenset[int], ...] = (frozenset(),) * 6

    def moved(self, base: int) -> Site:
        """This site with every address ``base`` higher."""

        def shift(each: Instruction) -> Instruction:
            return Instruction(each.address + base, each.code, each.mnemonic, each.operands)

        return replace(
            self,
            address=self.address + base,
            before=tuple(shift(each) for each in self.before),
            after=tuple(shift(each) for each in self.after),
        )


@dataclass(frozen=True)
class Branches:
    """What may lead where in a whole file, false ones included; found when somebody asks."""

    finder: Finder | None = None

    @property
    def near(self) -> Mapping[int, Sequence[int]]:
        """The sources of near branches by target."""
        return self.finder.near_branches if self.finder else {}

    @property
    def pointed(self) -> Set[int]:
        """The addresses that a pointer, an immediate, a LEA or a jump table can name."""
        return self.finder.pointed if self.finder else frozenset()


@dataclass(frozen=True)
class Scan:
    """All sites of a program, and every address near them that something in it can jump to.

    ``branches`` is about the program where its file places it: a scan that was moved has none.
    """

    sites: tuple[Site, ...]
    hidden: int
    targets: frozenset[int]
    branches: Branches = field(default_factory=Branches, repr=False, compare=False)

    @property
    def unresolved(self) -> tuple[Site, ...]:
        """Sites whose number only shows at run time."""
        return tuple(site for site in self.sites if not site.numbers)

    def moved(self, base: int) -> Scan:
        """This scan with every address ``base`` higher."""
        return Scan(
            tuple(site.moved(base) for site in self.sites),
            self.hidden,
            frozenset(target + base for target in self.targets),
        )


def scan(image: Image) -> Scan:
    """Find the system call sites of ``image``.

    Raises:
        ImageError: that would take absurdly long.
    """
    return Finder(image).scan()


@dataclass
class Finder:
    """What is known of an image's code, computed as it is asked for.

    ``exact`` knows functions, in which nothing has to be guessed.
    """

    image: Image
    exact: Code | None = None
    _boundaries: dict[int, bool] = field(default_factory=dict)
    _targets: dict[int, set[int]] = field(default_factory=dict)
    _left: int = _MOST_DECODED

    def scan(self) -> Scan:
        """All sites.

        Raises:
            ImageError: that would take absurdly long.
        """
        if candidates(self.image) > _MOST_FOUND:
            raise self.absurd
        sites, hidden = [], 0
        for segment in self.image.executable:
            at = segment.data.find(SYSCALL)
            while at >= 0:
                site = self.site(segment, at)
                if site:
                    sites.append(site)
                else:
                    hidden += 1
                at = segment.data.find(SYSCALL, at + 1)
        near: set[int] = set()
        for site in sites:
            near |= self.targets_around(site.address)
        if (
            exact := self.exact
        ):  # what only looked so, around a site where that is all that is known
            near = {t for t in near if t in exact.branched_to or not exact.is_exact(t)}
        return Scan(tuple(sites), hidden, frozenset(near), Branches(self))

    @property
    def absurd(self) -> ImageError:
        """What is wrong with code that keeps its reader busy."""
        return ImageError(
            f"{self.image.name}: its code has an absurd number of system calls, or ways to them",
            hint="no compiler makes such code: do not trust where it came from",
        )

    def _spend(self, instructions: int) -> None:
        self._left -= instructions
        if self._left < 0:
            raise self.absurd

    @cached_property
    def named(self) -> set[int]:
        """Addresses that a symbol, a pointer, an immediate, a LEA or a jump table can name."""
        return {self.image.entry, *(each.address for each in self.image.symbols)} | self.pointed

    @cached_property
    def pointed(self) -> set[int]:
        """Addresses that a pointer, an immediate, a LEA or a jump table can name."""
        found: set[int] = set()
        bases: set[int] = set()
        low = min(each.address for each in self.image.executable)
        high = max(each.end for each in self.image.executable)
        for segment in self.image.executable:
            for match in _LEA.finditer(segment.data):
                (offset,) = struct.unpack("<i", match[1])
                bases.add(segment.address + match.start() + 6 + offset)
            if self.image.fixed:  # else code has no addresses but relative ones
                found |= immediates(segment.data, low, high)
        for segment in self.image.segments:
            found |= tables(segment, bases, low, high)  # linkers may lay constants beside code
            if Access.EXECUTE not in segment.access or not self.image.fixed:
                found |= words(segment.data, low, high)
        return found | bases

    @cached_property
    def near_branches(self) -> dict[int, list[int]]:
        """Sources of near branches by target in code, wherever the bytes of one stand."""
        return near(self.image.executable)

    def targets_around(self, address: int) -> set[int]:
        """Everything near a site that something in the file can jump to.

        Bytes that only look like a branch are told apart close to the site; farther off, where
        only padding is of interest, all of them count.
        """
        if address in self._targets:
            return self._targets[address]
        if self.exact and self.exact.is_exact(address):
            around = range(address - _LOOK_BACK, address + _LOOK_BACK)
            self._targets[address] = self.exact.branched_to.intersection(around)
            return self._targets[address]
        segment = next(s for s in self.image.executable if s.address <= address < s.end)
        around = range(address - _LOOK_BACK, address + _LOOK_BACK)
        found = self.named.intersection(around)
        branches = [(s, target) for target in around for s in self.near_branches.get(target, ())]
        start = max(0, address - segment.address - 2 * _LOOK_BACK)
        stop = address - segment.address + 2 * _LOOK_BACK
        for match in _REL8.finditer(segment.data, start, stop):
            (offset,) = struct.unpack("<b", match[1])
            source = segment.address + match.start()
            branches.append((source, source + 2 + offset))
        doubtful = []
        for source, target in branches:
            if target in found or self._jumps(segment, source, target, address):
                found.add(target)
            else:
                doubtful.append((source, target))
        while more := {t for s, t in doubtful if self._reached(segment, s, found)} - found:
            found |= more
        self._targets[address] = found
        return found

    def _jumps(self, segment: Segment, source: int, target: int, site: int) -> bool:
        return abs(target - site) > _CLOSE or self._is_code(segment, source)

    def _is_code(self, segment: Segment, address: int) -> bool:
        """Whether an instruction may start at ``address``: in doubt, yes."""
        if address not in self._boundaries:
            at = address - segment.address
            inside = 0 <= at < len(segment.data)
            self._boundaries[address] = not inside or self._votes(segment, at) > 0.2
        return self._boundaries[address]

    def _reached(self, segment: Segment, address: int, near: set[int]) -> bool:
        """Whether code runs straight to ``address`` from a place that something can jump to."""
        passed: set[int] = set()  # and not come to it: decodings fall into step
        for place in range(address, max(segment.address, address - _REACH) - 1, -1):
            if not (place in near or place in self.named or place in self.near_branches):
                continue
            code = segment.data[place - segment.address : address - segment.address + 16]
            self._spend(len(code) // 4)
            for at, _, mnemonic, _ in step_by_step(code, place):
                if at == address:
                    return True
                if at > address or at in passed or mnemonic.split()[-1] in LEAVES:
                    break
                passed.add(at)
        return False

    def _votes(self, segment: Segment, at: int) -> float:
        """The share of decodings from before that land on offset ``at``; 1 when none gets there."""
        here = segment.address + at
        passing = self._streams(segment, at, 16, _FEW_STREAMS)
        landed = sum(any(each.address == here for each in stream) for stream in passing)
        return landed / len(passing) if passing else 1.0

    def _streams(
        self, segment: Segment, at: int, ahead: int, count: int
    ) -> list[list[Instruction]]:
        start = max(0, at - _LOOK_BACK)
        code = segment.data[start : at + ahead]
        base, streams = segment.address + start, []
        known: dict[int, Instruction] = {}  # decodings fall into step: most share their end
        for skip in range(min(count, at - start + 1)):
            self._spend(8)
            for address, size, m, o in step_by_step(code[skip:], base + skip):
                if address in known:
                    break
                known[address] = Instruction(address, code[address - base :][:size], m, o)
            stream, here = [], base + skip
            while here in known:
                stream.append(known[here])
                here = known[here].end
            if here > segment.address + at:  # not ended by bad bytes
                streams.append(stream)
        return streams

    def site(self, segment: Segment, at: int) -> Site | None:
        """The site at offset ``at``, or ``None`` when its bytes belong to something else."""
        address = segment.address + at
        exact = self.exact if self.exact and self.exact.is_exact(address) else None
        if exact and not exact.starts(address):
            return None
        reached = bool(exact) or self._reached(segment, address, self.targets_around(address))
        stream = self._exactly(exact, address) if exact else self.decode(segment, at)
        if stream is None:
            why = "what is before it cannot be decoded for certain"
            return Site(address, frozenset(), why, (), (), reached) if reached else None
        before = tuple(each for each in stream if each.address < address)
        after = tuple(each for each in stream if each.address > address)
        entry = max((t for t in self.targets_around(address) if t <= address), default=-1)
        values, evidence = _constant("a", before, entry)
        numbers = frozenset(each & 0xFFFFFFFF for each in values)  # Linux looks at EAX alone
        arguments = (_constant(name, before, entry)[0] for name in _ARGUMENTS)
        return Site(address, numbers, evidence, before, after, reached, tuple(arguments))

    def _exactly(self, exact: Code, address: int) -> list[Instruction]:
        return [
            Instruction(start, bytes_at(self.image, start, size), mnemonic, operands)
            for start, size, mnemonic, operands in exact.around(address, _LOOK_BACK, _LOOK_AHEAD)
        ]

    def decode(self, segment: Segment, at: int) -> list[Instruction] | None:
        """The instructions around offset ``at``, ``None`` when none certainly starts there."""
        here = segment.address + at
        passing = self._streams(segment, at, _LOOK_AHEAD, _STREAMS)
        votes = Counter(each.address for stream in passing for each in stream)
        if not passing or votes[here] < _AGREEMENT * len(passing):
            return None
        sure = [s for s in passing if any(each.address == here for each in s)]
        return _certain(max(sure, key=len), votes, len(passing), here)


def candidates(image: Image) -> int:
    """How many places may be system calls."""
    return sum(segment.data.count(SYSCALL) for segment in image.executable)


_ARGUMENTS = ("di", "si", "d", "r10", "r8", "r9")


def _certain(
    stream: list[Instruction], votes: Counter[int], streams: int, site: int
) -> list[Instruction]:
    """The run around ``site`` on which (nearly) all decodings agree."""
    index = next(i for i, each in enumerate(stream) if each.address == site)
    first = index
    while first > 0 and votes[stream[first - 1].address] >= _AGREEMENT * streams:
        first -= 1
    return stream[first:]


def _constant(
    register: str, before: tuple[Instruction, ...], entry: int
) -> tuple[frozenset[int], str]:
    """The values that a register has behind ``before``, which code comes into at ``entry``, and
    how that is known."""
    for each in reversed(before):
        if each.address < entry:
            return frozenset(), "a branch can enter between the number and the call"
        if each.mnemonic in WRITES_NONE:
            continue
        if not WRITES_FIRST.fullmatch(each.mnemonic):
            break
        if register_of(each.operands.split(",")[0].strip()) != register:
            continue
        source = value_left(each.mnemonic, each.operands)
        if isinstance(source, int):
            return frozenset({source}), f"{each.mnemonic} {each.operands} at {each.address:#x}"
        if source is None:
            break
        register = source
    return frozenset(), "the number is not a constant"
