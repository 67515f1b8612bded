"""Which system call sites of a dynamic program's objects can be come to.

A C library has hundreds; what a program and its objects look up by name, and what the library's
own data points to, leads to some of them.  What is not known to be out of reach is in reach: of a
program that finds functions by names that are no constants, of objects that are loaded by
``dlopen``, and of those whose functions are not known, all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from limpet.arch.x86_64.sites import Scan, Site
from limpet.loading.guest import Guest, SharedObject
from limpet.loading.links import CALLS_BY_NUMBER, LOOKS_UP, Links


@dataclass(frozen=True)
class _Asked:
    """What all of a program's files ask of each other; ``None``: anything."""

    names: frozenset[str] | None
    numbers: frozenset[int] | None


def in_reach(guest: Guest) -> Mapping[int, Scan]:
    """The scan of each object without the sites that nothing leads to, by its inode."""
    asked = _asked(guest)
    started = _started(guest)
    return {each.inode: _within(each, asked, each.inode in started) for each in guest.objects}


def _asked(guest: Guest) -> _Asked:
    links = [guest.links, *(each.links for each in guest.objects)]
    named, numbers = set[str](), set[int]()
    words: set[str] = set()
    for each in links:
        named |= each.wanted | (each.named or frozenset())
        numbers |= each.numbers or frozenset()
    for known in guest.objects:  # those that may look names up by themselves
        if known is guest.loader or not known.links.exports.keys().isdisjoint(LOOKS_UP):
            words |= known.links.words
    direct = any(each.numbers is None for each in links) or CALLS_BY_NUMBER in words
    return _Asked(
        None if any(each.named is None for each in links) else frozenset(named | words),
        None if direct else frozenset(numbers),
    )


def _started(guest: Guest) -> set[int]:
    """The inodes of the objects that the loader has before the program runs."""
    by_name: dict[str, list[SharedObject]] = {}
    for each in guest.objects:
        said = each.image.dynamic
        for name in {os.path.basename(each.path), said.soname if said else ""}:
            by_name.setdefault(name, []).append(each)
    loader = [each for each in guest.objects if each is guest.loader]
    found = {each.inode for each in loader}
    waiting = [guest.image.dynamic, *(each.image.dynamic for each in loader)]
    while waiting:
        said = waiting.pop()
        for name in said.needed if said else ():
            for known in by_name.get(os.path.basename(name), ()):
                if known.inode not in found:
                    found.add(known.inode)
                    waiting.append(known.image.dynamic)
    return found


def _within(known: SharedObject, asked: _Asked, started: bool) -> Scan:
    links, scan = known.links, known.scan
    if links.flow is None:
        return scan
    names = asked.names if started else None
    offered = links.exports
    chosen = offered if names is None else offered.keys() & names
    reached = links.flow.reached(place for name in chosen for place in offered[name])
    numbered = _by_number(links, asked, names)
    sites = []
    for site in scan.sites:
        index = links.flow.at(site.address)
        if index is not None and index not in reached:
            continue
        writers = links.writers.get(site.address)
        if writers is not None and reached.isdisjoint(writers):
            continue
        by_caller = numbered is not None and index == numbered and not site.numbers
        sites.append(_with_numbers(site, asked.numbers) if by_caller else site)
    return replace(scan, sites=tuple(each for each in sites if each is not None))


def _by_number(links: Links, asked: _Asked, names: frozenset[str] | None) -> int | None:
    """The function that is ``syscall``, if all the numbers that it is given are known."""
    places = links.exports.get(CALLS_BY_NUMBER, frozenset())
    if asked.numbers is None or names is None or len(places) != 1 or links.flow is None:
        return None
    index = links.flow.at(min(places))
    used = index in links.flow.roots or any(index in each for each in links.flow.leads)
    return None if used else index


def _with_numbers(site: Site, numbers: Iterable[int] | None) -> Site | None:
    """The site in ``syscall``; ``None`` where it is given none."""
    found, why = frozenset(numbers or ()), "constants in all of its callers"
    return replace(site, numbers=found, evidence=why) if found else None
