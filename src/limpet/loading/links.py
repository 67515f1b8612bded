"""What a file asks of others by name, and what its own functions lead to.

Everything here is about the file alone, so that it is found out once for each.  Of a C library it
says which functions lead to which system calls; of whoever calls ``dlsym`` or ``syscall`` which
names and numbers it gives them, when all of those are constants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from limpet.arch.x86_64.flow import Code, Flow
from limpet.arch.x86_64.sites import Branches, Finder, Scan, Site, candidates
from limpet.arch.x86_64.slices import Slices
from limpet.formats.image import Access, Image, Program
from limpet.formats.linkage import Linkage, read_linkage
from limpet.formats.unwind import functions

LOOKS_UP = ("dlsym", "dlvsym")
"""Functions of a C library that find others by a name, which is their second argument."""

CALLS_BY_NUMBER = "syscall"
"""The one that makes the system call whose number is its first argument."""

FEW_SITES = 32
"""With no more that may be one it is not looked at which of them are reached: all are."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CALL, _JUMP = b"\xff\x15", b"\xff\x25"

_STUB = 5
"""Bytes at most that a stub of a linkage table has before its jump."""

_DIRECT = (0xE8, 0xE9)
_IN_STEP = 64
"""Bytes within which decoding from a wrong place has long fallen into step."""


@dataclass(frozen=True)
class Links:
    """``wanted`` are the names that its loader looks up for it; ``named`` and ``numbers`` what it
    gives to ``dlsym`` and ``syscall``, ``None`` for anything at all.

    With a ``flow``: ``exports`` has the places of the names that others find, ``words`` are what
    may be a name in its constants.
    """

    wanted: frozenset[str] = frozenset()
    named: frozenset[str] | None = frozenset()
    numbers: frozenset[int] | None = frozenset()
    flow: Flow | None = None
    exports: Mapping[str, frozenset[int]] = field(default_factory=dict)
    words: frozenset[str] = frozenset()
    writers: Mapping[int, frozenset[int]] = field(default_factory=dict)


def links_of(program: Program, image: Image) -> tuple[Links, Scan]:
    """The links of a file, and its scan with the numbers that its functions' code makes known.

    Raises:
        ImageError: its dynamic section is damaged, or its code absurd.
    """
    finder, found = Finder(image), candidates(image)
    many = found > FEW_SITES and not image.fixed
    linkage = read_linkage(program.data, program.segments, program.name, offers=many)
    links = Links(linkage.wanted)
    asks = {*LOOKS_UP, CALLS_BY_NUMBER} & linkage.wanted
    if not (asks or found) or not image.executable:
        return links, finder.scan()
    own = functions(image, program.segments)
    entry = {image.entry} if image.entry else set()
    named = finder.pointed if image.fixed else set()  # by instructions, absolutely
    code = Code(image, own, finder.near_branches, frozenset(linkage.pointed | entry | named))
    finder.exact = code if many and own else None
    slices, scan = Slices(code), finder.scan()
    if asks:
        links = _with_asked(links, linkage, code, slices, scan.branches)
    sites = [_resolved(each, slices) for each in scan.sites if not _is_other(each, code)]
    hidden = scan.hidden + len(scan.sites) - len(sites)
    scan = replace(scan, sites=tuple(sites), hidden=hidden)
    if finder.exact is None:
        return links, scan
    exports, words = linkage.exports, _words(code)
    flow = code.flow(place for places in exports.values() for place in places)
    writers = _writers(scan.unresolved, code, slices)
    return replace(links, flow=flow, exports=exports, words=words, writers=writers), scan


def _resolved(site: Site, slices: Slices) -> Site:
    if site.numbers:
        return site
    found = slices.values(site.address, "a")
    if not found:
        return site
    numbers = frozenset(each & 0xFFFFFFFF for each in found)
    return replace(site, numbers=numbers, evidence="constants on every way that leads there")


def _is_other(site: Site, code: Code) -> bool:
    """Whether what may be a site is a part of other instructions, as its function decodes."""
    if site.numbers or code.starts(site.address):
        return False
    near = range(site.address - _IN_STEP, site.address + 1)
    return all(code.starts(each) for each in near if code.is_entered(each))


def _writers(sites: Iterable[Site], code: Code, slices: Slices) -> Mapping[int, frozenset[int]]:
    """The functions that use the pointer behind which the number of each site is.

    One that is zero in the file, and that no other function uses, leads to no number.
    """
    found: dict[int, frozenset[int]] = {}
    for site in sites:
        place, own = slices.pointer(site.address, "a"), code.at(site.address)
        if place is None or not _is_zero(code.image, place):
            continue
        users = {code.at(at) for at in code.uses(place)} - {own}
        if None not in users:
            found[site.address] = frozenset(each for each in users if each is not None)
    return found


def _words(code: Code) -> frozenset[str]:
    """What may be a name among the constants whose addresses its code or its data has."""
    found = set()
    for at in (*code.taken, *code.pointed):
        if not code.in_code(at) and (text := _text(code.image, at)) and _WORD.fullmatch(text):
            found.add(text)
    return frozenset(found)


def _with_asked(
    found: Links, linkage: Linkage, code: Code, slices: Slices, branches: Branches
) -> Links:
    named: set[str] = set()
    numbers: set[int] = set()
    any_name = any_number = False
    for slot, name in linkage.slots.items():
        if name in LOOKS_UP and not any_name:
            values = _given(code, slices, branches, slot, "si")
            texts = {_text(code.image, each) for each in values or ()}
            any_name |= values is None or None in texts
            named.update(each for each in texts if each is not None)
        elif name == CALLS_BY_NUMBER and not any_number:
            values = _given(code, slices, branches, slot, "di")
            any_number |= values is None
            numbers.update(each & 0xFFFFFFFF for each in values or ())
    return replace(
        found,
        named=None if any_name else frozenset(named),
        numbers=None if any_number else frozenset(numbers),
    )


def _is_zero(image: Image, address: int) -> bool:
    """Whether writable memory starts as zeros there."""
    for each in image.segments:
        if each.address <= address and address + 8 <= each.end:
            at = address - each.address
            return Access.WRITE in each.access and not any(each.data[at : at + 8])
    return False


def _text(image: Image, address: int) -> str | None:
    """The name at ``address``, ``None`` where it may change or is none."""
    for segment in image.segments:
        at = address - segment.address
        if 0 <= at < len(segment.data) and Access.WRITE not in segment.access:
            name, end, _ = segment.data[at : at + 1024].partition(b"\0")
            return name.decode(errors="surrogateescape") if end else None
    return None


def _given(
    code: Code, slices: Slices, branches: Branches, slot: int, register: str
) -> frozenset[int] | None:
    """The values that ``register`` has wherever the function in ``slot`` is called."""
    places = list(_calls_through(code, branches, slot))
    found: set[int] = set()
    for each in places:
        values = None if each is None else slices.values(each, register)
        if values is None:
            return None
        found |= values
    return frozenset(found) if places else None


def _calls_through(code: Code, branches: Branches, slot: int) -> Iterator[int | None]:
    """The calls of what is in ``slot``; ``None`` for any other use of it."""
    for at in code.uses(slot):
        before = bytes((_byte(code.image, at - 1), _byte(code.image, at)))
        if before == _CALL:
            yield at - 1
        elif before == _JUMP:
            yield from _calls_of_stub(code, branches, at - 1)
        else:
            yield None


def _calls_of_stub(code: Code, branches: Branches, jump: int) -> Iterator[int | None]:
    """The calls of a stub that ends in the ``jump``, which may itself be a call at an end."""
    found: list[int] = []
    for start in range(jump - _STUB, jump + 1):
        if start in branches.pointed or start in code.taken:
            yield None
        found += branches.near.get(start, ())
    for source in found:
        if _byte(code.image, source) not in _DIRECT or code.at(source) is None:
            yield None
        elif code.starts(source):
            yield source
    if not found:
        yield jump


def _byte(image: Image, address: int) -> int:
    for each in image.executable:
        if each.address <= address < each.end:
            return each.data[address - each.address]
    return 0
