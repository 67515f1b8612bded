"""Whether a program hears signals that are sent to its monitor from outside."""

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
