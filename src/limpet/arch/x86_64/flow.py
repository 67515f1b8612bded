"""Which functions of a shared object lead to which, and never too little.

The functions are those of its tables for unwinding, decoded from their first byte to their last.
One leads to another by a branch, by taking its address, by a jump table, or by running on into it.
Every four bytes that would be a branch or an address taken if code were read from there count as
well, so that bytes which fall out of step lose nothing.  Code that is in no function counts as
reached, and so does a function that nothing leads to: how it is come to is not known.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from operator import itemgetter

from capstone import CS_ARCH_X86, CS_MODE_64, Cs

from limpet.arch.x86_64.pointers import offsets
from limpet.arch.x86_64.sweep import BRANCHES, Decoded, Swept, named_from_here, sweep
from limpet.errors import ImageError
from limpet.formats.image import Image, Segment
from limpet.formats.unwind import Function, bytes_at

_decoder = Cs(CS_ARCH_X86, CS_MODE_64)
_LEA = re.compile(rb"\x8d(?=[\x05\x0d\x15\x1d\x25\x2d\x35\x3d](....))", re.DOTALL)
_RELATIVE = rb"[\x05\x0d\x15\x1d\x25\x2d\x35\x3d](?=%s)"
_OFFSET = struct.Struct("<i")
_BEHIND = (0, 1, 2, 4)
"""Bytes that an instruction may have behind an address in it."""

MOST_TABLES = 1 << 20
"""Entries of jump tables that are looked at: a file may be made to have no end of them."""

Branches = Mapping[int, Sequence[int]]
"""The sources of near branches by target, ascending, wherever the bytes of one stand."""


@dataclass(frozen=True)
class Flow:
    """What leads where: ``leads`` has the indices of the functions that each one leads to.

    ``roots`` are those that count as reached whoever uses the object.
    """

    functions: tuple[Function, ...]
    leads: tuple[tuple[int, ...], ...]
    roots: frozenset[int]

    @cached_property
    def _starts(self) -> list[int]:
        return [each.start for each in self.functions]

    def at(self, address: int) -> int | None:
        """The index of the function that ``address`` is in."""
        return _at(self.functions, self._starts, address)

    def reached(self, addresses: Iterable[int]) -> set[int]:
        """The indices of all that can run when what is at ``addresses`` does."""
        work = [*self.roots, *(each for at in addresses if (each := self.at(at)) is not None)]
        found: set[int] = set()
        while work:
            index = work.pop()
            if index not in found:
                found.add(index)
                work += self.leads[index]
        return found


def _at(functions: Sequence[Function], starts: Sequence[int], address: int) -> int | None:
    index = bisect_right(starts, address) - 1
    return index if index >= 0 and address < functions[index].end else None


@dataclass
class Code:
    """The functions of an image, decoded as they are asked for.

    ``near`` are its branches wherever the bytes of one stand, ``pointed`` the addresses that its
    data, or whoever loads it, has.
    """

    image: Image
    functions: tuple[Function, ...]
    near: Branches
    pointed: frozenset[int]
    _decoded: dict[int, list[Decoded] | None] = field(default_factory=dict)
    _swept: dict[int, Swept | None] = field(default_factory=dict)

    @cached_property
    def _starts(self) -> list[int]:
        return [each.start for each in self.functions]

    def at(self, address: int) -> int | None:
        """The index of the function that ``address`` is in."""
        return _at(self.functions, self._starts, address)

    def decoded(self, index: int) -> list[Decoded] | None:
        """The instructions of a function, ``None`` where they do not fill it exactly."""
        if index not in self._decoded:
            start, end, code = self._bytes_of(index)
            found = list(_decoder.disasm_lite(code, start))
            whole = bool(found) and found[-1][0] + found[-1][1] == end
            self._decoded[index] = found if whole else None
        return self._decoded[index]

    def swept(self, index: int) -> Swept | None:
        """What the instructions of a function lead to, ``None`` where they do not fill it."""
        if index not in self._swept:
            start, _, code = self._bytes_of(index)
            self._swept[index] = sweep(code, start)
        return self._swept[index]

    def _bytes_of(self, index: int) -> tuple[int, int, bytes]:
        start, end, _ = self.functions[index]
        try:
            return start, end, bytes_at(self.image, start, end - start)
        except LookupError:
            return start, end, b""

    def in_code(self, address: int) -> bool:
        """Whether an executable segment has ``address``."""
        return any(address in each for each in self._ranges)

    @cached_property
    def _ranges(self) -> Sequence[range]:
        return [range(each.address, each.end) for each in self.image.executable]

    @cached_property
    def taken(self) -> dict[int, list[int]]:
        """Where each address is loaded, wherever the bytes of a LEA stand."""
        found: dict[int, list[int]] = {}
        for segment in self.image.executable:
            for match in _LEA.finditer(segment.data):
                (offset,) = struct.unpack("<i", match[1])
                source = segment.address + match.start()
                found.setdefault(source + 6 + offset, []).append(source)
        return found

    def uses(self, address: int) -> list[int]:
        """Where the bytes of an instruction stand that names ``address`` relative to itself."""
        wanted = {address - behind for behind in _BEHIND}
        found = []
        for segment in self.image.executable:
            data, start = segment.data, segment.address
            near = offsets(min(wanted) - segment.end - 5, address - start)
            for match in re.finditer(_RELATIVE % near, data, re.DOTALL):
                at = match.start()
                if start + at + 5 + _OFFSET.unpack_from(data, at + 1)[0] in wanted:
                    found.append(start + at)
        return found

    @cached_property
    def tables(self) -> dict[int, set[int]]:
        """The targets of what is a jump table, if a table of offsets begins where a LEA points."""
        bases = sorted(base for base in self.taken if not self.in_code(base))
        found: dict[int, set[int]] = {}
        left = MOST_TABLES
        for base, following in zip(bases, [*bases[1:], 1 << 64], strict=True):
            segment = next((s for s in self.image.segments if s.address <= base < s.end), None)
            targets = set(self._table(segment, base, following, left) if segment else ())
            left -= len(targets)
            if left < 0:
                raise ImageError(
                    f"{self.image.name}: its code has an absurd number of jump tables",
                    hint="no compiler makes such code: do not trust where it came from",
                )
            if targets:
                found[base] = targets
        return found

    def _table(self, segment: Segment, base: int, end: int, most: int) -> Iterator[int]:
        at = base - segment.address
        last = min(end - segment.address, len(segment.data) - 3, at + 4 * most + 4)
        while at < last:
            (offset,) = struct.unpack_from("<i", segment.data, at)
            if not self.in_code(base + offset):
                return
            yield base + offset
            at += 4

    def is_entered(self, address: int) -> bool:
        """Whether code comes to ``address`` otherwise than by a branch of the same function."""
        if address in self.pointed or address in self.taken or address in self._listed:
            return True
        sources = self.near.get(address)
        if not sources:
            return False
        index = self.at(address)
        if index is None:
            return any(self.at(source) is not None for source in sources)
        start, end, _ = self.functions[index]
        return sources[0] < start or end <= sources[-1]  # they are ascending

    @cached_property
    def _listed(self) -> set[int]:
        """What a jump table has."""
        return {target for each in self.tables.values() for target in each}

    @cached_property
    def branched_to(self) -> set[int]:
        """Addresses that something can jump to, or hold: what only looks like code has no part.

        Of functions that decode exactly it is what their instructions name; of all other bytes
        what they would name if they were code.
        """
        found = {*self.pointed, *self._listed}
        for index in range(len(self.functions)):
            if swept := self.swept(index):
                found.update(swept.branches, swept.loaded)
        for sources_of in (self.near, self.taken):
            for target, sources in sources_of.items():
                if target not in found and not all(map(self.is_exact, sources)):
                    found.add(target)
        return found

    def is_exact(self, address: int) -> bool:
        """Whether ``address`` is in a function that decodes exactly."""
        index = self.at(address)
        return index is not None and self.swept(index) is not None

    def starts(self, address: int) -> bool:
        """Whether an instruction starts at ``address``; in doubt, yes."""
        index = self.at(address)
        code = None if index is None else self.decoded(index)
        return code is None or _first(code, address) < _first(code, address + 1)

    def around(self, address: int, back: int, ahead: int) -> Sequence[Decoded]:
        """The instructions of its function so many bytes around ``address``."""
        index = self.at(address)
        code = None if index is None else self.decoded(index)
        if code is None:
            return ()
        return code[_first(code, address - back) : _first(code, address + ahead)]

    def flow(self, offered: Iterable[int]) -> Flow:
        """What leads where; others may come to what is at the addresses ``offered``."""
        leads: list[set[int]] = [set() for _ in self.functions]
        roots = {index for at in self.pointed if (index := self.at(at)) is not None}
        for target, sources in chain(self._by_bytes(), self._by_tables()):
            to = self.at(target)
            if to is None:
                continue
            for source in sources:
                index = self.at(source)
                if index is None:
                    roots.add(to)
                elif to != index:
                    leads[index].add(to)
        for index, own in enumerate(leads):
            own.update(self._by_code(index))
        known = set().union(*leads, (self.at(each) for each in offered))
        roots.update(index for index in range(len(leads)) if index not in known)
        return Flow(self.functions, tuple(tuple(sorted(each)) for each in leads), frozenset(roots))

    def _by_bytes(self) -> Iterator[tuple[int, Sequence[int]]]:
        for found in (self.near, self.taken):
            yield from (each for each in found.items() if self.in_code(each[0]))

    def _by_tables(self) -> Iterator[tuple[int, Sequence[int]]]:
        for base, targets in self.tables.items():
            yield from ((target, self.taken[base]) for target in targets)

    def _by_code(self, index: int) -> Iterator[int]:
        """The other functions that one jumps to, or runs on into, by what is decoded."""
        start, end, _ = self.functions[index]
        swept = self.swept(index)
        if swept is None:  # out of step: into its neighbours, as far as a short jump goes
            near = (self.at(at) for at in range(start - 128, end + 128))
            yield from (each for each in near if each is not None)
            return
        for target in swept.branches:
            if not start <= target < end:
                to = self.at(target)
                if to is not None:
                    yield to
        following = self.at(end)
        if swept.runs_on and following is not None:
            yield following


def _first(code: Sequence[Decoded], address: int) -> int:
    """The index of the first instruction that does not start before ``address``."""
    return bisect_left(code, address, key=itemgetter(0))


def branch_of(each: Decoded) -> int | None:
    """Where a direct call or jump leads, ``None`` for anything else."""
    operands = each[3]
    if operands.startswith("0x") and each[2].split()[-1].startswith(BRANCHES):
        return int(operands, 16)
    return None


def address_of(each: Decoded) -> int | None:
    """The address that an operand names relative to the instruction."""
    return named_from_here(each[3], each[0] + each[1])
