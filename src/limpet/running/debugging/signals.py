"""Numbers of signals as gdb has them, which are no system's own.

Source: gdb's ``include/gdb/signals.def``.
"""

from __future__ import annotations

_LINUX = (
    *(1, 2, 3, 4, 5, 6, None, 8, 9, 7, 11, 31, 13, 14, 15, 23, 19, 20, 18, 17, 21, 22, 29),
    *(24, 25, 26, 27, 28, None, 10, 12, 30),
)
"""Linux's numbers for gdb's 1 to 32."""

_TO_GDB = {linux: gdb for gdb, linux in enumerate(_LINUX, 1) if linux}
_TO_GDB |= {16: 143, 32: 77, 64: 78} | {number: 45 + number - 33 for number in range(33, 64)}
_FROM_GDB = {gdb: linux for linux, gdb in _TO_GDB.items()}
_UNKNOWN = 143


def to_gdb(number: int) -> int:
    """gdb's number for one of Linux's; 0 stays 0."""
    return _TO_GDB.get(number, _UNKNOWN) if number else 0


def from_gdb(number: int) -> int:
    """Linux's number for one of gdb's; 0 for one that Linux has not."""
    return _FROM_GDB.get(number, 0)
