"""How large the library OS of a guest can be.

A plan places the library OS before it is linked for the guest.  What is linked for any guest is
some of the objects and two files of generated C, so no guest's is larger than all of the objects
and the generated C of the guests that have most.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache as once
from pathlib import Path
from threading import Lock

from limpet import contract
from limpet.arch.x86_64.syscalls import NAMES
from limpet.contract import Hypercall
from limpet.contract.limits import (
    ENDPOINTS_MOST,
    MAX_DEVICES,
    PARKED_FD,
    PUBLISHED_MOST,
    SOCKETS_MOST,
)
from limpet.formats.destinations import destination
from limpet.formats.manifest import Device
from limpet.formats.ports import LOOPBACK, Endpoint, Port
from limpet.guests.linux import library
from limpet.guests.linux.dispatch import dispatch_c
from limpet.guests.linux.generate import gates_c
from limpet.guests.linux.layout import TEXT_ALIGN
from limpet.guests.linux.parts import served
from limpet.planning.features import Chosen
from limpet.planning.filters import WayOut
from limpet.planning.monitor import host_numbers
from limpet.planning.outside import Outside
from limpet.tools import freestanding, toolchain, upkeep
from limpet.tools.cache import Cache
from limpet.tools.freestanding import Sizes

ROOM = Sizes(text=384 << 10, rodata=80 << 10, data=896 << 10)
"""What a guest has for it, more than it takes: so a plan can be made before anything is compiled.
A guest whose own takes more is planned again with what is measured then."""

FLAGS = (*library.FLAGS, "-O0")
"""What is only measured is not optimized: a quarter of the time, and larger (tested)."""

_measured_once = Lock()
"""Who needs it while it is measured waits, and does not measure it as well."""


def sizes(cache: Cache) -> Sizes:
    """The most that the library OS of a guest can take.

    Raises:
        BuildError: what was found out is not as it was kept.
    """
    generated = _generated(cache)
    with library.objects(cache) as known:
        compiled = freestanding.sizes_of(known)
    return Sizes(
        max(ROOM.text, generated.text + compiled.text),
        max(ROOM.rodata, generated.rodata + compiled.rodata),
        max(ROOM.data, generated.data + compiled.data),
    )


def _generated(cache: Cache) -> Sizes:
    """What the generated C takes at most."""
    texts = extremes()
    state = hashlib.sha256(freestanding.guest_digest().encode())
    for own in (__file__, library.__file__):  # how it is compiled
        state.update(Path(own).read_bytes())
    for name, text in texts.items():
        state.update(f"{name}\0{text}\0".encode())
    key = f"most-{state.hexdigest()}"
    with _measured_once:
        known = cache.text(key)
        if known is None or not _is_whole(known):
            with upkeep.workspace(cache) as folder:
                found = json.dumps(asdict(measured(texts, folder, FLAGS)))
            known = f"{hashlib.sha256(found.encode()).hexdigest()}\n{found}"
            cache.put_text(key, known)
    return Sizes(**json.loads(known.partition("\n")[2]))


def _is_whole(text: str) -> bool:
    digest, _, found = text.partition("\n")
    return hashlib.sha256(found.encode(errors="surrogateescape")).hexdigest() == digest


def measured(texts: Mapping[str, str], work: Path, flags: Sequence[str]) -> Sizes:
    """What files of C take together, compiled in ``work`` with ``flags``."""
    library.write(work, texts.items())
    sources = [work / each for each in texts if each.endswith(".c")]
    words = toolchain.words_for_many(sources[0], flags=flags, include=work)
    toolchain.compile_beside(sources, words, include=work, shares=1)
    made = [each.with_suffix(".o") for each in sources]
    return freestanding.sizes_of(made, TEXT_ALIGN)  # optimized they may ask for more than now


@once
def extremes() -> Mapping[str, str]:
    """Generated C of the guests that have most: each piece of any other's stands in one of these.

    A hypercall has one of two gates, and waiting for one network may take more code than for many;
    nothing else depends on their number.
    """
    everything = contract.hypercalls()
    disk, network = Device("d", "block", 1), Device("n", "net", 2)
    volume = Device("/v", "volume", 3)
    few, most = (disk, network, volume), (disk, *(network,) * (MAX_DEVICES - 1))
    least = contract.least(everything)
    waits = [call for call in least if call.instead]
    plain = [call for call in everything if call not in least]
    return {
        "dispatch.c": dispatch_c(served().values(), NAMES, NAMES, any_number=True, traced=True),
        "nothing.c": gates_c((), ("process",), (), threads=False, placed=False),
        "host_numbers.h": host_numbers(Chosen((), frozenset()), everything),
        "most.c": _gates(least, few),
        "networks.c": _gates(waits, most),
        "plain.c": _gates(plain, few),
        "plain-networks.c": _gates(plain, most),
    }


def _gates(calls: Sequence[Hypercall], devices: Sequence[Device]) -> str:
    """With all the ports and endpoints that can be."""
    ports = tuple(Port(LOOPBACK, each, each) for each in range(1, PUBLISHED_MOST + 1))
    ends = tuple(Endpoint(LOOPBACK, each) for each in range(1, ENDPOINTS_MOST + 1))
    names = (destination("a.b:1"),)
    every = Outside(ports, ends, SOCKETS_MOST, PARKED_FD, destinations=names)
    return gates_c(
        calls,
        contract.BACKENDS,
        devices,
        threads=True,
        placed=True,
        timer=1 << 46,
        snapshot=True,
        after=1,
        way_out=WayOut(every, 1 << 37),
        traced=True,
        counted=True,
    )
