"""The verdict on a program: what its code asks for that is not served, and how surely.

The words are defined in ``docs/verdict.md``.  Code is evidence, not proof: what cannot be decided
(a branch, a pointer) makes the word weaker, never stronger, and what nothing in the program leads
to is not mentioned.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from limpet.arch.x86_64.calls import Calls
from limpet.arch.x86_64.sites import Site
from limpet.formats.image import Image
from limpet.guests.linux import unserved
from limpet.guests.linux.calls import dead_sites
from limpet.guests.linux.imported import imported_requests, want_of
from limpet.guests.linux.place import STATIC_PIE_BASE
from limpet.guests.linux.requests import Request, requests
from limpet.guests.linux.unserved import Want
from limpet.guests.linux.ways import FAR, NEXT, Ways, calls_of
from limpet.loading.guest import Guest
from limpet.loading.verdict import Asked, Certainty, Judged

_LISTED = 6
"""Calls that are named in one line."""

_ORDER = tuple(Certainty)


@dataclass(frozen=True)
class _Found:
    """One reason to believe that a program wants something."""

    want: Want
    certainty: Certainty
    call: str
    where: str
    why: str


def judge(guest: Guest) -> Judged:
    """The verdict on a guest, whatever is decided about it."""
    image, dead = guest.image, dead_sites(guest.scan, guest.image)
    calls = calls_of(image, guest.scan)
    sites = [site for site in guest.scan.sites if site.address not in dead]
    objects = [(each.path, each.image) for each in guest.objects]
    return Judged(verdict(calls, sites, 0 if image.fixed else STATIC_PIE_BASE, objects), calls)


def verdict(
    calls: Calls,
    sites: Iterable[Site],
    base: int = 0,
    objects: Iterable[tuple[str, Image]] = (),
) -> tuple[Asked, ...]:
    """What a program asks for that it will not get, the surest first.

    Args:
        calls: those of the program where its file places it.
        sites: those of its sites that can run.
        base: where it will be: added to every address that is shown.
        objects: the shared objects beside it, by their paths.
    """
    asked: dict[Request, list[int]] = {}
    for request in dict.fromkeys((*requests(calls, sites), *imported_requests(calls.image))):
        asked.setdefault(replace(request, address=0), []).append(request.address)
    found = [*_from_code(asked, Ways(calls, base), base), *_from_objects(objects)]
    wants = dict.fromkeys(each.want for each in found)
    merged = [_merge([each for each in found if each.want == want]) for want in wants]
    return tuple(sorted(merged, key=lambda each: _ORDER.index(each.certainty)))


def _from_code(asked: Mapping[Request, Sequence[int]], ways: Ways, base: int) -> Iterator[_Found]:
    """What requests that are alike amount to, by the places where they are."""
    for request, places in asked.items():
        want, call = request.want, request.call
        way = ways.to(places, _limit(request))
        if way and not (request.direct and way.certainty is Certainty.CONCEIVABLE):
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            yield _Found(
                want, way.certainty, call, f"{call} at {way.place + base:#x}{more}", str(way)
            )


def _from_objects(objects: Iterable[tuple[str, Image]]) -> Iterator[_Found]:
    """What its shared objects could ask for: whether the program comes there is not looked at."""
    table = unserved.wants_by_call()
    for path, image in objects:
        for function in dict.fromkeys(image.imports.values()):
            if wanted := want_of(function, table):
                want, call = wanted
                where = f"{os.path.basename(path)} uses {function}"
                yield _Found(want, Certainty.CONCEIVABLE, call, where, "its code may come there")


def _limit(request: Request) -> int:
    """How many calls from its start a program that means it asks."""
    return NEXT if request.direct else FAR


def _merge(found: list[_Found]) -> Asked:
    """What is said of one want: its surest evidence."""
    best = min((each.certainty for each in found), key=_ORDER.index)
    surest = [each for each in found if each.certainty is best]
    want = surest[0].want
    reasons = dict.fromkeys(each.why for each in surest)
    evidence = tuple(
        f"{_listed([each.where for each in surest if each.why == why])}: {why}" for why in reasons
    )
    names = tuple(dict.fromkeys(each.call for each in surest))
    return Asked(want.what, best, names, want.consequence, evidence)


def _listed(words: Sequence[str]) -> str:
    if len(words) <= _LISTED:
        return ", ".join(words)
    return f"{', '.join(words[:_LISTED])} and {len(words) - _LISTED} more calls"
