"""The porter: the process beside a guest's that has its ports of UDP, and its own filter."""

from __future__ import annotations

from collections.abc import Iterator

from limpet.planning.features import Chosen
from limpet.planning.filters import WayOut, resolved
from limpet.planning.seccomp import KILL_PROCESS, Filter, Rule


def porter_filter(chosen: Chosen, way_out: WayOut) -> Filter:
    """What a porter may ask of its host; everything else ends it."""
    return Filter(tuple(_rules(chosen, way_out)), KILL_PROCESS, (0, 0))


def _rules(chosen: Chosen, way_out: WayOut) -> Iterator[Rule]:
    for host in chosen.beside("porter"):
        for pins in resolved(host, "kvm", (), way_out=way_out):
            yield Rule(host.call, host.why, pins)
