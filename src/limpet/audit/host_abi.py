"""Names of the host kernel's numbers, and what monitors may ask at all, as they declare it."""

from __future__ import annotations

from functools import cache

from limpet import contract
from limpet.arch.x86_64.host import REQUEST_NAMES
from limpet.arch.x86_64.syscalls import NAMES, NUMBERS
from limpet.planning.features import features


@cache
def monitor_calls() -> frozenset[int]:
    """The system calls that some monitor makes, all of them before or behind its filter."""
    made = {each.host.call for feature in features() for each in feature.hosts}
    made |= {
        host.call
        for call in (*contract.hypercalls(), *contract.hvt_hypercalls())
        for host in call.host
    }
    return frozenset(NUMBERS[name] for name in made)


def call_name(number: int) -> str:
    """A system call's name."""
    return NAMES.get(number, f"number {number}")


def request_name(number: int) -> str:
    """An ioctl request's name."""
    return REQUEST_NAMES.get(number & 0xFFFFFFFF, f"request {number:#x}")
