"""Where the value of a register comes from, in compiled code of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from limpet.arch.x86_64.decode import Instruction, Memory, Register

_ENDS = ("jmp", "ret")
_ELSEWHERE = ("add", "lea", "pop", "xor", "call")
"""A jump table's sum, an address of the function's own, what a caller had, a zero, an answer."""


@dataclass(frozen=True)
class Loads:
    """A function's instructions, and the loads that can be behind a register at one of them."""

    instructions: Sequence[Instruction]

    @cached_property
    def _before(self) -> Sequence[Sequence[int]]:
        """The instructions that can come before each: those that branch there, or the one above.

        What only a jump table leads to counts as coming after what stands before it.
        """
        index = {each.address: at for at, each in enumerate(self.instructions)}
        found: list[list[int]] = [[] for _ in self.instructions]
        for at, each in enumerate(self.instructions):
            target = each.operands[0] if each.operands and each.mnemonic[0] == "j" else None
            if isinstance(target, int) and target in index:
                found[index[target]].append(at)
        for at in range(1, len(found)):
            if not found[at] or self.instructions[at - 1].mnemonic not in _ENDS:
                found[at].append(at - 1)
        return found

    def of(self, register: Register, index: int) -> set[tuple[Memory, int]]:
        """Each load that can have given ``register`` its value before an instruction."""
        found: set[tuple[Memory, int]] = set()
        seen: set[tuple[str, int]] = set()
        work = [(register.name, at) for at in self._before[index]]
        while work:
            name, at = work.pop()
            if (name, at) in seen:
                continue
            seen.add((name, at))
            each = self.instructions[at]
            writes = name in each.writes or (name == "rax" and each.mnemonic == "call")
            if not writes or each.mnemonic.startswith("cmov"):
                work += [(name, earlier) for earlier in self._before[at]]
            if not writes or each.mnemonic in _ELSEWHERE:
                continue
            assert "mov" in each.mnemonic and len(each.operands) == 2, f"{each} cannot be followed"
            source = each.operands[1]
            if isinstance(source, Memory):
                found.add((source, at))
            elif isinstance(source, Register):
                work += [(source.name, earlier) for earlier in self._before[at]]
        return found
