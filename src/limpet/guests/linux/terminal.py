"""Whether a program sets the modes of its terminal, or makes terminals of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from limpet.arch.x86_64.sites import Scan
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.guests.linux.parts import Condition, SystemCall
from limpet.loading.guest import Guest
from limpet.planning.options import Options

TERMINAL = "terminal"
"""The feature of the monitor, and the hypercall, for a program that sets terminal modes."""

_MAKES_TERMINALS = b"/dev/ptmx\0"

_SETS_MODES = Condition(1, (1 << 32) - 1, (0x5402, 0x5403, 0x5404), other=False)  # TCSETS, ...


def _sets_terminal(options: Options, scan: Scan) -> bool:
    """Whether that is asked for, and the program can ask it."""
    number = NUMBERS["ioctl"]
    asked = options.asks(TERMINAL)
    return asked and any(
        (not site.numbers or number in site.numbers) and _SETS_MODES.possible(site.arguments[1])
        for site in scan.sites
    )


def with_terminal(
    users: Mapping[str, tuple[str, ...]], options: Options, scan: Scan
) -> Mapping[str, tuple[str, ...]]:
    """What needs each hypercall, and that one where it is wanted."""
    if not _sets_terminal(options, scan):
        return users
    return {**users, TERMINAL: ("ioctl, which sets the modes of the terminal, as asked",)}


def makes_terminals(guest: Guest, calls: Collection[SystemCall]) -> bool:
    """Whether a program can make pseudo-terminals: it or a library names what makes them."""
    images = (guest.image, *(each.image for each in guest.objects))
    opens = {call.name for call in calls} & {"open", "openat", "openat2"}
    return bool(opens) and any(_MAKES_TERMINALS in image.data for image in images)
