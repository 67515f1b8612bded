"""What a monitor's machine code does, read from its instructions alone.

Code is followed from the entry point with what registers and the stack are known to hold, each call
of a function by itself, to every SYSCALL with its number and arguments.  What cannot be followed is
reported, not guessed; so are instructions that no monitor has.  A store through a pointer that is
not known makes all memory unknown, but is taken not to meet a return address: hostile code can
still mislead.  This is what a careful reader would find; the proof is to make the monitor again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from limpet.arch.x86_64.decode import LONGEST, Instruction, Memory, Register, decode
from limpet.arch.x86_64.effects import RSP, Effects
from limpet.arch.x86_64.state import Installed, State
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.arch.x86_64.values import (
    ANYTHING,
    Span,
    Values,
    added,
    just,
    listed,
    single,
)
from limpet.audit.forms import known_form
from limpet.audit.host_calls import written
from limpet.formats.bundle.read import BundleFile

_ASIDE = 0x7FFC_0000_0000
"""As :data:`STACK`, for functions that do not return."""

STACK = 0x7FFD_0000_0000
"""Stands for where the kernel leaves the stack pointer; only differences matter."""

_MOST_STEPS, _MOST_TABLE, _TABLE_CODE, _MOST_DEPTH = 60_000, 64, 64, 12
_SECCOMP, _SET_FILTER = NUMBERS["seccomp"], 1
_SIGACTION, _EXIT_GROUP = NUMBERS["rt_sigaction"], NUMBERS["exit_group"]
_EAX = Register("rax", 4)
ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
_ENDS = ("hlt", "ud2", "int3")
NO_FILTER, UNKNOWN_FILTER = 0, 1
Numbers = frozenset[int]


@dataclass(frozen=True)
class Call:
    """A SYSCALL instruction that code leads to.

    ``numbers`` and each of ``arguments`` are the values it can have, empty when unknown;
    ``filters`` are the programs that may stand by then, 0 for none.
    """

    address: int
    numbers: Numbers
    arguments: tuple[Numbers, ...]
    state: State = field(compare=False, repr=False)

    @property
    def filters(self) -> Numbers:
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
    strange: tuple[tuple[int, str], ...]  # instructions that no monitor has, and why
    leaves: tuple[
        tuple[int, Numbers], ...
    ]  # where it jumps outside of itself, behind which filters
    compared: frozenset[int]  # constants it compares with
    tables: tuple[JumpTable, ...]
    complete: bool


Frames = tuple[tuple[int, int], ...]
"""The calls that led to a place: where each returns to, and where on the stack that stands."""

Place = tuple[Frames, int]


def read_code(bundle: BundleFile) -> MonitorCode:
    """Follow the monitor's code from the bundle's entry point."""
    return _Follower(bundle).follow()


class _Follower:
    """One run over a monitor's code."""

    def __init__(self, bundle: BundleFile) -> None:
        self.bundle = bundle
        self.part = bundle.monitor
        self.code = bundle.content(self.part)
        self.effects = Effects(bundle, self._wrote)
        self.states: dict[Place, State] = {}
        self.work: list[tuple[int, Frames]] = []  # a heap: what comes first in the code
        self.waiting: set[Place] = set()
        self.frames: Frames = ()
        self.decoded: dict[int, Instruction] = {}
        self.ran: set[int] = set()
        self.seen: dict[int, dict[Frames, State]] = {}  # at SYSCALL instructions
        self.unresolved: set[int] = set()
        self.strange: dict[int, str] = {}
        self.leaves: dict[int, Numbers] = {}
        self.tables: dict[int, JumpTable] = {}
        self.returning: dict[int, bool] = {}
        self.steps = 0
        self.stores: dict[int, dict[Frames, Span]] = {}

    def follow(self) -> MonitorCode:
        """Go on until nothing new is learned, or for long enough."""
        self._to((), self.bundle.entry, _fresh())
        while self.work and self.steps < _MOST_STEPS:
            address, frames = heappop(self.work)
            place = frames, address
            self.waiting.discard(place)
            self._run(place, self.states[place].copy())
        covered = {at for each in self._ran() for at in range(each.address, each.end)}
        return MonitorCode(
            tuple(self._calls()),
            len(covered),
            tuple(at for at in self._syscall_bytes() if at not in covered),
            tuple(sorted(self.unresolved)),
            tuple(sorted(self.strange.items())),
            tuple((address, self.leaves[address]) for address in sorted(self.leaves)),
            frozenset(self._compared()),
            tuple(self.tables[address] for address in sorted(self.tables)),
            not self.work,
        )

    def _ran(self) -> Iterator[Instruction]:
        return (each for address, each in self.decoded.items() if address in self.ran)

    def _calls(self) -> Iterator[Call]:
        """Every SYSCALL, with what all ways to it have in common."""
        for address in sorted(self.seen):
            states = list(self.seen[address].values())
            numbers = _all([state.registers.get("rax", ANYTHING) for state in states])
            arguments = tuple(
                _all([state.registers.get(name, ANYTHING) for state in states])
                for name in ARGUMENTS
            )
            whole = states[0].copy()
            for state in states[1:]:
                whole.join(state)
            yield Call(address, frozenset(n & 0xFFFFFFFF for n in numbers), arguments, whole)

    def _syscall_bytes(self) -> Iterator[int]:
        at = self.code.find(b"\x0f\x05")
        while at >= 0:
            yield self.part.address + at
            at = self.code.find(b"\x0f\x05", at + 1)

    def _compared(self) -> Iterator[int]:
        for each in self._ran():
            if each.mnemonic == "cmp" and isinstance(each.operands[1], int):
                yield each.operands[1] & 0xFFFFFFFF

    def _to(self, frames: Frames, address: int, state: State) -> None:
        if not self.part.address <= address < self.part.address + len(self.code):
            self.leaves[address] = self.leaves.get(address, frozenset()) | state.filters
            return
        place = frames, address
        known = self.states.get(place)
        if known is None:
            self.states[place] = state.copy()
        elif not known.join(state):
            return
        if place not in self.waiting:
            self.waiting.add(place)
            heappush(self.work, (address, frames))

    def _decode(self, address: int) -> Instruction | None:
        if address not in self.decoded:
            at = address - self.part.address
            found = decode(self.code[at : at + LONGEST], address)
            if found is None:
                return None
            self.decoded[address] = found
        return self.decoded[address]

    def _run(self, place: Place, state: State) -> None:
        """One way from a place to where others may meet it."""
        self.frames, address = place
        while self.steps < _MOST_STEPS:
            self.steps += 1
            each = self._decode(address)
            if each is None:
                self.unresolved.add(address)
                return
            if address not in self.ran:
                self.ran.add(address)
                if not known_form(each):
                    self.strange[address] = f"{each.mnemonic} is no instruction of a monitor's"
            if each.mnemonic in _ENDS or self._branch(each, state):
                return
            if each.mnemonic == "syscall":
                if self._syscall(each, state) == _EXIT_GROUP:
                    return
            else:
                self.effects.apply(each, state)
            address = each.end
            if (self.frames, address) in self.states or address >= self.part.end:
                self._to(self.frames, address, state)
                return

    def _branch(self, each: Instruction, state: State) -> bool:
        """Follow a branch; whether ``each`` is one."""
        if each.mnemonic == "call":
            self._call(each, state)
        elif each.mnemonic == "jmp":
            self._jump(each, state)
        elif each.mnemonic == "ret":
            self._return(each, state)
        elif each.conditional:
            self._fork(each, state)
        else:
            return False
        return True

    def _fork(self, each: Instruction, state: State) -> None:
        """Both ways, each with what the condition says."""
        condition = each.mnemonic[1:]
        target = each.operands[0]
        for address, holds in ((target, condition), (each.end, _OPPOSITE.get(condition, ""))):
            way = state.copy()
            if isinstance(way.flags, Installed) and holds == "e":
                way.filters = frozenset({way.flags.program})
            if isinstance(address, int) and (holds not in _OPPOSITE or way.narrow(holds)):
                way.flags = None if isinstance(way.flags, Installed) else way.flags
                self._to(self.frames, address, way)

    def _syscall(self, each: Instruction, state: State) -> int | None:
        """Note a call; its number when it is certain."""
        registers = state.registers
        self.seen.setdefault(each.address, {})[self.frames] = state.copy()
        number = single(registers.get("rax", ANYTHING))
        first = single(registers.get("rdi", ANYTHING))
        place = single(registers.get("rdx", ANYTHING)) or 0
        action = single(registers.get("rsi", ANYTHING)) or 0
        if number == _SIGACTION:
            handler = state.word(self.bundle, action)
            if handler and self.part.address <= handler < self.part.end:
                self._to((), handler, _fresh())  # runs at any time, with any registers
        given = [registers.get(name, ANYTHING) for name in ARGUMENTS]
        for low, high in written(number, given):
            state.forget(low, high)
        for name in ("rax", "rcx", "r11"):
            state.set(Register(name, 8), ANYTHING)
        state.flags = None
        if number == _SECCOMP and first == _SET_FILTER:
            state.result = state.word(self.bundle, place + 8) or UNKNOWN_FILTER
        return number

    def _call(self, each: Instruction, state: State) -> None:
        """Into the function; what it returns to is remembered with it."""
        targets = self._targets(each, state)
        top = added(state.get(RSP), just(-8))
        slot = single(top)
        if not targets or slot is None or len(self.frames) >= _MOST_DEPTH:
            self.unresolved.add(each.address)
            return
        for target in targets:
            inside, frames = state.copy(), (*self.frames, (each.end, slot))
            if not self._returns(target):
                frames, top = ((0, target),), just(_ASIDE + target % _ASIDE)
            inside.set(RSP, top)
            self._to(frames, target, inside)

    def _returns(self, function: int) -> bool:
        """Whether a function may return: what cannot is followed once for all that call it."""
        if function not in self.returning:
            self.returning[function] = self._has_return(function)
        return self.returning[function]

    def _has_return(self, function: int) -> bool:
        """Whether a ``ret`` can be come to, but for calls that end the process."""
        seen, work, ends = {function}, [function], False
        while work:
            each = self._decode(work.pop())
            if each is None or each.mnemonic in _ENDS or (each.mnemonic == "syscall" and ends):
                continue
            target = each.operands[0] if each.operands else None
            if each.mnemonic == "ret" or (each.mnemonic == "jmp" and not isinstance(target, int)):
                return True
            if each.mnemonic == "mov" and target == _EAX:
                ends = each.operands[1] == _EXIT_GROUP
            ways = [each.end] if each.mnemonic != "jmp" else []
            if isinstance(target, int) and (each.conditional or each.mnemonic == "jmp"):
                ways.append(target)
            inside = [at for at in ways if self.part.address <= at < self.part.end]
            work += [at for at in inside if at not in seen]
            seen.update(inside)
        return False

    def _return(self, each: Instruction, state: State) -> None:
        """Back to where the function was called from, if nothing else stands there."""
        back, slot = self.frames[-1] if self.frames else (0, 0)
        if not self.frames or single(state.get(RSP)) != slot or len(each.operands):
            self.strange[each.address] = "ret goes to where no call was"
            return
        state.set(RSP, just(slot + 8))
        self._to(self.frames[:-1], back, state)

    def _wrote(self, each: Instruction, state: State, where: Span) -> None:
        """Note a store that may meet a return address, or that can be anywhere."""
        if where.high - where.low <= 8 and any(
            where.low < slot + 8 and slot < where.high for _, slot in self.frames
        ):
            self.strange[each.address] = "it writes over a return address"
        self.stores.setdefault(each.address, {})[self.frames] = where

    def _jump(self, each: Instruction, state: State) -> None:
        targets = self._targets(each, state)
        if not targets:
            self.unresolved.add(each.address)
        for target in targets:
            self._to(self.frames, target, state)

    def _targets(self, each: Instruction, state: State) -> Numbers:
        operand = each.operands[0] if each.operands else None
        if isinstance(operand, Register):
            table = _recognized(self._before(each.address))
            if table:
                self.tables[each.address] = table
        if isinstance(operand, (Register, int)):
            return listed(state.get(operand))
        return frozenset()

    def _before(self, address: int) -> list[Instruction]:
        near = range(address - _TABLE_CODE, address)
        return [self.decoded[at] for at in near if at in self.ran]


_OPPOSITE = {"e": "ne", "ne": "e", "a": "be", "be": "a", "ae": "b", "b": "ae"}


def _all(known: list[Values]) -> Numbers:
    """Every number that some way has, nothing when one has too many."""
    few = [listed(values) for values in known]
    return frozenset().union(*few) if all(few) else frozenset()


def _fresh() -> State:
    return State({"rsp": just(STACK)}, frozenset({NO_FILTER}))


def _recognized(before: list[Instruction]) -> JumpTable | None:
    """The table in the instructions before an indirect jump."""
    table, load = None, False
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
            load = True
    return table if load else None
