"""What a debugger does with the one processor of a guest, whichever backend has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Why(Enum):
    """Why a guest has stopped."""

    BREAK = "an INT3"
    STEP = "one instruction is done"
    POINT = "a debug register"
    SIGNAL = "a signal of the host"
    ASKED = "it was interrupted"
    ENDED = "it is no more"


@dataclass(frozen=True)
class Stop:
    """A stop of the guest: ``number`` is a signal, a debug register, or the wait status of an end.

    After an INT3 the instruction pointer is that of the INT3.
    """

    why: Why
    number: int = 0


class Access(Enum):
    """What a debug register looks for, as DR7 has it."""

    EXECUTE = 0
    WRITE = 1
    BOTH = 3


@dataclass(frozen=True)
class Point:
    """A debug register's place: an address, a size of 1, 2, 4 or 8 bytes."""

    address: int
    size: int
    access: Access


POINTS = 4
"""Debug registers that a processor has."""

_SIZES = {1: 0, 2: 1, 4: 3, 8: 2}


def control(points: Sequence[Point]) -> int:
    """DR7 for points in DR0 and on (Intel SDM volume 3, section 18.2.4)."""
    value = 0
    for index, each in enumerate(points):
        value |= 1 << 2 * index | (each.access.value | _SIZES[each.size] << 2) << 16 + 4 * index
    return value


def hit(status: int, points: Sequence[Point]) -> int | None:
    """Which of ``points`` DR6 names."""
    return next((index for index in range(len(points)) if status >> index & 1), None)


class Machine(Protocol):
    """The processor and memory of a guest, while it has stopped."""

    pid: int

    def registers(self) -> dict[str, int]:
        """The general registers by name."""

    def set_registers(self, values: dict[str, int]) -> None:
        """Give it other ones."""

    def vectors(self) -> bytes | None:
        """The area that XSAVE writes; ``None``: this monitor does not give them."""

    def set_vectors(self, area: bytes) -> bool:
        """Give it another, if that can be."""

    def read(self, address: int, size: int) -> bytes:
        """Memory of the guest, as far as there is some: less than ``size`` bytes, or none."""

    def write(self, address: int, data: bytes) -> bool:
        """Change it, whatever its pages allow, if all of it is there."""

    def set_points(self, points: Sequence[Point]) -> bool:
        """Give it debug registers, if it has such."""

    def go(self, *, step: bool, signal: int = 0) -> None:
        """Let it go on, for one instruction if ``step``."""

    def interrupt(self) -> None:
        """Make it stop soon."""

    def stopped(self, status: int) -> Stop | None:
        """What a stop of its process means; ``None``: nothing, and it has gone on."""

    def enter(self) -> None:
        """Put into it what is needed to hear of it, before it goes on."""

    def leave(self) -> None:
        """Take back what was put into it, before it goes on alone."""
