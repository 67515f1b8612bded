"""Classic BPF with named forward jumps of any distance.

A jump of BPF that tests something reaches 255 instructions.  One that goes farther is written
with a plain jump behind it, and only that one: the kernel translates every instruction at every
start.  It does so again until no jump becomes shorter, so jumps are either near or far, and not
just as far as a short one reaches.  Sources: Linux ``include/uapi/linux/filter.h``,
``arch/x86/net/bpf_jit_comp.c``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from limpet.contract.slots import Slot

LOAD, JEQ, JGT, JGE, RETURN = 0x20, 0x15, 0x25, 0x35, 0x06
LOAD_CONSTANT, TAX, SUBTRACT_X, JGT_X, JGE_X = 0x00, 0x07, 0x1C, 0x2D, 0x3D
SHIFT_RIGHT, OR_X, JSET = 0x74, 0x4C, 0x45
_JA = 0x05

_REACH = 255

_FAR = 34
"""So many are more than the 127 bytes of a short jump: 3 for a load, 5 to 9 for a test."""


@dataclass(frozen=True)
class _Instruction:
    operation: int
    constant: int = 0
    yes: str = ""  # labels; without one the next instruction follows
    no: str = ""

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(each for each in (self.yes, self.no) if each)


@dataclass
class Assembler:
    """A program in the making."""

    code: list[_Instruction] = field(default_factory=list)
    _labels: dict[str, int] = field(default_factory=dict)
    _slots: list[tuple[int, int, str]] = field(default_factory=list)
    _known: dict[int, int] = field(default_factory=dict)

    def load(self, offset: int) -> None:
        """Take the word there of ``struct seccomp_data``."""
        self.code.append(_Instruction(LOAD, offset))

    def end(self, verdict: int) -> None:
        """Return it."""
        self.code.append(_Instruction(RETURN, verdict))

    def jump(self, test: int, value: int, *, yes: str = "", no: str = "") -> None:
        """Go to ``yes`` if the test of the word against ``value`` holds, else to ``no``."""
        self.code.append(_Instruction(test, value, yes, no))

    def go(self, label: str) -> None:
        """Go there."""
        self.code.append(_Instruction(_JA, yes=label))

    def do(self, operation: int, constant: int = 0) -> None:
        """An instruction that does not jump."""
        self.code.append(_Instruction(operation, constant))

    def half(self, offset: int, value: int, *, no: str) -> None:
        """Go to ``no`` unless the word there is ``value``: nothing, where that is known."""
        if self._known.get(offset) != value:
            self.load(offset)
            self.jump(JEQ, value, no=no)

    def know(self, offset: int, value: int, *, no: str) -> None:
        """The same, and all that comes until :meth:`forget` need not ask again."""
        self.half(offset, value, no=no)
        self._known[offset] = value

    def forget(self) -> None:
        """Whatever comes next may be reached in another way."""
        self._known.clear()

    def slot(self, handle: int, which: str) -> None:
        """The start stores what it knows of a device into the next instruction."""
        self._slots.append((len(self.code), handle, which))

    def new_label(self) -> str:
        """A name that is not used yet."""
        self._labels[name := f"L{len(self._labels)}"] = -1
        return name

    def label(self, name: str) -> None:
        """The next instruction has that name."""
        self._labels[name] = len(self.code)

    def finish(self) -> tuple[bytes, tuple[Slot, ...]]:
        """The program, 8 bytes an instruction, and where the start completes it."""
        self._share_ends()
        far: set[tuple[int, str]] = set()
        while more := self._out_of_reach(far, starts := self._starts(far)):
            far |= more
        out = b"".join(self._encoded(index, far, starts) for index in range(len(self.code)))
        return out, tuple((starts[at], handle, which) for at, handle, which in self._slots)

    def _share_ends(self) -> None:
        """Let what leads to a verdict take one that stands far behind, and leave out the others."""
        ends: dict[int, list[int]] = {}
        for index, each in enumerate(self.code):
            if each.operation == RETURN:
                ends.setdefault(each.constant, []).append(index)
        for index, each in enumerate(self.code[:-1]):
            if each.targets and each.operation != _JA:
                yes, no = (self._end(index, name, ends) for name in (each.yes, each.no))
                self.code[index] = replace(each, yes=yes, no=no)
        self._leave_out()

    def _end(self, index: int, name: str, ends: Mapping[int, Sequence[int]]) -> str:
        """Where ``index`` goes in the place of ``name``, or of the next instruction."""
        verdict = self.code[self._labels[name] if name else index + 1]
        if verdict.operation != RETURN:
            return name
        far = [each for each in ends[verdict.constant] if _FAR <= each - index <= _REACH]
        if not far:
            return name
        self._labels[found := f"end{far[-1]}"] = far[-1]
        return found

    def _leave_out(self) -> None:
        """Without verdicts that nothing leads to."""
        used = {self._labels[name] for each in self.code for name in each.targets}
        kept = [0]
        for index, each in enumerate(self.code[1:], 1):
            before = self.code[index - 1]
            passes = before.operation not in (RETURN, _JA) and not (before.yes and before.no)
            if each.operation != RETURN or index in used or passes:
                kept.append(index)
        places = {old: new for new, old in enumerate(kept)}
        self.code = [self.code[index] for index in kept]
        self._labels = {name: places[at] for name, at in self._labels.items() if at in places}
        self._slots = [(places[at], handle, which) for at, handle, which in self._slots]

    def _starts(self, far: set[tuple[int, str]]) -> Sequence[int]:
        """Where each instruction comes to lie, and the end of all."""
        starts = [0]
        for index, each in enumerate(self.code):
            starts.append(starts[-1] + 1 + sum((index, name) in far for name in each.targets))
        return starts

    def _out_of_reach(
        self, far: set[tuple[int, str]], starts: Sequence[int]
    ) -> set[tuple[int, str]]:
        return {
            (index, name)
            for index, each in enumerate(self.code)
            for name in each.targets
            if each.operation != _JA
            and (index, name) not in far
            and starts[self._labels[name]] - starts[index] - 1 > _REACH
        }

    def _encoded(self, index: int, far: set[tuple[int, str]], starts: Sequence[int]) -> bytes:
        each, behind = self.code[index], starts[index] + 1
        if each.operation == _JA:
            return _packed(_JA, self._distance(starts, each.yes, behind))
        long = [name for name in each.targets if (index, name) in far]

        def offset(name: str) -> int:
            if name in long:
                return long.index(name)
            return self._distance(starts, name, behind) if name else len(long)

        out = _packed(each.operation, each.constant, offset(each.yes), offset(each.no))
        for at, name in enumerate(long, start=behind + 1):
            out += _packed(_JA, self._distance(starts, name, at))
        return out

    def _distance(self, starts: Sequence[int], name: str, start: int) -> int:
        return starts[self._labels[name]] - start


def _packed(operation: int, constant: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", operation, yes, no, constant)
