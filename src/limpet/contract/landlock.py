"""Landlock's rights by the version of its interface (uapi ``linux/landlock.h``)."""

from __future__ import annotations


def _first(rights: int) -> int:
    return (1 << rights) - 1


RIGHTS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),  # no Landlock
    (_first(13), 0, 0),
    (_first(14), 0, 0),
    (_first(15), 0, 0),
    (_first(15), 3, 0),
    (_first(16), 3, 0),
    (_first(16), 3, 3),
)
"""What each version knows: of files, of TCP, and which scopes (abstract sockets, signals)."""

NEWEST = len(RIGHTS) - 1
"""The version that keeps all of it from a process (Linux 6.12); newer ones only add logging."""


def rights_of(version: int) -> tuple[int, int, int]:
    """All that a kernel with that version can keep from a process."""
    return RIGHTS[max(0, min(version, NEWEST))]


def c_table() -> str:
    """``LANDLOCK_RIGHTS`` and ``LANDLOCK_NEWEST``."""
    rows = ", ".join(f"{{{files:#x}, {ports}, {scopes}}}" for files, ports, scopes in RIGHTS)
    return f"#define LANDLOCK_RIGHTS {{{rows}}}\n#define LANDLOCK_NEWEST {NEWEST}\n"
