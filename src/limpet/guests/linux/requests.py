"""Where a program's code asks for what is not served: its sites, and their arguments if constant.

Flags are those of Linux's ``uapi``: ``linux/sched.h``, ``asm-generic/mman-common.h``.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from limpet.arch.x86_64.arguments import Constant, constants
from limpet.arch.x86_64.calls import Calls
from limpet.arch.x86_64.sites import Site
from limpet.arch.x86_64.syscalls import NAMES
from limpet.guests.linux import unserved
from limpet.guests.linux.unserved import Want

_CALLERS = 2
"""How many callers up an argument's value is looked for."""

_CLONE_THREAD = 0x10000
_SPAWN_FLAGS = (0x4100, 0x4111)
"""What posix_spawn starts processes with."""

_AF_UNIX = 1
_PROT_EXEC, _PROT_ALL = 4, 7


@dataclass(frozen=True)
class Request:
    """A place in the code that asks for something.

    ``direct`` is whether a library asks there for itself in every program, so that only a program
    that comes there by direct calls means it.
    """

    want: Want
    call: str
    address: int
    direct: bool = False


def requests(calls: Calls, sites: Iterable[Site]) -> Iterator[Request]:
    """Everything that ``sites`` ask for and that is not served."""
    table = unserved.wants_by_call()
    clones: list[tuple[str, int]] = []
    for site in sites:
        for call, asked_at in _named_calls(calls, site):
            if call in ("clone", "clone3"):
                clones.append((call, asked_at))
            elif call == "socket":
                yield from _sockets(calls, asked_at)
            elif call in ("mmap", "mprotect"):
                yield from _memory(calls, call, asked_at)
            elif call in table:
                yield Request(table[call], call, asked_at)
    yield from _clones(calls, clones)


def _named_calls(calls: Calls, site: Site) -> Iterator[tuple[str, int]]:
    """The system calls of a site, each with the place that chooses it."""
    if site.numbers:
        found = [Constant(number, site.address) for number in site.numbers]
    else:  # klibc has one site, and stubs that bring their number to it
        found = list(constants(calls, site.address, "a", _CALLERS))
    for each in found:
        if each.value in NAMES:
            yield NAMES[each.value], each.asked_at


def _clones(calls: Calls, clones: Collection[tuple[str, int]]) -> Iterator[Request]:
    unknown = []
    for call, address in clones:
        flags = list(constants(calls, address, "di", _CALLERS)) if call == "clone" else []
        for each in flags:
            if not each.value & _CLONE_THREAD:
                yield Request(unserved.PROCESSES, call, each.asked_at)
        if not flags:
            unknown.append((call, address))
    if unknown:
        names = ", ".join(sorted({call for call, _ in unknown}))
        within = calls.distances(address for _, address in unknown)
        for value in _SPAWN_FLAGS:
            for address in _immediates(calls, value):
                if calls.function(address) in within:
                    yield Request(unserved.PROCESSES, names.partition(",")[0], address)


def _immediates(calls: Calls, value: int) -> Iterator[int]:
    """The instructions of the code with a constant of 32 bits."""
    wanted = struct.pack("<I", value)
    for segment in calls.image.executable:
        at = segment.data.find(wanted)
        while at >= 0:
            address = segment.address + at
            body = calls.body(calls.block(address))
            index = bisect_left(body.order, address)
            if index and address < sum(body.code[body.order[index - 1]][:2]):
                yield body.order[index - 1]
            at = segment.data.find(wanted, at + 1)


def _sockets(calls: Calls, address: int) -> Iterator[Request]:
    found = list(constants(calls, address, "di", _CALLERS))
    for each in found:
        if each.value != _AF_UNIX:
            yield Request(unserved.SOCKETS, "socket", each.asked_at)
    if not found:
        yield Request(unserved.SOCKETS, "socket", address)


def _memory(calls: Calls, call: str, address: int) -> Iterator[Request]:
    rights = {each.asked_at: each.value for each in constants(calls, address, "d", _CALLERS)}
    for asked_at, value in rights.items():
        if value & _PROT_EXEC:
            stack = call == "mprotect" and value & _PROT_ALL == _PROT_ALL  # as glibc's for dlopen
            yield Request(unserved.EXECUTABLE, call, asked_at, direct=stack)
