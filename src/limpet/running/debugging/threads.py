"""The threads of a guest, as the program has them: a library OS is to it what a kernel is.

A thread in a system call stands behind the call, with the registers that the program had there.
All of this is read from the guest's memory, which the guest may have filled with anything: a list
is followed for so many threads at most, and what is not there is a thread less.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from limpet.guests.inside import LibraryOS
from limpet.running.debugging.machine import Machine
from limpet.running.debugging.rewritten import Rewritten

MOST = 4096
"""Threads that are looked for."""

ONLY = 1
"""The thread of a guest that has no others."""

_ORDER = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8"),
    *("rax", "rcx", "rdx", "rsi", "rdi", "rip", "rsp", "eflags"),
)
_REGS = struct.Struct(f"<{len(_ORDER)}Q")
"""struct regs of the library OS."""

_NAME_SIZE = 16
_NO_CALL = (1 << 64) - 1


@dataclass(frozen=True)
class Thread:
    """A thread of the program: its number, where its structure is, its name."""

    number: int
    at: int
    name: str


class Threads:
    """Those of a guest that has stopped."""

    def __init__(self, machine: Machine, library: LibraryOS | None, rewritten: Rewritten) -> None:
        self._machine, self._library, self._rewritten = machine, library, rewritten
        self.told: int = 0
        """Where the library OS has the registers of the thread that runs, if it just said so."""

    def word(self, address: int) -> int:
        """A word of the guest's, 0 where there is none."""
        return int.from_bytes(self._machine.read(address, 8), "little")

    def _member(self, thread: int, name: str) -> int:
        assert self._library
        return self.word(thread + self._library.offsets[f"thread.{name}"])

    def _symbol(self, name: str) -> int:
        assert self._library
        return self.word(self._library.symbols[name]) if name in self._library.symbols else 0

    def all(self) -> list[Thread]:
        """Every one, the oldest first."""
        if not self._library:
            return [Thread(ONLY, 0, "")]
        found: dict[int, Thread] = {}
        at, left = self._symbol("threads"), MOST
        while at and left and (thread := self._thread(at)):
            if thread.number in found:
                break
            if not self._member(at, "ended") & 0xFF:
                found[thread.number] = thread
            at, left = self._member(at, "next"), left - 1
        return sorted(found.values(), key=lambda each: each.number) or [Thread(ONLY, 0, "")]

    def _thread(self, at: int) -> Thread | None:
        assert self._library
        number = self._member(at, "id") & 0x7FFFFFFF
        raw = self._machine.read(at + self._library.offsets["thread.name"], _NAME_SIZE)
        name = raw.partition(b"\0")[0].decode("ascii", "replace")
        return Thread(number, at, name) if number and len(raw) == _NAME_SIZE else None

    def current(self) -> int:
        """The number of the one that runs."""
        if not self._library:
            return ONLY
        thread = self._thread(self._symbol("current"))
        return thread.number if thread else ONLY

    def find(self, number: int) -> Thread | None:
        """The thread of that number."""
        return next((each for each in self.all() if each.number == number), None)

    def inside(self, address: int) -> bool:
        """Whether ``address`` is in the library OS, trampolines not counted."""
        known = self._library
        return known is not None and known.entries <= address < known.code[1]

    def settled(self) -> bool:
        """Whether what the thread that runs does in the library OS, if anything, is a call."""
        pc = self._machine.registers()["rip"]
        return not self.inside(pc) or bool(
            self.told or self._member(self._symbol("current"), "call")
        )

    def resumes_at(self, number: int) -> int:
        """Where a thread will come back to the program; 0: it is there and runs."""
        at = self._saved_at(number)
        if not at:
            return 0
        thread = self.find(number)
        self.was_in_call = bool(thread and self._member(thread.at, "call"))
        return self.word(at + 8 * _ORDER.index("rip"))

    was_in_call = False
    """Whether the thread of the last :meth:`resumes_at` was in a system call."""

    def _saved_at(self, number: int) -> int:
        """Where the registers of a thread are saved; 0: nowhere, it has them."""
        if not self._library:
            return 0
        if number != self.current():
            thread = self.find(number)
            return thread.at - self._library.offsets["regs"] if thread else 0
        if not self.inside(self._machine.registers()["rip"]):
            return 0
        at = self._symbol("current")
        return self.told or self._member(at, "call") or at - self._library.offsets["regs"]

    def registers(self, number: int) -> dict[str, int]:
        """The general registers of a thread, by name."""
        found = {"orig_rax": _NO_CALL, **self._machine.registers()}
        at = self._saved_at(number)
        data = self._machine.read(at, _REGS.size) if at else b""
        if len(data) == _REGS.size:
            found.update(zip(_ORDER, _REGS.unpack(data), strict=True), orig_rax=_NO_CALL)
            if number != self.current():
                found.update(self._bases(number))
        found["rip"] = self._rewritten.shown(found["rip"])
        return found

    def _bases(self, number: int) -> dict[str, int]:
        """As thread_switch leaves them (x86_64/switch.S)."""
        thread = self.find(number)
        rest = self.word(self._member(thread.at, "stack")) if thread else 0
        return {"gs_base": self.word(rest), "fs_base": self.word(rest + 8)} if rest else {}

    def set_registers(self, number: int, values: dict[str, int]) -> bool:
        """Give a thread other ones; those of a call are what it goes on with behind it."""
        at, known = self._saved_at(number), self.registers(number)
        rip = values["rip"]
        if not at:
            real = self._machine.registers()["rip"]
            rip = real if rip == known["rip"] else self._rewritten.placed(rip)
            self._machine.set_registers({**values, "rip": rip})
            return True
        data = self._machine.read(at, _REGS.size)
        if len(data) < _REGS.size:
            return False
        real = _REGS.unpack(data)[_ORDER.index("rip")]
        rip = real if rip == known["rip"] else self._rewritten.placed(rip)
        words = [{**values, "rip": rip}[each] & _NO_CALL for each in _ORDER]
        return self._machine.write(at, _REGS.pack(*words))

    def vectors(self, number: int) -> bytes | None:
        """What XSAVE has, or has written, of a thread: a library OS uses none of these itself."""
        now = self._machine.vectors()
        return now if number == self.current() else self.saved_vectors(number, now)

    def saved_vectors(self, number: int, now: bytes | None) -> bytes | None:
        """Those of a thread that does not run, ``now`` being those of the one that does."""
        thread = self.find(number)
        if not thread or not now:
            return None
        stack = self._member(thread.at, "stack")
        area = self._machine.read(stack + 8, min(len(now), _SAVED_MOST))
        return area + now[len(area) :] if area else None

    def set_vectors(self, number: int, area: bytes) -> bool:
        """Give it others."""
        if number == self.current():
            return self._machine.set_vectors(area)
        thread = self.find(number)
        stack = self._member(thread.at, "stack") if thread else 0
        return bool(stack) and self._machine.write(stack + 8, area[:_SAVED_MOST])


_SAVED_MOST = 832
"""Of another thread's area: the registers of SSE and AVX, which every layout has at its start."""
