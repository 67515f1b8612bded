"""What a monitor's machine code does, read from its instructions alone.

Code is followed from the entry point with the constants that registers and the stack are known to
hold, to every SYSCALL with its number and arguments.  Values that differ between ways to a place
become small sets.  Jump tables are read; what cannot be followed is reported, not guessed.  Hostile
code can still mislead: this is what a careful reader would find, and ``verify`` is the proof.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from limpet.arch.x86_64.decode import MASK, Decoder, Instruction, Memory, Register
from limpet.arch.x86_64.state import UNKNOWN, State, Values, apply
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.formats.bundle_file import BundleFile

_STACK = 0x7FFD_0000_0000
"""Stands for the stack that the kernel gives; only differences matter."""

_MOST_STEPS, _MOST_TABLE, _TABLE_CODE = 40_000, 64, 64
_SECCOMP, _SET_FILTER = NUMBERS["seccomp"], 1
_SIGACTION = NUMBERS["rt_sigaction"]
ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
_KEPT = ("rbx", "rbp", "rsp", "r12", "r13", "r14", "r15")
_ENDS = ("hlt", "ud2", "int3")
NO_FILTER, UNKNOWN_FILTER = 0, 1


@dataclass(frozen=True)
class Call:
    """A SYSCALL instruction that code leads to.

    ``numbers`` and each of ``arguments`` are the values it can have, empty when unknown;
    ``filters`` are the programs that may stand by then, 0 for none.
    """

    address: int
    numbers: Values
    arguments: tuple[Values, ...]
    state: State = field(compare=False, repr=False)

    @property
    def filters(self) -> Values:
        """Addresses of ``struct sock_fprog``'s programs installed before it."""
        return self.state.filters

    def argument(self, index: int) -> int | None:
        """The value of an argument when it is certain."""
        values = self.arguments[index]
        return next(iter(values)) if len(values) == 1 else None


@dataclass(frozen=True)
class JumpTable:
    """A jump by a value's place in ``count`` steps of ``stride`` from ``first`` on."""

    first: int
    stride: int
    count: int


@dataclass(frozen=True)
class MonitorCode:
    """Everything that was found by following a monitor's code."""

    calls: tuple[Call, ...]
    size: int  # bytes of instructions
    unreached: tuple[int, ...]  # SYSCALL's bytes that no code leads to
    unresolved: tuple[int, ...]  # indirect jumps that could not be followed
    leaves: tuple[tuple[int, Values], ...]  # where it jumps outside of itself, behind which filters
    compared: frozenset[int]  # constants it compares with
    tables: tuple[JumpTable, ...]
    complete: bool


def read_code(bundle: BundleFile) -> MonitorCode:
    """Follow the monitor's code from the bundle's entry point."""
    return _Follower(bundle).follow()


class _Follower:
    """One run over a monitor's code."""

    def __init__(self, bundle: BundleFile) -> None:
        self.bundle = bundle
        self.part = bundle.monitor
        self.code = bundle.content(self.part)
        self.decoder = Decoder()
        self.states: dict[int, State] = {}
        self.work: deque[int] = deque()
        self.decoded: dict[int, Instruction] = {}
        self.calls: dict[int, Call] = {}
        self.unresolved: set[int] = set()
        self.leaves: dict[int, Values] = {}
        self.tables: dict[int, JumpTable] = {}
        self.returned: set[int] = set()
        self.waiting: dict[int, dict[int, State]] = {}  # by function, then by where it returns to

    def follow(self) -> MonitorCode:
        """Go on until nothing new is learned, or for long enough."""
        self._to(self.bundle.entry, _fresh(self.bundle.entry))
        for _ in range(_MOST_STEPS):
            if not self.work:
                break
            address = self.work.popleft()
            self._step(address, self.states[address].copy())
        covered = {at for each in self.decoded.values() for at in range(each.address, each.end)}
        return MonitorCode(
            tuple(self.calls[address] for address in sorted(self.calls)),
            len(covered),
            tuple(at for at in self._syscall_bytes() if at not in covered),
            tuple(sorted(self.unresolved)),
            tuple((address, self.leaves[address]) for address in sorted(self.leaves)),
            frozenset(self._compared()),
            tuple(self.tables[address] for address in sorted(self.tables)),
            not self.work,
        )

    def _syscall_bytes(self) -> Iterator[int]:
        at = self.code.find(b"\x0f\x05")
        while at >= 0:
            yield self.part.address + at
            at = self.code.find(b"\x0f\x05", at + 1)

    def _compared(self) -> Iterator[int]:
        for each in self.decoded.values():
            if each.mnemonic == "cmp" and isinstance(each.operands[1], int):
                yield each.operands[1] & 0xFFFFFFFF

    def _to(self, address: int, state: State) -> None:
        if not self.part.address <= address < self.part.address + len(self.code):
            self.leaves[address] = self.leaves.get(address, UNKNOWN) | state.filters
            return
        known = self.states.get(address)
        if known is None:
            self.states[address] = state.copy()
            self.work.append(address)
        elif known.join(state):
            self.work.append(address)

    def _decode(self, address: int) -> Instruction | None:
        if address not in self.decoded:
            at = address - self.part.address
            found = self.decoder.decode(self.code[at : at + 15], address)
            if found is None:
                return None
            self.decoded[address] = found
        return self.decoded[address]

    def _step(self, address: int, state: State) -> None:
        each = self._decode(address)
        if each is None:
            self.unresolved.add(address)
        elif each.mnemonic == "call":
            self._call(each, state)
        elif each.mnemonic == "jmp":
            self._jump(each, state)
        elif each.mnemonic == "ret":
            self._return(state)
        elif each.mnemonic not in _ENDS:
            if each.mnemonic == "syscall":
                self._syscall(each, state)
            elif each.conditional:
                self._jump(each, state)
            else:
                apply(each, state, self.bundle)
            self._to(each.end, state)

    def _syscall(self, each: Instruction, state: State) -> None:
        registers = state.registers
        numbers = frozenset(number & 0xFFFFFFFF for number in registers.get("rax", UNKNOWN))
        arguments = tuple(registers.get(name, UNKNOWN) for name in ARGUMENTS)
        call = self.calls[each.address] = Call(each.address, numbers, arguments, state.copy())
        if numbers == {_SECCOMP} and call.argument(0) == _SET_FILTER:
            program = state.word(self.bundle, (call.argument(2) or 0) + 8)
            state.filters = frozenset({program or UNKNOWN_FILTER})
        if numbers == {_SIGACTION}:
            handler = state.word(self.bundle, call.argument(1) or 0)
            if handler and self.part.address <= handler < self.part.end:
                self._to(handler, _fresh(handler))  # runs at any time, with any registers
        for name in ("rax", "rcx", "r11"):
            registers.pop(name, None)

    def _call(self, each: Instruction, state: State) -> None:
        """Go into the function; on behind the call only once it is seen to return."""
        targets = self._targets(each, state)
        if not targets:
            self.unresolved.add(each.address)
        kept = {name: state.registers[name] for name in _KEPT if name in state.registers}
        after = State(kept, state.memory, state.filters, state.within)
        top = state.registers.get("rsp", UNKNOWN)
        for target in targets:
            inside = state.copy()
            inside.set(Register("rsp", 8), frozenset((value - 8) & MASK for value in top))
            inside.within = frozenset({target})
            waiting = self.waiting.setdefault(target, {})
            if each.end in waiting:
                waiting[each.end].join(after)
            else:
                waiting[each.end] = after.copy()
            if target in self.returned:
                self._to(each.end, waiting[each.end])
            self._to(target, inside)

    def _return(self, state: State) -> None:
        for function in state.within - self.returned:
            self.returned.add(function)
            for address, after in self.waiting.get(function, {}).items():
                self._to(address, after)

    def _jump(self, each: Instruction, state: State) -> None:
        targets = self._targets(each, state)
        if not targets:
            self.unresolved.add(each.address)
        for target in targets:
            self._to(target, state)

    def _targets(self, each: Instruction, state: State) -> Values:
        operand = each.operands[0] if each.operands else None
        if isinstance(operand, int):
            return frozenset({operand})
        if isinstance(operand, Register):
            known = state.registers.get(operand.name, UNKNOWN)
            return known or self._table(each, state)
        return UNKNOWN

    def _table(self, jump: Instruction, state: State) -> Values:
        """The targets of ``cmp i, n; ja; movsxd r, [base + 4 i]; add r, base; jmp r``."""
        table, load = _recognized(self._before(jump.address))
        if table is None or load is None:
            return UNKNOWN
        bases = state.registers.get(load.base, UNKNOWN)
        if len(bases) != 1:
            return UNKNOWN
        (base,) = bases
        self.tables[jump.address] = table
        entries = self.bundle.memory(base, 4 * table.count)
        steps = (entries[at : at + 4] for at in range(0, len(entries), 4))
        return frozenset((base + int.from_bytes(s, "little", signed=True)) & MASK for s in steps)

    def _before(self, address: int) -> list[Instruction]:
        near = range(address - _TABLE_CODE, address)
        return [self.decoded[at] for at in near if at in self.decoded]


def _fresh(function: int) -> State:
    return State({"rsp": frozenset({_STACK})}, {}, frozenset({NO_FILTER}), frozenset({function}))


def _recognized(before: list[Instruction]) -> tuple[JumpTable | None, Memory | None]:
    """The table and its load in the instructions before an indirect jump."""
    table, load = None, None
    first, stride = 0, 1
    for each in before:
        value = each.operands[1] if len(each.operands) == 2 else None
        if each.mnemonic in ("add", "sub") and isinstance(value, int):
            first = (value if each.mnemonic == "sub" else -value) & 0xFFFFFFFF
        elif each.mnemonic == "lea" and isinstance(value, Memory) and value.base:
            first = -value.offset & 0xFFFFFFFF
        elif each.mnemonic == "rol" and isinstance(value, int):
            stride = 1 << (-value & 31)
        elif each.mnemonic == "cmp" and isinstance(value, int) and value < _MOST_TABLE:
            table = JumpTable(first, stride, value + 1)
        elif each.mnemonic == "movsxd" and isinstance(value, Memory) and value.scale == 4:
            load = value
    return table, load
