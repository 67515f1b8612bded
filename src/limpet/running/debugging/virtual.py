"""A guest in a virtual machine, driven from outside of its monitor.

The monitor has nothing of this.  Its registers are those that KVM shares with it; where the guest
has met an INT3 or a step, code of ring 0 that is put there tells it by a byte to a port, which this
process takes before the monitor can see it.  So it works on every KVM, nested ones included that
leave such exceptions to the guest.  Vector registers need requests of KVM that the monitor makes
with this process's numbers, and its filter lets them through where it has the feature ``gdb``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from limpet.arch.x86_64.host import REQUESTS
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract.limits import VCPU_FD
from limpet.contract.pages import PAGE
from limpet.errors import HostError
from limpet.planning.regions import KVM_RUN_AT, MONITOR_BASE, MONITOR_SIZE
from limpet.running.cores import machine, ptrace
from limpet.running.debugging.machine import Point, Stop, Why
from limpet.running.debugging.memory import Memory

_IMMEDIATE_AT, _REASON_AT, _IO_AT = 1, 8, 32  # of struct kvm_run
_DIRTY_AT, _DIRTY_GENERAL = machine.VALID_AT + 8, b"\1"
_EXIT_IO = 2
_SYSCALL = b"\x0f\x05"
_AGAIN = (1 << 64) - 11  # -EAGAIN, for which a monitor runs its guest once more
_NO_CALL = (1 << 64) - 1
_RESTARTS = range((1 << 64) - 516, (1 << 64) - 511)  # a call that a signal ended: ERESTART*
_TRAP_FLAG = 0x100
_FRAME = struct.Struct("<5Q")  # what an exception pushes: RIP, CS, RFLAGS, RSP, SS
_FRAME_SET = ("rip", "eflags", "rsp")
_RING = 3
_USERS = 5  # of an entry of a page table: it is there, and ring 3 has it
_OPEN_FLAGS = 0x240DD5
"""Of RFLAGS what a program can change by itself."""


GDB_AT = KVM_RUN_AT + 0x2000
"""Where structures for KVM stand: what it shares for coalesced MMIO, which no guest has."""


@dataclass(frozen=True)
class _Vector:
    """An exception that a debugger hears of: its stub, and what is put behind the last stub."""

    number: int
    port: int
    told_at: int  # offset in the page of the stubs, where it has nothing
    passed_at: int

    @property
    def stub_at(self) -> int:
        return 16 * self.number

    def told(self) -> bytes:
        """OUT to the port, and back to where it was."""
        return bytes((0xE6, self.port)) + b"\x48\xcf"

    def passed(self) -> bytes:
        """As the stub itself does: to the guest."""
        start = bytes((0x6A, 0, 0x6A, self.number))
        return start + _jump(self.passed_at + len(start), _REFLECT_AT)


_REFLECT_AT = 0x200  # x86_64/stubs.S
_STEP = _Vector(1, 0x31, 0x300, 0x308)
_BREAK = _Vector(3, 0x33, 0x318, 0x320)
_VECTORS = (_STEP, _BREAK)


def _jump(at: int, to: int) -> bytes:
    return b"\xe9" + struct.pack("<i", to - at - 5)


class VirtualMachine:
    """The guest of the monitor that runs as the process ``pid``."""

    def __init__(self, pid: int, memory: Memory, *, vectors: int) -> None:
        self.pid = pid
        self._memory = memory
        self._vectors = vectors  # bytes of them that the guest's processor has, or that are told
        self._asked = False
        self._told: _Vector | None = None  # the guest stands behind its OUT
        self._stubs = 0
        self._before: dict[int, bytes] = {}

    def taken_over(self) -> None:
        """The monitor has stopped before or behind a run: make the guest's state known.

        Raises:
            HostError: its virtual machine is not as a monitor sets it up.
        """
        self._settle()
        self._memory.write(KVM_RUN_AT + machine.VALID_AT, machine.WANTED)
        self._memory.write(KVM_RUN_AT + _IMMEDIATE_AT, b"\1")
        self._ioctl("KVM_RUN", 0)
        self._memory.write(KVM_RUN_AT + _IMMEDIATE_AT, b"\0")
        self.enter()

    def enter(self) -> None:
        """Hear of the guest's exceptions; it is in ring 3.

        Raises:
            HostError: its virtual machine is not as a monitor sets it up.
        """
        self._stubs = self._first_stub()
        for each in _VECTORS:
            at = self._stubs + each.stub_at
            self._before[at] = self._memory.read(at, 5)
            self._memory.write(self._stubs + each.told_at, each.told())
            self._memory.write(self._stubs + each.passed_at, each.passed())
            self._memory.write(at, _jump(each.stub_at, each.told_at))

    def _first_stub(self) -> int:
        _, special = self._shared()
        (idt,) = struct.unpack_from("<Q", special, machine.IDT_AT)
        low, _, middle, high = struct.unpack("<H4sHI", self._memory.read(idt, 12).ljust(12, b"\0"))
        stubs = int(low | middle << 16 | high << 32)
        start = self._memory.read(stubs, 4)
        if start != b"\x6a\0\x6a\0":
            raise HostError(
                "the guest's processor is not as its monitor set it up: its fault stubs are not "
                "there",
                hint="report this",
            )
        return stubs

    def _shared(self) -> tuple[dict[str, int], bytes]:
        at, size = KVM_RUN_AT + machine.SHARED_AT, machine.SHARED_SIZE
        return machine.decoded(self._memory.read(at, size).ljust(size, b"\0"))

    @property
    def in_ring_3(self) -> bool:
        """Whether it has stopped in the program or its library OS."""
        return self._told is not None or self._shared()[0]["cs"] & _RING == _RING

    def registers(self) -> dict[str, int]:
        """Those of the virtual processor at its last exit; behind an exception those before it."""
        found, _ = self._shared()
        if self._told:
            names = ("rip", "cs", "eflags", "rsp", "ss")
            frame = self._memory.read(found["rsp"], _FRAME.size).ljust(_FRAME.size, b"\0")
            found.update(zip(names, _FRAME.unpack(frame), strict=True))
        return found

    def set_registers(self, values: dict[str, int]) -> None:
        """Give it other general ones; segments stay as they are, and so does what ring 3 cannot
        change."""
        shared, _ = self._shared()
        flags = self.registers()["eflags"] & ~_OPEN_FLAGS | values["eflags"] & _OPEN_FLAGS
        values = {**values, "eflags": flags}
        if self._told:
            known = {**self.registers(), **{each: values[each] for each in _FRAME_SET}}
            frame = [known[each] for each in ("rip", "cs", "eflags", "rsp", "ss")]
            self._memory.write(shared["rsp"], _FRAME.pack(*frame))
            values = {**values, **{each: shared[each] for each in ("rip", "eflags", "rsp")}}
        data = struct.pack(f"<{len(machine.GENERAL)}Q", *(values[n] for n in machine.GENERAL))
        self._memory.write(KVM_RUN_AT + machine.SHARED_AT, data)
        self._memory.write(KVM_RUN_AT + _DIRTY_AT, _DIRTY_GENERAL)

    def vectors(self) -> bytes | None:
        """As KVM keeps them, where the filter lets it be asked."""
        if not self._vectors or self._ioctl("KVM_GET_XSAVE", GDB_AT):
            return None
        return self._memory.read(GDB_AT, self._vectors)

    def set_vectors(self, area: bytes) -> bool:
        """Give it others."""
        if self.vectors() is None or len(area) != self._vectors:
            return False
        self._memory.write(GDB_AT, area)  # the rest is there as it is
        return not self._ioctl("KVM_SET_XSAVE", GDB_AT)

    def _ioctl(self, request: str, address: int) -> int:
        """Make the monitor ask KVM of its virtual processor; what it gives."""
        before = ptrace.registers(self.pid)
        code = self._memory.read(MONITOR_BASE, MONITOR_SIZE)
        at = MONITOR_BASE + code.index(_SYSCALL)  # all of it can be executed
        call = {"rip": at, "rax": NUMBERS["ioctl"], "orig_rax": _NO_CALL, "rdi": VCPU_FD}
        call |= {"rsi": REQUESTS[request], "rdx": address}
        ptrace.set_registers(self.pid, {**before, **call})
        for _ in ("its begin", "its end"):
            self._to_call()
        result = ptrace.registers(self.pid)["rax"]
        ptrace.set_registers(self.pid, {**before, "orig_rax": _NO_CALL})
        return int(result)

    def _to_call(self) -> None:
        """To the next begin or end of a system call of the monitor; other stops wait."""
        while True:
            ptrace.request(ptrace.SYSCALL, self.pid)
            status = ptrace.waited(self.pid)
            if status >> 8 == ptrace.SYSCALL_STOP | 5:
                return
            if status & 0x7F != 0x7F:
                raise ProcessLookupError(3, "the guest has ended")

    def _settle(self) -> None:
        """A call of the monitor's that the stop has interrupted is made again, by its own hand."""
        found = ptrace.registers(self.pid)
        if found["orig_rax"] >> 63:
            return
        if found["rax"] in _RESTARTS:
            at = found["rip"] - len(_SYSCALL)
            found.update(rip=at, rax=found["orig_rax"])
        ptrace.set_registers(self.pid, {**found, "orig_rax": _NO_CALL})

    def read(self, address: int, size: int) -> bytes:
        """Memory of the guest, as its page tables have it."""
        found = bytearray()
        for at, piece in self._places(address, size):
            data = self._memory.read(at, piece)
            found += data
            if len(data) < piece:
                break
        return bytes(found)

    def write(self, address: int, data: bytes) -> bool:
        """Change it, if all of it is there."""
        places = list(self._places(address, len(data)))
        if sum(piece for _, piece in places) < len(data):
            return False
        offset = 0
        for at, piece in places:
            if not self._memory.write(at, data[offset : offset + piece]):
                return False
            offset += piece
        return True

    def _places(self, address: int, size: int) -> Iterator[tuple[int, int]]:
        """Where a run of the guest's addresses is in its monitor, page by page, to the first that
        is nowhere."""
        end = address + size
        while address < end:
            piece = min(end, (address | PAGE - 1) + 1) - address
            at = self._translated(address)
            if at is None or self._memory.guests(at, piece) < piece:
                return
            yield at, piece
            address += piece

    def _translated(self, address: int) -> int | None:
        if address >> 47:
            return None
        _, special = self._shared()
        (table,) = struct.unpack_from("<Q", special, machine.CR3_AT)
        for level in range(4, 0, -1):
            at = (table & machine.ADDRESS) + 8 * (address >> 12 + 9 * (level - 1) & 511)
            if not self._memory.guests(at, 8):
                return None
            table = int.from_bytes(self._memory.read(at, 8), "little")
            if table & _USERS != _USERS:  # what ring 0 has is no debugger's to change
                return None
            if level == 1 or (level < 4 and table & 0x80):
                inside = (PAGE << 9 * (level - 1)) - 1
                return int(table & machine.ADDRESS & ~inside | address & inside)
        return None

    def set_points(self, points: Sequence[Point]) -> bool:
        """Not here: what reaches a guest's debug registers differs from one KVM to another."""
        return not points

    def go(self, *, step: bool, signal: int = 0) -> None:
        """Let it go on."""
        found = self.registers()
        flags = found["eflags"] & ~_TRAP_FLAG | (_TRAP_FLAG if step else 0)
        if flags != found["eflags"]:
            self.set_registers({**found, "eflags": flags})
        self._told = None
        ptrace.request(ptrace.SYSCALL, self.pid, 0, signal)

    def passed_on(self) -> None:
        """The exception that it has stopped for is the guest's own, who hears of it now."""
        assert self._told
        shared, _ = self._shared()
        at, self._told = self._stubs + self._told.passed_at, None
        self.set_registers({**shared, "rip": at})
        ptrace.request(ptrace.SYSCALL, self.pid)

    def interrupt(self) -> None:
        """Stop it, in the guest or in a hypercall."""
        self._asked = True
        ptrace.request(ptrace.INTERRUPT, self.pid)

    def stopped(self, status: int) -> Stop | None:
        """What a stop of the monitor means."""
        number, event = status >> 8 & 0xFF, status >> 16
        at_call = number == ptrace.SYSCALL_STOP | 5 and not event
        begins = at_call and ptrace.at_call(self.pid)
        if at_call and not begins and (found := self._called()):
            return found
        if self._asked:
            if begins or not (at_call or event == ptrace.EVENT_STOP) or not self.in_ring_3:
                ptrace.request(ptrace.INTERRUPT, self.pid)  # any other stop has used it up
            else:
                self._settle()
                self._asked = False
                return Stop(Why.ASKED)
        ptrace.request(ptrace.SYSCALL, self.pid, 0, 0 if event or at_call else number)
        return None

    def _called(self) -> Stop | None:
        """A system call of the monitor's ends: that of a run may be for us."""
        found = ptrace.registers(self.pid)
        mine = found["orig_rax"] == NUMBERS["ioctl"] and found["rsi"] == REQUESTS["KVM_RUN"]
        if not mine or found["rax"]:
            return None
        (reason,) = struct.unpack("<I", self._memory.read(KVM_RUN_AT + _REASON_AT, 4))
        _, size, port = struct.unpack("<BBH", self._memory.read(KVM_RUN_AT + _IO_AT, 4))
        told = next((each for each in _VECTORS if each.port == port), None)
        if reason != _EXIT_IO or size != 1 or told is None:
            return None
        ptrace.set_registers(self.pid, {**found, "rax": _AGAIN, "orig_rax": _NO_CALL})
        self._told = told
        if told is _STEP:
            return Stop(Why.STEP)
        own = self.registers()
        self.set_registers({**own, "rip": own["rip"] - 1})
        return Stop(Why.BREAK)

    def leave(self) -> None:
        """The stubs are as they were; what is behind them stays, where nothing leads to it."""
        for at, code in self._before.items():
            self._memory.write(at, code)
        found = self.registers()
        if found["eflags"] & _TRAP_FLAG:
            self.set_registers({**found, "eflags": found["eflags"] & ~_TRAP_FLAG})
        self._told = None
