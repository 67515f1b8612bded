"""The system calls that a Linux program is served: those of its sites, and those asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from limpet.arch.x86_64.sites import Scan, Site
from limpet.arch.x86_64.syscalls import NAMES, NUMBERS
from limpet.errors import PlanError
from limpet.formats.image import Image
from limpet.guests.linux import parts
from limpet.guests.linux.jit import may_run
from limpet.guests.linux.parts import SystemCall
from limpet.guests.linux.rights import MAPPING
from limpet.plain import quoted
from limpet.planning.plan import Decision

ALWAYS_CALLS = ("exit_group",)
"""Served in every guest: the way out."""

EVERYTHING = "all"
"""What ``--serve`` takes in place of names."""

DEAD_FUNCTIONS = ("__init_libc",)
_DEAD_WHY = "only in musl's __init_libc, for set-user-ID programs, which no guest is"
_SHOWN = 3
"""Sites that are named in one line."""


@dataclass(frozen=True)
class Calls:
    """What is served, why, and what is not.

    ``unserved`` has the names of calls that sites in reach make and that no part serves, by number,
    ``unreached`` those that only sites out of reach make.
    """

    served: tuple[SystemCall, ...]
    decisions: tuple[Decision, ...]
    unserved: Mapping[int, str]
    unreached: Mapping[int, str]
    runs: bool  # whether it can ask for executable memory
    any_number: bool


def system_calls(
    reached: Scan,
    whole: Scan,
    image: Image,
    known: Mapping[int, SystemCall],
    asked: Sequence[str] = (),
) -> Calls:
    """Decide what a program is served.

    Args:
        reached: its sites that can be come to.
        whole: all of them.
        image: the program, whose symbols may tell more.
        known: what there is to serve, by number.
        asked: names of calls that are served whatever leads to them.

    Raises:
        PlanError: there is no such call, or nothing serves it.
    """
    sites = whole if EVERYTHING in asked else reached
    dead = dead_sites(sites, image)
    numbers: dict[int, str] = {}
    if sites.unresolved:
        why = f"{len(sites.unresolved)} sites have a number that only shows at run time"
        numbers = dict.fromkeys(known, why)
    for site in sites.sites:
        if site.address not in dead:
            numbers.update((number, f"called at {site.address:#x}") for number in site.numbers)
    numbers |= dict.fromkeys(_numbers(asked, known), "asked for with --serve")
    for name in ALWAYS_CALLS:
        numbers.setdefault(NUMBERS[name], "every guest can end")
    lost = _lost(whole.sites, numbers)
    served = _served(numbers, known, sites)
    return Calls(
        tuple(served.values()),
        (*_in_or_not(numbers, served), *_out(lost, dead, known)),
        _unserved(numbers, known),
        {each: NAMES[each] for each in lost if each in NAMES and not lost[each] <= dead},
        any_number=bool(sites.unresolved),
        runs=may_run(sites),
    )


def _served(
    numbers: Iterable[int], known: Mapping[int, SystemCall], sites: Scan
) -> dict[int, SystemCall]:
    """No more of each than it needs; but of executable memory only the whole call remembers."""
    whole = MAPPING if may_run(sites) else ()
    calls = {each: known[each] for each in sorted(numbers) if each in known}
    return {n: c if c.name in whole else c.least(sites.sites) for n, c in calls.items()}


def check_served(asked: Iterable[str]) -> None:
    """Nothing, or an error for names of system calls that no program is served.

    Raises:
        PlanError: there is no such call, or nothing serves it.
    """
    tuple(_numbers(asked, parts.served()))


def _numbers(asked: Iterable[str], known: Mapping[int, SystemCall]) -> Iterable[int]:
    for name in asked:
        if name == EVERYTHING:
            continue
        if NUMBERS.get(name) not in known:
            what = "not served by anything" if name in NUMBERS else "no system call of Linux"
            raise PlanError(f"--serve {quoted(name)}: {what}", hint="leave it out")
        yield NUMBERS[name]


def _lost(sites: Iterable[Site], numbers: Collection[int]) -> dict[int, set[int]]:
    """The places of calls that are not among ``numbers``."""
    lost: dict[int, set[int]] = {}
    for site in sites:
        for number in site.numbers - set(numbers):
            lost.setdefault(number, set()).add(site.address)
    return lost


def _in_or_not(numbers: Mapping[int, str], served: Mapping[int, SystemCall]) -> Iterable[Decision]:
    for number, why in sorted(numbers.items()):
        name = NAMES.get(number, f"number {number}")
        limits = served[number].limits if number in served else ", not served: ENOSYS"
        yield Decision("system call", name, number in served, why + limits)


def _out(
    lost: Mapping[int, set[int]], dead: Collection[int], known: Collection[int]
) -> Iterable[Decision]:
    """What only code makes that is not run."""
    for number, places in sorted(lost.items()):
        if number not in NAMES or number not in known:
            continue
        where = ", ".join(f"{each:#x}" for each in sorted(places)[:_SHOWN])
        more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
        why = _DEAD_WHY if places <= set(dead) else f"nothing leads to {where}{more}"
        yield Decision("system call", NAMES[number], False, why)


def _unserved(numbers: Collection[int], known: Collection[int]) -> Mapping[int, str]:
    return {each: NAMES[each] for each in numbers if each not in known and each in NAMES}


def dead_sites(scan: Scan, image: Image) -> set[int]:
    """The sites in code that no guest runs: musl looks there at AT_SECURE first."""
    places = [
        range(symbol.address, symbol.address + symbol.size)
        for symbol in image.symbols
        if symbol.name in DEAD_FUNCTIONS
    ]
    return {each.address for each in scan.sites if any(each.address in one for one in places)}
