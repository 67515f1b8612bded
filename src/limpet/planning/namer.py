"""The namer: the process beside a guest's that changes names below volumes, and its own filter.

It tells whose files are, too, where the guest's own process does not see that.  It makes the calls
that a kvm monitor makes for ``volume_name``, behind the same pins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from limpet.contract import Hypercall, hypercalls
from limpet.formats.manifest import VOLUME, Device
from limpet.planning.features import Chosen
from limpet.planning.filters import resolved
from limpet.planning.seccomp import KILL_PROCESS, Filter, Rule

_ASKS, _CHANGES = "volume_ask", "volume_name"
_FINDS = ("openat2", "fstat", "close")
"""All that it takes of these to tell whose a file is, where nothing can be written."""


def changes(asked: Iterable[Hypercall]) -> tuple[Hypercall, ...]:
    """The hypercall whose work a namer does, where there is one among what the guest asks."""
    there = any(call.name == _ASKS for call in asked)
    return tuple(call for call in hypercalls() if there and call.name == _CHANGES)


def namer_filter(chosen: Chosen, devices: Sequence[Device]) -> Filter:
    """What a namer may ask of its host; everything else ends it."""
    return Filter(tuple(_rules(chosen, devices)), KILL_PROCESS, (0, 0))


def _rules(chosen: Chosen, devices: Sequence[Device]) -> Iterator[Rule]:
    writable = any(each.kind == VOLUME and not each.read_only for each in devices)
    own = chosen.beside("namer")
    names = [host for call in hypercalls() if call.name == _CHANGES for host in call.host]
    for host in (*own, *(each for each in names if writable or each.call in _FINDS)):
        for pins in resolved(host, "kvm", devices):
            yield Rule(host.call, host.why, pins)
