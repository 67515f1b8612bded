"""The library OS, compiled once for every version of it: its objects, and how large they can be.

A plan places the library OS before it is linked for the guest.  What is linked for any guest is
some of the objects and two files of generated C, so no guest's is larger than all of it together.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache as once
from pathlib import Path

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
from limpet.guests.linux.dispatch import dispatch_c
from limpet.guests.linux.generate import gates_c
from limpet.guests.linux.parts import guest_sources, served
from limpet.planning.features import Chosen
from limpet.planning.filters import WayOut
from limpet.planning.monitor import host_numbers
from limpet.planning.outside import Outside
from limpet.sources import GUEST_INCLUDES, GUEST_ROOT
from limpet.tools import freestanding, toolchain
from limpet.tools.cache import Cache
from limpet.tools.entries import Entry
from limpet.tools.freestanding import Sizes

FLAGS = ("-O2", *GUEST_INCLUDES)
"""What the library OS is compiled with, generated C included."""

_SIZES = "sizes"
"""In its folder: what was found out."""


@contextmanager
def objects(cache: Cache) -> Iterator[list[Path]]:
    """The objects; they stay meanwhile."""
    with _library(cache) as folder:
        yield sorted(folder.glob("*.o"))


def sizes(cache: Cache) -> Sizes:
    """The most that the library OS of a guest can take."""
    with _library(cache) as folder:
        return Sizes(**json.loads((folder / _SIZES).read_text(encoding="ascii")))


def _library(cache: Cache) -> Entry:
    generated = _extremes()
    state = hashlib.sha256(freestanding.guest_digest().encode())
    for name, text in generated.items():
        state.update(f"{name}\0{text}\0".encode())
    return cache.folder(f"libos-{state.hexdigest()}", lambda folder: _make(folder, generated))


@once
def _extremes() -> Mapping[str, str]:
    """Generated C of the guests that have most: each piece of any other's stands in one of these.

    A hypercall has one of two gates, and one network may take more code than many.
    """
    everything = contract.hypercalls()
    plain = [call for call in everything if not call.instead]
    disk, network = Device("d", "block", 1), Device("n", "net", 2)
    volume = Device("/v", "volume", 3)
    few, most = (disk, network, volume), (disk, *(network,) * (MAX_DEVICES - 1))
    made = {
        "dispatch.c": dispatch_c(served().values(), NAMES, NAMES, any_number=True, traced=True),
        "nothing.c": gates_c((), ("process",), (), threads=False, placed=False),
        "host_numbers.h": host_numbers(Chosen((), frozenset()), everything),
    }
    for kind, calls in (("plain", plain), ("most", contract.least(everything))):
        for name, devices in (("few", few), ("networks", most)):
            made[f"{kind}-{name}.c"] = _gates(calls, devices)
    return made


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


def _make(folder: Path, generated: Mapping[str, str]) -> None:
    """Compile every file of the library OS into ``folder``, and measure."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        jobs = {each: folder / _object_name(each) for each in guest_sources()}
        for each in GUEST_ROOT.rglob("*.[chS]"):
            copy = work / each.relative_to(GUEST_ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(each.read_bytes())
        for file, text in generated.items():
            (work / file).write_text(text, encoding="utf-8")
        freestanding.write_headers(work)
        copies = [work / each.relative_to(GUEST_ROOT) for each in jobs]
        measured = [work / each for each in generated if each.endswith(".c")]
        objects = _compile([*copies, *measured], work)
        found = asdict(freestanding.sizes_of(objects))
        for made, place in zip(objects, jobs.values(), strict=False):
            made.rename(place)
    (folder / _SIZES).write_text(json.dumps(found), encoding="ascii")


def _compile(sources: Sequence[Path], work: Path) -> list[Path]:
    """Compile files that lie below ``work``; returns the object of each."""
    in_c = [each for each in sources if each.suffix == ".c"]
    toolchain.compile_beside(in_c, flags=FLAGS, include=work)
    made = {each: each.with_suffix(".o") for each in in_c}
    for each in sources:
        if each not in made:
            made[each] = each.with_name(f"{each.name}.o")
            toolchain.compile_object(each, made[each], flags=FLAGS, include=work)
    return [made[each] for each in sources]


def _object_name(source: Path) -> str:
    return str(source.relative_to(GUEST_ROOT)).replace("/", "-") + ".o"
