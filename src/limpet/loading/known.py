"""What the code of a program or a shared object says, kept by its content: reading it takes long.

An entry is a text of the cache, which only this user can have written; it begins with the SHA-256
of what follows, so that a damaged one is made again.  It is known by the object's content and by
all of Limpet that had a part in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache as once
from pathlib import Path
from typing import Any

import capstone

from limpet.arch.x86_64.flow import Flow
from limpet.arch.x86_64.sites import Branches, Finder, Instruction, Scan, Site, scan
from limpet.errors import BuildError
from limpet.formats.image import Image, read_program
from limpet.formats.unwind import Function
from limpet.loading.links import Links, links_of
from limpet.tools.cache import Cache

SMALL = 64 << 10
"""Bytes of an object that is read as fast as an entry."""

_PACKAGE = Path(__file__).parents[1]
_READERS = ("arch/x86_64", "formats", "loading")
_Reader = Callable[[Image], tuple[Links, Scan]]


def read_code(image: Image, cache: Cache | None) -> tuple[Links, Scan]:
    """The links of a shared object, and its scan; from ``cache`` where they are known.

    Raises:
        ImageError: its code or its dynamic section is damaged.
    """
    return _known(image, cache, "linked", _read)


def read_alone(image: Image, cache: Cache | None) -> Scan:
    """The scan of a program without shared objects; from ``cache`` where it is known."""
    return _known(image, cache, "alone", lambda image: (Links(), scan(image)))[1]


def _known(image: Image, cache: Cache | None, how: str, read: _Reader) -> tuple[Links, Scan]:
    if cache is None or len(image.data) < SMALL:
        return read(image)
    key = f"code-{hashlib.sha256(f'{_reader()} {how} {image.digest}'.encode()).hexdigest()}"
    found = _unpacked(cache.text(key) or "", image)
    if found is None:
        found = read(image)
        with suppress(BuildError):  # one that cannot be written is no reason to do without
            cache.put_text(key, packed(*found))
    return found


def _read(image: Image) -> tuple[Links, Scan]:
    return links_of(read_program(image.data, image.name), image)


@once
def _reader() -> str:
    """A digest of what reads code."""
    state = hashlib.sha256(f"{capstone.cs_version()}".encode())
    for folder in _READERS:
        for path in sorted((_PACKAGE / folder).rglob("*.py")):
            state.update(f"{path.relative_to(_PACKAGE)}\0".encode() + path.read_bytes())
    return state.hexdigest()


def packed(links: Links, scan: Scan) -> str:
    """As text, with its digest before it."""
    flow = links.flow
    table = {
        "sites": [_site(each) for each in scan.sites],
        "hidden": scan.hidden,
        "targets": sorted(scan.targets),
        "wanted": sorted(links.wanted),
        "named": None if links.named is None else sorted(links.named),
        "numbers": None if links.numbers is None else sorted(links.numbers),
        "flow": flow and [flow.functions, flow.leads, sorted(flow.roots)],
        "exports": {name: sorted(places) for name, places in sorted(links.exports.items())},
        "words": sorted(links.words),
        "writers": [[at, sorted(each)] for at, each in sorted(links.writers.items())],
    }
    text = json.dumps(table, separators=(",", ":"))
    return f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def _unpacked(text: str, image: Image) -> tuple[Links, Scan] | None:
    """What :func:`packed` made of the links and scan of ``image``; ``None`` if it is damaged."""
    digest, _, rest = text.partition("\n")
    if hashlib.sha256(rest.encode(errors="surrogateescape")).hexdigest() != digest:
        return None
    table: dict[str, Any] = json.loads(rest)
    found = tuple(_site_of(each) for each in table["sites"])
    branches = Branches(Finder(image))
    scan = Scan(found, table["hidden"], frozenset(table["targets"]), branches)
    return _links(table), scan


def _links(table: Mapping[str, Any]) -> Links:
    return Links(
        frozenset(table["wanted"]),
        _some(table["named"]),
        _some(table["numbers"]),
        _flow(table["flow"]),
        {name: frozenset(places) for name, places in table["exports"].items()},
        frozenset(table["words"]),
        {at: frozenset(each) for at, each in table["writers"]},
    )


def _some(given: Iterable[Any] | None) -> frozenset[Any] | None:
    return None if given is None else frozenset(given)


def _flow(given: Sequence[Any] | None) -> Flow | None:
    if given is None:
        return None
    functions, leads, roots = given
    return Flow(
        tuple(Function(*each) for each in functions), tuple(map(tuple, leads)), frozenset(roots)
    )


def _site(each: Site) -> list[Any]:
    return [
        each.address,
        sorted(each.numbers),
        each.evidence,
        [_instruction(one) for one in each.before],
        [_instruction(one) for one in each.after],
        each.reached,
        [sorted(one) for one in each.arguments],
    ]


def _instruction(each: Instruction) -> list[Any]:
    return [each.address, each.code.hex(), each.mnemonic, each.operands]


def _site_of(given: Sequence[Any]) -> Site:
    address, numbers, evidence, before, after, reached, arguments = given
    return Site(
        address,
        frozenset(numbers),
        evidence,
        tuple(map(_instruction_of, before)),
        tuple(map(_instruction_of, after)),
        reached,
        tuple(map(frozenset, arguments)),
    )


def _instruction_of(given: Sequence[Any]) -> Instruction:
    address, code, mnemonic, operands = given
    return Instruction(address, bytes.fromhex(code), mnemonic, operands)
