"""The arguments of system calls, as they are shown."""

from __future__ import annotations

from limpet.arch.x86_64.call_arguments import arguments
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.guests.linux.parts import served


def test_every_served_call_is_known() -> None:
    """The table has no fewer arguments of a call than what serves it takes."""
    told = arguments()
    assert told.keys() <= NUMBERS.keys()
    for call in served().values():
        if call.name in told:
            assert len(told[call.name]) >= call.arguments, call.name
