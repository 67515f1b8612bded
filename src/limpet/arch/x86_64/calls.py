"""Which code of a program leads to which: its calls and jumps, decoded where somebody asks.

A *block* here is a run of code from one known start to the next: a symbol, the target of a call, or
an address that the file names behind code that does not run on.  So a case of a ``switch`` is a
block of its own, which nothing calls.  A *function* is a run of blocks of which the first is
called or has a symbol.  :meth:`Calls.distances` takes all bytes that look like a branch for one:
cheap, and never too little.  :meth:`Calls.way` decodes, and follows direct branches alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush

from capstone import CS_ARCH_X86, CS_MODE_64, Cs

from limpet.arch.x86_64.registers import LEAVES
from limpet.arch.x86_64.sites import Branches
from limpet.arch.x86_64.sweep import Decoded, in_full, instructions
from limpet.formats.image import Image, Segment

_decoder = Cs(CS_ARCH_X86, CS_MODE_64)
_CALL = 0xE8
_SHORT_JUMPS = frozenset((*range(0x70, 0x80), 0xEB))
_LONG_NOPS = (
    rb"\x0f\x1f\0",
    rb"\x0f\x1f@\0",
    rb"\x0f\x1fD\0\0",
    rb"\x0f\x1f\x80\0\0\0\0",
    rb"\x0f\x1f\x84\0\0\0\0\0",
)
_ENDS = (
    *(rb"[\xc3\x90\xcc\xf4]", rb"\x0f\x0b", rb"\xe9....", rb"\xeb.", *_LONG_NOPS),
    *(rb"\xff[\xe0-\xe7\x20-\x23]", rb"\xff[\x60-\x67].", rb"\xff\x24.", rb"\xff\x24....."),
)
_BEGINS = re.compile(
    b"|".join((rb"\xf3\x0f\x1e\xfa", *(b"(?<=%s)" % each for each in _ENDS))), re.DOTALL
)
"""Where a block can begin: with an ENDBR64, or behind the end of another, or behind padding."""

_PADDING = re.compile(b"|".join((rb"\x66?\x90|\xcc", *_LONG_NOPS)), re.DOTALL)
_LOADED = re.compile(r"(?:rip ([+-]) |, )(0x[0-9a-f]+)\]?\Z")
_CHUNK = 128
"""Bytes that are decoded at a time: most blocks are shorter."""

_DISTANCES = int.from_bytes(bytes((*range(127, -1, -1), *range(255, 127, -1))), "little")
"""What the second bytes of jumps from 128 bytes around a place are that lead there."""

_MAX_BLOCK = 1 << 16
_MAX_EFFORT = 150_000
"""Instructions that are looked at for one image: a program may be made to be slow to read."""


@dataclass(frozen=True)
class Body:
    """A decoded block.

    ``code`` has its instructions by address, ``order`` those addresses ascending, ``steps`` where
    those that leave it lead, ``jumps`` one source of each target inside.
    """

    code: Mapping[int, Decoded]
    order: Sequence[int]
    steps: Mapping[int, int]
    jumps: Mapping[int, int]


@dataclass(frozen=True)
class _Code(Mapping[int, Decoded]):
    """The instructions of a block; of most only is asked for which there are."""

    known: Mapping[int, Decoded]
    image: Image

    def __getitem__(self, at: int) -> Decoded:
        each = self.known[at]
        if each[2]:
            return each
        data, low = next((s.data, s.address) for s in self.image.executable if _has(s, at))
        return in_full(data[at - low : at - low + each[1]], at)

    def __contains__(self, at: object) -> bool:
        return at in self.known

    def __iter__(self) -> Iterator[int]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)


def _has(segment: Segment, at: int) -> bool:
    return 0 <= at - segment.address < len(segment.data)


_NOTHING = Body({}, (), {}, {})


@dataclass
class Calls:
    """The call graph of an image, computed as it is asked for.

    ``also`` are addresses where functions are known to start, whatever stands before them;
    ``effort`` counts the instructions that were looked at; beyond a bound nothing is found.
    """

    image: Image
    branches: Branches
    also: tuple[int, ...] = ()
    effort: int = 0
    _bodies: dict[int, Body] = field(default_factory=dict)
    _callers: dict[int, Sequence[int]] = field(default_factory=dict)
    _calling: dict[int, Collection[int]] = field(default_factory=dict)
    _function: dict[int, int] = field(default_factory=dict)
    _begun: dict[int, bool] = field(default_factory=dict)

    @cached_property
    def functions(self) -> list[int]:
        """Where functions start, ascending."""
        found = {self.image.entry, *self.also, *(each.address for each in self.image.symbols)}
        for segment in self.image.executable:
            data, low = segment.data, segment.address
            inside = range(low, low + len(data))
            for target, sources in self.branches.near.items():
                if target not in inside:
                    continue
                if target % 16 == 0 or self._begins(data, target - low, target):
                    for each in sources:
                        if each in inside and data[each - low] == _CALL:
                            found.add(target)
                            break
        return sorted(found)

    @cached_property
    def named(self) -> set[int]:
        """Blocks that something in the file names, so that they can be reached indirectly."""
        found = set()
        for segment in self.image.executable:
            data, low = segment.data, segment.address
            for target in self.branches.pointed:
                if 0 <= target - low < len(data) and self._begins(data, target - low, target):
                    found.add(target)
        return found

    @cached_property
    def tails(self) -> dict[int, list[int]]:
        """Places inside of functions that others may jump to: the sources of each."""
        found: dict[int, list[int]] = {}
        starts = self.functions
        for segment in self.image.executable:
            data, low = segment.data, segment.address
            inside = range(low, low + len(data))
            for target, sources in self.branches.near.items():
                if target not in inside or not self._begins(data, target - low, target):
                    continue
                index = bisect_right(starts, target)
                if not index or starts[index - 1] == target:
                    continue
                start = starts[index - 1]
                end = starts[index] if index < len(starts) else 1 << 64
                jumps = [
                    each
                    for each in sources
                    if not start <= each < end and each in inside and data[each - low] != _CALL
                ]
                if jumps:
                    found[target] = jumps
        return found

    def _begins(self, data: bytes, at: int, address: int) -> bool:
        """Whether a block can begin at ``address``, which is offset ``at`` of ``data``."""
        if address not in self._begun:
            self._begun[address] = not at or _BEGINS.match(data, at) is not None
        return self._begun[address]

    @cached_property
    def blocks(self) -> list[int]:
        """Where blocks start, ascending."""
        return sorted(self.named.union(self.functions, self.tails))

    def block(self, address: int) -> int:
        """The start of the block that ``address`` is in."""
        return _last(self.blocks, address)

    def function(self, address: int) -> int:
        """The start of the function that ``address`` is in."""
        if address not in self._function:
            self._function[address] = _last(self.functions, address)
        return self._function[address]

    def callers(self, start: int) -> Sequence[int]:
        """The instructions that may call or jump to the block at ``start``."""
        if start not in self._callers:
            near = self.branches.near.get(start, ())
            self._callers[start] = (*near, *self._neighbours(start))
        return self._callers[start]

    def _neighbours(self, start: int) -> Iterator[int]:
        """What may reach ``start`` by a jump of two bytes, whose second is the distance."""
        for segment in self.image.executable:
            data, at = segment.data, start - segment.address
            if 128 <= at <= len(data) - 128:
                around = int.from_bytes(data[at - 128 : at + 128], "little") ^ _DISTANCES
                fits = around.to_bytes(256, "little")
                index = fits.find(0)
                while index >= 0:
                    jump = at - 128 + index - 1
                    if data[jump] in _SHORT_JUMPS:
                        yield segment.address + jump
                    index = fits.find(0, index + 1)

    @cached_property
    def _into(self) -> dict[int, list[int]]:
        """The sources of tail jumps by the function that they lead into."""
        found: dict[int, list[int]] = {}
        for target, sources in self.tails.items():
            found.setdefault(self.function(target), []).extend(sources)
        return found

    def distances(self, addresses: Iterable[int]) -> dict[int, int]:
        """Every function that may lead to one of ``addresses`` by direct branches, and how near.

        It is the least number of branches between functions: 0 for those that hold an address.
        """
        found = dict.fromkeys((self.function(each) for each in addresses), 0)
        work = deque(found)
        while work:
            start = work.popleft()
            for caller in self._calling_functions(start):
                if caller not in found:
                    found[caller] = found[start] + 1
                    work.append(caller)
        return found

    def _calling_functions(self, start: int) -> Collection[int]:
        """The functions that may call or jump into the one at ``start``."""
        if start not in self._calling:
            sources = (*self.callers(start), *self._into.get(start, ()))
            starts = self.functions
            self._calling[start] = {
                starts[behind - 1] if (behind := bisect_right(starts, each)) else each
                for each in sources
            }
        return self._calling[start]

    def is_named(self, addresses: Iterable[int]) -> bool:
        """Whether a block that may lead to one of ``addresses`` can be reached indirectly."""
        found: set[int] = set()
        work = [self.block(each) for each in addresses]
        while work:
            start = work.pop()
            if start in self.named:
                return True
            if start not in found:
                found.add(start)
                work += [self.block(source) for source in self.callers(start)]
        return False

    def body(self, start: int) -> Body:
        """The block from ``start`` on, decoded along its direct branches."""
        if start not in self._bodies:
            self._bodies[start] = _NOTHING if self.effort > _MAX_EFFORT else self._decode(start)
        return self._bodies[start]

    def _decode(self, start: int) -> Body:
        index = bisect_right(self.blocks, start)
        low = self.blocks[index - 1] if index else start
        high = min((start + _MAX_BLOCK, *self.blocks[index : index + 1]))
        swept: dict[int, Decoded] = {}
        code: dict[int, Decoded] = {}
        steps: dict[int, int] = {}
        jumps: dict[int, int] = {}
        work = [start]
        while work:
            at = work.pop()
            while at < high and at not in code:
                if at not in swept:
                    self._sweep(at, min(high, at + _CHUNK), swept)
                    if at not in swept:
                        break  # no instruction
                here, code[at] = at, (each := swept[at])
                at += each[1]
                if not each[2]:
                    continue
                mnemonic = each[2].split()[-1]  # without notrack and the like
                target = leads_to(each)
                if target is not None:
                    if mnemonic[0] == "j" and low <= target < high:
                        work.append(target)
                        jumps[target] = here
                    else:
                        steps[here] = target
                if mnemonic in LEAVES or (mnemonic == "call" and self._ends(at)):
                    break
        self.effort += len(code)
        return Body(_Code(code, self.image), sorted(code), steps, jumps)

    def _ends(self, at: int) -> bool:
        """Whether padding stands at ``at``: the call before it does not return."""
        for segment in self.image.executable:
            offset = at - segment.address
            if 0 <= offset < len(segment.data):
                return _PADDING.match(segment.data, offset) is not None
        return True

    def _sweep(self, at: int, high: int, into: dict[int, Decoded]) -> None:
        """Decode straight from ``at`` on, as far as it goes."""
        for segment in self.image.executable:
            offset = at - segment.address
            if 0 <= offset < len(segment.data):
                code = segment.data[offset : offset + high - at]
                for each in instructions(code, at):
                    if each[0] in into:
                        break
                    into[each[0]] = each

    def given(self, start: int) -> Iterator[int]:
        """The blocks whose addresses the one at ``start`` loads: it may hand them on."""
        for each in self.body(start).code.values():
            value = loaded(each)
            if value in self.named:
                yield value

    def way(
        self, roots: Iterable[int], addresses: Collection[int], limit: int
    ) -> tuple[tuple[int, ...], int] | None:
        """The shortest way by direct branches from ``roots`` to one of ``addresses``.

        Returns the places where code goes on, from a root on, and the address; ``None`` when
        there is no way of ``limit`` calls at most.
        """
        near, wanted = self.distances(addresses), set(addresses)
        known: dict[int, int] = {}  # where it came from
        queue = [(near[f], root, 0, 0) for root in roots if (f := self.function(root)) in near]
        heapify(queue)
        while queue:
            _, start, done, before = heappop(queue)
            if start in known:
                continue
            known[start] = before
            body = self.body(start)
            if here := [each for each in wanted if each in body.code]:
                return _chain(known, start), min(here)
            for target in body.steps.values():
                function = self.function(target)
                calls = done + (function != self.function(start))
                if target not in known and calls + near.get(function, limit) <= limit:
                    heappush(queue, (calls + near[function], target, calls, start))
        return None


def _chain(known: Mapping[int, int], start: int) -> tuple[int, ...]:
    chain = [start]
    while known[chain[-1]]:
        chain.append(known[chain[-1]])
    return tuple(reversed(chain))


def straight(image: Image, at: int) -> Iterator[Decoded]:
    """The instructions from ``at`` on, until one that code does not run on behind."""
    for segment in image.executable:
        offset = at - segment.address
        if 0 <= offset < len(segment.data):
            for each in _decoder.disasm_lite(segment.data[offset : offset + _CHUNK], at):
                yield each
                if each[2].split()[-1] in LEAVES:
                    return


def _last(starts: list[int], address: int) -> int:
    index = bisect_right(starts, address)
    return starts[index - 1] if index else address


def leads_to(each: Decoded) -> int | None:
    """Where a direct call or jump leads, ``None`` for anything else."""
    _, _, mnemonic, operands = each
    if (mnemonic[0] == "j" or mnemonic == "call") and operands.startswith("0x"):
        return int(operands, 16)
    return None


def loaded(each: Decoded) -> int | None:
    """The address that an instruction loads or uses, or its last immediate operand."""
    address, size, _, operands = each
    match = _LOADED.search(operands)
    if not match:
        return None
    value = int(match[2], 16)
    if match[1]:
        return address + size + (value if match[1] == "+" else -value)
    return value
