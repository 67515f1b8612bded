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
from typing import Any

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
from limpet.errors import BuildError
from limpet.formats.destinations import destination
from limpet.formats.manifest import Device
from limpet.formats.ports import LOOPBACK, Endpoint, Port
from limpet.guests.linux import together
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

FLAGS = ("-O2", "-mllvm", "-inline-threshold=50", *GUEST_INCLUDES)
"""What the library OS is compiled with, generated C included.

Files that are compiled as one see each other's functions: without a lower threshold there would be
more code, and no time saved.
"""

_MADE = "made"
"""In its folder: what was found out, and the digests of the objects."""


@contextmanager
def objects(cache: Cache) -> Iterator[list[Path]]:
    """The objects; they stay meanwhile.

    Raises:
        BuildError: one is not as it was made.
    """
    with _library(cache) as folder:
        known = _made(folder)["objects"]
        for name, digest in known.items():
            path = folder / name
            if not path.is_file() or _digest(path) != digest:
                raise _damaged(path)
        yield [folder / name for name in known]


def sizes(cache: Cache) -> Sizes:
    """The most that the library OS of a guest can take.

    Raises:
        BuildError: what was found out is not as it was kept.
    """
    with _library(cache) as folder:
        return Sizes(**_made(folder)["sizes"])


def _made(folder: Path) -> Any:
    try:
        digest, text = (folder / _MADE).read_text(encoding="ascii").split("\n", 1)
    except (OSError, ValueError):
        digest, text = "", ""
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise _damaged(folder / _MADE)
    return json.loads(text)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _damaged(path: Path) -> BuildError:
    return BuildError(
        f"{path}: this file of the cache is damaged",
        hint=f"rm -r {path.parent}, and look whether the disk is well",
    )


def _library(cache: Cache) -> Entry:
    generated = _extremes()
    state = hashlib.sha256(freestanding.guest_digest().encode())
    for own in (__file__, together.__file__):  # how it is compiled, and what is kept of that
        state.update(Path(own).read_bytes())
    for name, text in generated.items():
        state.update(f"{name}\0{text}\0".encode())
    return cache.folder(f"libos-{state.hexdigest()}", lambda folder: _make(folder, generated))


@once
def _extremes() -> Mapping[str, str]:
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


def _make(folder: Path, generated: Mapping[str, str]) -> None:
    """Compile all of the library OS into ``folder``, and measure."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        written = dict(generated)
        kept, measured = [], [work / each for each in generated if each.endswith(".c")]
        for each in GUEST_ROOT.rglob("*.[hS]"):
            written[str(each.relative_to(GUEST_ROOT))] = each.read_text(encoding="utf-8")
        sources = guest_sources()
        for place, text in together.texts(
            GUEST_ROOT, (each for each in sources if each.suffix == ".c")
        ):
            written[place] = text
            kept.append(work / place)
        for file, text in written.items():
            (work / file).parent.mkdir(parents=True, exist_ok=True)
            (work / file).write_text(text, encoding="utf-8")
        freestanding.write_headers(work)
        kept += [work / each.relative_to(GUEST_ROOT) for each in sources if each.suffix == ".S"]
        objects = _compile([*kept, *measured], work)
        found = asdict(freestanding.sizes_of(objects))
        digests = {}
        for made, source in zip(objects, kept, strict=False):
            called = f"{str(source.relative_to(work)).replace('/', '-')}.o"
            digests[called] = _digest(made)
            made.rename(folder / called)
    text = json.dumps({"sizes": found, "objects": dict(sorted(digests.items()))})
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / _MADE).write_text(f"{digest}\n{text}", encoding="ascii")


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
