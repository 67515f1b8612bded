"""Whether a program hears signals: its own, and those that are sent to its monitor."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from limpet.guests.linux.terminal import TERMINAL
from limpet.guests.linux.ticks import TICK
from limpet.planning.options import Options

ATTEND = "attend"
"""The hypercall that takes them; a tick looks for them while the program computes."""

_ASKED = "signals"
"""The feature that asks for it without a terminal."""

_HANDLER = "rt_sigaction"

_HEARING = frozenset((_HANDLER, "rt_sigprocmask"))
"""What may have a signal do something else than to end the program."""


def with_signals(
    users: Mapping[str, tuple[str, ...]], options: Options, calls: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """What needs each hypercall, those of signals included where ``calls`` install handlers.

    Signals have to be asked for; then ``attend`` is in the place of ``wait``.
    """
    found = dict(users)
    asked = {each.partition("=")[0] for each in options.features}
    if _HANDLER in calls and not asked.isdisjoint((TERMINAL, _ASKED)):
        why = f"{_HANDLER}, whose handlers hear signals from outside, as asked"
        found[ATTEND] = (*found.pop("wait", ()), why)
        found[TICK] = (*found.get(TICK, ()), why)
    return found


def guest_facts(users: Collection[str], calls: Collection[str]) -> list[str]:
    """What features may be chosen by: the kind of guest, and what its ``calls`` are for."""
    found = ["linux"]
    found += [TERMINAL] if TERMINAL in users else []
    return found if _HEARING.isdisjoint(calls) else [*found, "hears_pipes"]
