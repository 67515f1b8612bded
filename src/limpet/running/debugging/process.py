"""A guest in a process: its registers are the process's, and the host's kernel steps it."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from limpet.contract.limits import TICK_SIGNAL
from limpet.running.cores import ptrace
from limpet.running.debugging.machine import Point, Stop, Why, control, hit
from limpet.running.debugging.memory import Memory

_DEBUG_AT = 848  # u_debugreg of struct user
_SI_KERNEL, _TRACE = 0x80, (1, 2, 4)  # of an INT3; of a debug exception
_RESTART_BLOCK = -516  # as another call, which no filter lets through
_WORD = 1 << 64
_SYSCALL_SIZE = 2


class ProcessMachine:
    """The guest that runs as the process ``pid``."""

    def __init__(self, pid: int, memory: Memory, *, own_signals: bool) -> None:
        self.pid = pid
        self._memory = memory
        self._quiet = own_signals  # a library OS takes faults: it says which are the program's
        self._points: list[Point] = []
        self._stepping = self._asked = False
        self._later: list[int] = []  # signals that have to wait for the end of a step

    def registers(self) -> dict[str, int]:
        """Those of the process."""
        return ptrace.registers(self.pid)

    def set_registers(self, values: dict[str, int]) -> None:
        """Give it other ones; a call that was interrupted is then not made once more."""
        known = self.registers()
        changed = {**known, **values}
        if changed["rip"] != known["rip"]:
            changed["orig_rax"] = _WORD - 1
        ptrace.set_registers(self.pid, changed)

    def vectors(self) -> bytes:
        """As the kernel keeps them."""
        return ptrace.registers_set(self.pid, ptrace.EXTENDED, ptrace.VECTORS_MOST)

    def set_vectors(self, area: bytes) -> bool:
        """Give it others."""
        ptrace.set_registers_set(self.pid, ptrace.EXTENDED, area)
        return True

    def read(self, address: int, size: int) -> bytes:
        """Memory of the guest."""
        return self._memory.read(address, self._memory.guests(address, size))

    def write(self, address: int, data: bytes) -> bool:
        """Change it."""
        whole = self._memory.guests(address, len(data)) == len(data)
        return whole and self._memory.write(address, data)

    def set_points(self, points: Sequence[Point]) -> bool:
        """The process's own debug registers."""
        self._points = list(points)
        try:
            self._debug(7, 0)
            for index, each in enumerate(points):
                self._debug(index, each.address)
            self._debug(7, control(points))
        except OSError:
            self._points = []
            return False
        return True

    def _debug(self, number: int, value: int) -> None:
        ptrace.poke(self.pid, _DEBUG_AT + 8 * number, value, ptrace.POKEUSER)

    def go(self, *, step: bool, signal: int = 0) -> None:
        """Let it go on; a signal that came while it was stepped comes to it now."""
        self._restart_by_itself()
        self._stepping = step
        if not step and not signal and self._later:
            signal = self._later.pop(0)
        ptrace.request(ptrace.SINGLESTEP if step else ptrace.CONT, self.pid, 0, signal)

    def _restart_by_itself(self) -> None:
        """A call that was to go on as restart_syscall, which no filter knows, is made again."""
        found = self.registers()
        number, result = found["orig_rax"], found["rax"] - _WORD
        if number >> 63 or result != _RESTART_BLOCK:
            return
        at = found["rip"] - _SYSCALL_SIZE
        ptrace.set_registers(self.pid, {**found, "rip": at, "rax": number, "orig_rax": _WORD - 1})

    def interrupt(self) -> None:
        """Stop it, in whatever call it waits."""
        self._asked = True
        ptrace.request(ptrace.INTERRUPT, self.pid)

    def stopped(self, status: int) -> Stop | None:
        """What the stop of its process means."""
        number, event = status >> 8 & 0xFF, status >> 16
        if event == ptrace.EVENT_STOP and self._asked:
            self._asked = False
            return Stop(Why.ASKED)
        if event:
            self._on(0)
            return None
        if number == signal.SIGTRAP:
            return self._trapped()
        return self._signal(number)

    def _trapped(self) -> Stop | None:
        code = ptrace.signal_code(self.pid)
        if code == _SI_KERNEL:
            found = self.registers()
            self.set_registers({**found, "rip": found["rip"] - 1})
            return Stop(Why.BREAK)
        if code in _TRACE:
            status = ptrace.peek(self.pid, _DEBUG_AT + 8 * 6, ptrace.PEEKUSER)
            self._debug(6, 0)
            index = hit(status, self._points)
            return Stop(Why.STEP) if index is None else Stop(Why.POINT, index)
        return self._signal(signal.SIGTRAP)

    def _signal(self, number: int) -> Stop | None:
        """Whatever a library OS hears of is its own matter; a tick waits for the end of a step."""
        if not self._quiet:
            return Stop(Why.SIGNAL, number)
        if self._stepping and number == TICK_SIGNAL:
            self._later.append(number)
            number = 0
        self._on(number)
        return None

    def _on(self, deliver: int) -> None:
        """What it has stopped for is nobody's matter; a stop that is asked for is still to come."""
        if self._asked:
            ptrace.request(ptrace.INTERRUPT, self.pid)
        ptrace.request(ptrace.SINGLESTEP if self._stepping else ptrace.CONT, self.pid, 0, deliver)

    def enter(self) -> None:
        """The host's kernel tells all there is."""

    def leave(self) -> None:
        """Its debug registers are its own again."""
        self.set_points(())
