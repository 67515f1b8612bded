"""A guest under a debugger: it goes on, and it stops where somebody wants to know.

The library OS is to the program what a kernel is: a step over a system call ends behind it, faults
and signals are the program's where the library OS says so, and what it does itself is not seen.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field

from limpet.guests.inside import SITE_SIZE, Inside
from limpet.running.debugging.breaks import Breaks
from limpet.running.debugging.machine import POINTS, Access, Machine, Point, Stop, Why
from limpet.running.debugging.rewritten import Rewritten
from limpet.running.debugging.threads import Threads
from limpet.running.debugging.virtual import VirtualMachine

GDB, _TEMPORARY, _FAULTS, _SIGNALS = "gdb", "temporary", "faults", "signals"
_SYSCALL = b"\x0f\x05"
_SIGRETURN, _SIGRETURN_RIP = 15, 168  # from RSP of the call: ucontext's RIP
_STEPS_MOST = 100000
"""Instructions of the library OS that are stepped through, of which none is far from its end."""

_SYNCHRONOUS = (4, 5, 7, 8, 11, 31)


@dataclass(frozen=True)
class Report:
    """Why a guest has stopped, for the debugger: ``signal`` is 0 where none is to be named.

    ``status`` is the wait status of a guest that has ended.
    """

    thread: int = 1
    signal: int = signal.SIGTRAP
    breakpoint: bool = False
    watched: int | None = None
    status: int | None = None


@dataclass(frozen=True)
class Order:
    """How a guest is to go on: which thread is stepped, in a range of addresses, with a signal."""

    step: int | None = None
    range: tuple[int, int] = (0, 0)
    signal: int = 0


class Ended(Exception):
    """The guest is no more; its wait status."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


@dataclass
class Guest:
    """A guest that has stopped; ``wait`` gives the next wait status of its process."""

    machine: Machine
    inside: Inside
    wait: Callable[[], int | None]
    passed: Collection[int] = ()
    """Signals that the debugger does not want to hear of."""
    points: list[Point] = field(default_factory=list)

    def __post_init__(self) -> None:
        library = self.inside.library
        self.rewritten = Rewritten(library.windows if library else ())
        self.threads = Threads(self.machine, library, self.rewritten)
        self.breaks = Breaks(self.machine)
        self._reported = 0
        self._seen: dict[Point, bytes] = {}
        if library:
            for name, owner in (("signal_fault", _FAULTS), ("signals_deliver", _SIGNALS)):
                if name in library.symbols:
                    self.breaks.add(library.symbols[name], owner)

    def to_start(self) -> Report:
        """From the first instruction of all to the program's own."""
        if self.inside.start is None or self.inside.start == self._pc():
            return Report(self.threads.current())
        placed = self.rewritten.placed(self.inside.start)
        return self._reporting(lambda: self._until((placed,), None))

    def settled(self) -> Report:
        """It was stopped from outside, anywhere."""
        number = signal.SIGINT
        return self._reporting(lambda: self._settled() or Report(self.threads.current(), number))

    def go(self, order: Order) -> Report:
        """Let it go on until there is something to say."""
        self._answer(order.signal)
        if order.step is None:
            return self._reporting(self._looked if self._seen else self._on)
        return self._reporting(lambda: self._stepped(order))

    def _reporting(self, doing: Callable[[], Report]) -> Report:
        try:
            return doing()
        except Ended as end:
            return Report(status=end.status, signal=0)

    def _pc(self) -> int:
        return self.machine.registers()["rip"]

    def _answer(self, number: int) -> None:
        """What the debugger says to the signal that it was told of."""
        told, reported = self.threads.told, self._reported
        self.threads.told = self._reported = 0
        library = self.inside.library
        if not told or number == reported or not library:
            self._deliver = number if not library else 0
            return
        owners = self.breaks.of(self._pc())
        if _FAULTS in owners and "resume" in library.symbols:
            known = self.machine.registers()
            self.machine.set_registers({**known, "rip": library.symbols["resume"], "rdi": told})
        elif _SIGNALS in owners:
            self._forget(reported)
        self._deliver = 0

    _deliver = 0

    def _forget(self, number: int) -> None:
        """A signal that was sent is not pending any more."""
        library = self.inside.library
        assert library
        current = self.threads.word(library.symbols["current"])
        sets = current + library.offsets["thread.own.set"], library.symbols["signals_of_all"]
        for at in sets:
            value = self.threads.word(at) & ~(1 << number - 1)
            self.machine.write(at, value.to_bytes(8, "little"))

    def _once(self, *, step: bool) -> Stop:
        """Until the machine stops; an INT3 at which it stands is stepped over."""
        deliver, self._deliver = self._deliver, 0
        pc = self._pc()
        if not self.breaks.of(pc):
            self.machine.go(step=step, signal=deliver)
            return self._stop()
        self.breaks.lift(pc)
        self.machine.go(step=True, signal=deliver)
        stop = self._stop()
        self.breaks.lower(pc)
        if step or stop.why is not Why.STEP:
            return stop
        self.machine.go(step=False)
        return self._stop()

    def _stop(self) -> Stop:
        while True:
            status = self.wait()
            assert status is not None, "nobody else is waited for"
            if not os.WIFSTOPPED(status):
                raise Ended(status)
            try:
                stop = self.machine.stopped(status)
            except ProcessLookupError:  # killed meanwhile: its end is still to come
                continue
            if stop:
                return stop

    def _on(self) -> Report:
        """Until there is something to say."""
        while True:
            report = self._said(self._once(step=False))
            if report:
                return report

    def _said(self, stop: Stop) -> Report | None:
        """What a stop is to the debugger; ``None``: nothing."""
        thread = self.threads.current
        if stop.why is Why.BREAK:
            return self._broken()
        if stop.why is Why.POINT and not self.threads.inside(self._pc()):
            return Report(thread(), watched=self.points[stop.number].address)
        if stop.why is Why.SIGNAL:
            self._reported = stop.number
            if stop.number not in self.passed:
                return Report(thread(), stop.number)
            self._deliver = stop.number
        if stop.why is Why.ASKED:
            return self._settled() or Report(thread(), signal.SIGINT)
        return None

    def _broken(self) -> Report | None:
        pc = self._pc()
        owners = self.breaks.of(pc)
        if GDB in owners:
            return Report(self.threads.current(), breakpoint=True)
        if _FAULTS in owners or _SIGNALS in owners:
            return self._signalled(owners)
        if not owners:
            self._own_int3(pc)
            return self._said(self._stop())
        return None

    def _own_int3(self, pc: int) -> None:
        """An INT3 of the guest's is the guest's matter."""
        if isinstance(self.machine, VirtualMachine):
            self.machine.passed_on()
        else:
            self.machine.set_registers({**self.machine.registers(), "rip": pc + 1})
            self.machine.go(step=False, signal=signal.SIGTRAP)

    def _signalled(self, owners: Collection[str]) -> Report | None:
        """The library OS is about to tell the program of a fault or a signal."""
        library, known = self.inside.library, self.machine.registers()
        assert library
        if _FAULTS in owners:
            at = known["rsi"] + library.offsets["fault.signal"]
            number = int.from_bytes(self.machine.read(at, 4), "little")
        else:
            number = self._pending()
        if not 0 < number < 65 or number in self.passed:
            return None
        self.threads.told, self._reported = known["rdi"], number
        return Report(self.threads.current(), number)

    def _pending(self) -> int:
        library = self.inside.library
        assert library
        current = self.threads.word(library.symbols["current"])
        ready = self.threads.word(current + library.offsets["thread.own.set"])
        ready |= self.threads.word(library.symbols["signals_of_all"])
        ready &= ~self.threads.word(current + library.offsets["thread.blocked"])
        numbers = [number for number in range(1, 65) if ready >> number - 1 & 1]
        first = [number for number in numbers if number in _SYNCHRONOUS]
        return (first or numbers or [0])[0]

    def _settled(self) -> Report | None:
        """What the library OS does between program and call is gone through."""
        for _ in range(_STEPS_MOST):
            if self.threads.settled():
                return None
            stop = self._once(step=True)
            if stop.why is not Why.STEP and (report := self._said(stop)):
                return report
        return None

    def _until(self, places: Collection[int], thread: int | None) -> Report:
        """Until one of ``places`` is reached, by that thread; or something else is to be said."""
        for each in places:
            self.breaks.add(each, _TEMPORARY)
        try:
            while True:
                stop = self._once(step=False)
                if stop.why is Why.BREAK and self._pc() in places:
                    current = self.threads.current()
                    if thread in (None, current):
                        return Report(current, breakpoint=GDB in self.breaks.of(self._pc()))
                    if GDB not in self.breaks.of(self._pc()):
                        continue
                if said := self._said(stop):
                    return said
        finally:
            self.breaks.remove_all(_TEMPORARY)

    def _stepped(self, order: Order) -> Report:
        thread = order.step
        assert thread is not None
        while True:
            report = self._step(thread)
            if report != Report(thread):
                return report
            pc = self.threads.registers(thread)["rip"]
            if not order.range[0] <= pc < order.range[1]:
                return report

    def _step(self, thread: int) -> Report:
        """One instruction of the program."""
        waits = self.threads.resumes_at(thread)
        if waits:
            report = self._until((waits,), thread)
            if report.thread != thread or report.breakpoint or report.signal != signal.SIGTRAP:
                return report
            if self.threads.was_in_call:
                return Report(thread)
        before = self.rewritten.shown(self._pc())
        while True:
            if said := self._one(thread):
                return said
            pc = self._pc()
            if self.rewritten.shown(pc) != before or not self._between(pc):
                return Report(thread)

    def _between(self, pc: int) -> bool:
        """Whether ``pc`` is where a jump to a trampoline leads, before anything has happened."""
        library = self.inside.library
        own = library is not None and library.code[0] <= pc < library.entries
        return own or self.rewritten.is_slot(pc)

    def _one(self, thread: int) -> Report | None:
        """One instruction, and all that the library OS does for it."""
        pc, library = self._pc(), self.inside.library
        if library and self._code(pc) == _SYSCALL:
            known = self.machine.registers()
            to = pc + SITE_SIZE
            if known["rax"] & 0xFFFFFFFF == _SIGRETURN:
                to = self.threads.word(known["rsp"] + _SIGRETURN_RIP)
            return self._back((to,), thread)
        stop = self._once(step=True)
        if stop.why is not Why.STEP:
            return self._said(stop)
        after = self._pc()
        if not library or not self.threads.inside(after):
            return None
        if self._between(pc):
            return self._back((self.machine.registers()["rcx"],), thread)
        return self._out_of_library(thread)

    def _code(self, pc: int) -> bytes:
        return self.breaks.original(pc, self.machine.read(pc, len(_SYSCALL)))

    def _back(self, places: Collection[int], thread: int) -> Report | None:
        report = self._until(places, thread)
        return None if report == Report(thread) else report

    def _out_of_library(self, thread: int) -> Report | None:
        for _ in range(_STEPS_MOST):
            if not self.threads.inside(self._pc()):
                return None
            stop = self._once(step=True)
            if stop.why is not Why.STEP and (report := self._said(stop)):
                return report
        return Report(thread)

    def set_points(self, points: list[Point]) -> bool:
        """Debug registers, if there are enough.

        Where the machine has none, what is watched for writes is looked at after each instruction.
        """
        if len(points) > POINTS:
            return False
        looked = not self.machine.set_points(points)
        if looked and any(each.access is not Access.WRITE for each in points):
            return False
        self.points = points
        self._seen = {each: self._value(each) for each in points} if looked else {}
        return True

    def _value(self, point: Point) -> bytes:
        return self.machine.read(point.address, point.size)

    def _looked(self) -> Report:
        """As :meth:`_on`, one instruction after the other."""
        while True:
            thread = self.threads.current()
            if said := self._one(thread):
                return said
            for each, before in self._seen.items():
                now = self._seen[each] = self._value(each)
                if now != before:
                    return Report(self.threads.current(), watched=each.address)
            if GDB in self.breaks.of(self._pc()):
                return Report(self.threads.current(), breakpoint=True)

    def read(self, address: int, size: int) -> bytes:
        """Memory as the program knows it: without what debugger and Limpet have put there."""
        data = self.machine.read(address, size)
        return self.rewritten.original(address, self.breaks.original(address, data))

    def write(self, address: int, data: bytes) -> bool:
        """Change memory; code that was rewritten stays as it is."""
        if self.rewritten.original(address, data) != data:
            return False
        return self.machine.write(address, self.breaks.written(address, data))

    def leave(self) -> None:
        """It goes on alone, if it is there still."""
        with suppress(ProcessLookupError):
            self.set_points([])
            self.breaks.clear()
            self.machine.leave()
