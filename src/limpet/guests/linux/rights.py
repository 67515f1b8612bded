"""Whether the rights of a program's pages are enforced, and what it reserves costs no memory.

A dynamic program's loader seals what it has relocated, and one with threads guards their stacks.  A
static program with one thread asks as well, for its C library's sake; few would notice, and none
of them pays for it unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from limpet.guests.linux.threads import CALLS
from limpet.planning.options import Options

ARRANGING = ("protect", "place")
MAPPING = ("mmap", "mprotect")
"""The hypercalls of rights and reservations, and the system calls that lead to them."""

_ASKED = "rights"
"""The feature that asks for it in any program."""


def with_rights(
    users: Mapping[str, tuple[str, ...]], options: Options, calls: Collection[str], dynamic: bool
) -> dict[str, tuple[str, ...]]:
    """What needs each hypercall, those of rights and reservations among them.

    Args:
        calls: what is served of the program.
        dynamic: whether it has a loader.
    """
    found = tuple(name for name in MAPPING if name in calls)
    asked = options.asks(_ASKED)
    if not found or not (dynamic or asked or CALLS.intersection(calls)):
        return dict(users)
    return {**users, **dict.fromkeys(ARRANGING, found)}
