"""Whether a program may run code that it makes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from limpet.arch.x86_64.sites import Scan
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.guests.linux.parts import Condition
from limpet.guests.linux.rights import ARRANGING, MAPPING
from limpet.planning.options import Options

JIT, EXECUTE = "jit", "execute"
"""The feature, and the hypercall that it is about."""

_RUNS = Condition(2, 4, (4,), other=False)  # PROT_EXEC


def may_run(scan: Scan) -> bool:
    """Whether a program can ask for memory that it runs."""
    numbers = {NUMBERS[name] for name in MAPPING}
    return any(
        (not site.numbers or numbers & set(site.numbers)) and _RUNS.possible(site.arguments[2])
        for site in scan.sites
    )


def with_jit(
    users: Mapping[str, tuple[str, ...]], options: Options, calls: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """What needs each hypercall, and those of executable memory where it is asked for."""
    found = tuple(name for name in MAPPING if name in calls)
    if not found or not options.asks(JIT):
        return dict(users)
    why = tuple(f"{name}, as asked" for name in found)
    return {**dict.fromkeys(ARRANGING, found), **users, EXECUTE: why}
