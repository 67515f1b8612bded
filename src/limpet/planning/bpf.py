"""Classic BPF with named forward jumps of any distance.

A jump of BPF that tests something reaches 255 instructions.  One that goes farther is written
with a plain jump behind it, and only that one: the kernel translates every instruction at every
start.  Source: Linux ``include/uapi/linux/filter.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from limpet.contract.slots import Slot

LOAD, JEQ, JGT, JGE, RETURN = 0x20, 0x15, 0x25, 0x35, 0x06
LOAD_CONSTANT, TAX, SUBTRACT_X, JGT_X, JGE_X = 0x00, 0x07, 0x1C, 0x2D, 0x3D
SHIFT_RIGHT, OR_X, JSET = 0x74, 0x4C, 0x45
_JA = 0x05

_REACH = 255


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
        far: set[tuple[int, str]] = set()
        while more := self._out_of_reach(far, starts := self._starts(far)):
            far |= more
        out = b"".join(self._encoded(index, far, starts) for index in range(len(self.code)))
        return out, tuple((starts[at], handle, which) for at, handle, which in self._slots)

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
