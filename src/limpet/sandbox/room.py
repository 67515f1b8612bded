"""How many sandboxes this program, its user and this host can have at a time."""

from __future__ import annotations

import os

from limpet.errors import PlanError

_STREAMS, _BESIDE = 3, 16
"""Descriptors of this program's for each sandbox, and for what is beside them: five more of one
that is being started, the memory that all begin with, looks at files."""

_LEAST = 1 << 20
"""Bytes of the host's memory that an interpreter writes to before it has done anything."""


def check(name: str, count: int) -> None:
    """Nothing where ``count`` of them can be there.

    Raises:
        PlanError: they cannot, whatever they do; with what bounds them, and how many can.
    """
    most, why = min(_bounds())
    if count > most:
        raise PlanError(
            f"{name}: {count} sandboxes at a time, and no more than {most} can be: {why}",
            hint=f"{name}={most}, or less",
        )


def within(count: int) -> int:
    """So many, or as many as there can be, and at least one; for who was not told how many."""
    return max(min(count, min(_bounds())[0]), 1)


def _bounds() -> list[tuple[int, str]]:
    import resource  # 0.2 ms, which most starts do without

    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = [(pages // _LEAST, f"each takes at least {_LEAST >> 20} MiB of this host's memory")]
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY:
        left = files - len(os.listdir("/proc/self/fd")) - _BESIDE
        why = (
            f"this program may have {files} files open (ulimit -n), of which each takes {_STREAMS}"
        )
        found.append((max(left, 0) // _STREAMS, why))
    processes, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.geteuid() and processes != resource.RLIM_INFINITY:
        found.append((processes, f"this user may have {processes} processes (ulimit -u)"))
    return found
