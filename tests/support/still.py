"""A machine that stands still: memory from address 0 on, and registers as they were set."""

from __future__ import annotations

from collections.abc import Sequence

from limpet.formats.core import ORDER
from limpet.running.debugging.machine import Point, Stop


class StillMachine:
    """For what a debugger asks of a guest that has stopped."""

    pid = 1

    def __init__(self, memory: bytes) -> None:
        self._memory = bytearray(memory)
        self._registers = dict.fromkeys(ORDER, 0)
        self._area: bytes = bytes(832)

    def registers(self) -> dict[str, int]:
        return dict(self._registers)

    def set_registers(self, values: dict[str, int]) -> None:
        self._registers.update(values)

    def vectors(self) -> bytes:
        return self._area

    def set_vectors(self, area: bytes) -> bool:
        self._area = area
        return True

    def read(self, address: int, size: int) -> bytes:
        return bytes(self._memory[address : address + size])

    def write(self, address: int, data: bytes) -> bool:
        if address + len(data) > len(self._memory):
            return False
        self._memory[address : address + len(data)] = data
        return True

    def set_points(self, points: Sequence[Point]) -> bool:
        return True

    def go(self, *, step: bool, signal: int = 0) -> None:
        raise AssertionError("it stands still")

    def interrupt(self) -> None:
        pass

    def stopped(self, status: int) -> Stop | None:
        raise AssertionError("it stands still")

    def enter(self) -> None:
        pass

    def leave(self) -> None:
        pass
