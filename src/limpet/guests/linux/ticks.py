"""Whether the timers of a program ring while it computes: only then is there a tick for them.

Nearly every large program can set a timer somewhere, for a wait that a signal ends by itself.  What
a tick costs in its monitor is there for those that come to their timers by direct calls, or name
the C library's functions for them.
"""

from __future__ import annotations

from collections.abc import Mapping

from limpet.arch.x86_64.calls import Calls
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.guests.linux.threads import is_c_library
from limpet.guests.linux.ways import FAR, Ways
from limpet.loading.guest import Guest
from limpet.loading.verdict import Certainty
from limpet.planning.options import Options

TICK = "tick"
"""The hypercall."""

_ASKED = "timers"
"""The feature that asks for it whatever the code looks like."""

_SETTING = ("alarm", "setitimer", "timer_settime")
_IMPORTED = frozenset({*_SETTING, "ualarm"})


def _setter(calls: Calls, guest: Guest, asked: bool) -> str | None:
    """The system call or function that sets timers, by which the program comes to them."""
    ways = None
    for name in _SETTING:
        places = [each.address for each in guest.scan.sites if NUMBERS[name] in each.numbers]
        if places and not asked:
            ways = ways or Ways(calls, 0)
            way = ways.to(places, FAR)
            if way is None or way.certainty is Certainty.CONCEIVABLE:
                continue
        if places:
            return name
    others = (each.image for each in guest.objects if not is_c_library(each))
    for image in (guest.image, *others):
        if found := sorted(_IMPORTED.intersection(image.imports.values())):
            return found[0]
    return None


def with_ticks(
    users: Mapping[str, tuple[str, ...]], options: Options, calls: Calls, guest: Guest
) -> dict[str, tuple[str, ...]]:
    """What needs each hypercall, and the tick where timers ring in a program that computes.

    Args:
        calls: those of the program.
    """
    found = dict(users)
    asked = options.asks(_ASKED)
    if options.snapshot and options.after:
        why = "the snapshot is taken after a time"
        found["wait"] = (*found.get("wait", ()), why)
        found[TICK] = (*found.get(TICK, ()), why)
    setter = _setter(calls, guest, asked)
    if setter and any(name in _SETTING for name in users.get("wait", ())):
        found[TICK] = (*found.get(TICK, ()), f"{setter}, which rings in a program that computes")
    return found
