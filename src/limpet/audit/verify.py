"""``verify`` and ``rebuild``: make a bundle again from the guest that is inside it.

A bundle is determined by its guest, its packed files, its options, Limpet and the toolchain.  The
first three are inside and the last two are named, so that an operator who did not make it can make
it again and compare, wherever and whenever it was made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from limpet.audit.reading import read_own
from limpet.building.bundle import Bundle, build
from limpet.contract.pages import PAGE
from limpet.errors import BundleError, PlanError, VersionError
from limpet.formats.bundle import packed_guest, record
from limpet.formats.bundle import read as bundle_file
from limpet.formats.bundle.read import BundleFile, are
from limpet.formats.contents import Content, in_place, is_zero, same
from limpet.formats.memory import Memory
from limpet.formats.tree.layout import Tree, room
from limpet.formats.tree.read import read_tree
from limpet.guests.registry import plan, read_image
from limpet.loading.guest import Guest
from limpet.loading.objects import with_objects
from limpet.planning.options import Options
from limpet.tools import genuine, toolchain
from limpet.tools.cache import Cache
from limpet.version import __version__


@dataclass(frozen=True)
class Difference:
    """A part of the file that came out otherwise: how many bytes, the first at ``offset``."""

    part: str
    offset: int
    count: int


@dataclass(frozen=True)
class Verdict:
    """Whether a bundle is what it says, and where it is not."""

    name: str
    sha256: str
    limpet: str
    toolchain: str
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether every byte came out the same."""
        return not self.differences


def verify(path: Path, cache: Cache | None = None) -> Verdict:
    """Make the bundle at ``path`` again and compare.

    Raises:
        InputError: it is not a bundle, or what it carries is damaged.
        VersionError: it was made with other tools.
        ToolchainError: the toolchain here is not the one that it says it is.
    """
    return verify_bundle(read_own(path, cache), cache)


def verify_bundle(bundle: BundleFile, cache: Cache | None = None) -> Verdict:
    """As :func:`verify`, of a bundle that was read already."""
    made = made_again(bundle, cache)
    known, found = bundle.record, tuple[Difference, ...]()
    if not are(made.pieces, bundle.data):
        found = tuple(_differences(bundle, bundle_file.parse(made.data, "made again")))
    digest = hashlib.sha256(bundle.data).hexdigest()
    return Verdict(bundle.name, digest, known.limpet, known.toolchain, found)


def made_again(bundle: BundleFile, cache: Cache | None = None) -> Bundle:
    """What ``bundle`` ought to be: made from its guest, with its options and the same tools.

    Raises:
        InputError: what it carries is damaged.
        VersionError: it was made with other tools.
        ToolchainError: the toolchain here is not the one that it says it is.
    """
    _check_tools(bundle, "limpet", __version__)
    _check_tools(bundle, "toolchain", toolchain.version())
    genuine.check()
    known = plan(taken_out(bundle), options(bundle), cache)
    return build(known, cache, packed=bundle.packed_guest or b"")


def rebuild(
    path: Path, changed: Mapping[str, Any], tree: Tree | None = None, cache: Cache | None = None
) -> Bundle:
    """The guest of the bundle at ``path`` with this Limpet, and ``changed`` options.

    Raises:
        InputError: it is not a bundle, or what it carries is damaged.
        PlanError: a dynamic program cannot have another ``tree``.
    """
    bundle = read_own(path, cache)
    guest = taken_out(bundle)
    if guest.memory:
        raise PlanError(
            f"{bundle.name}: a snapshot: its memory fits no other library OS and no other options",
            hint="take it again: limpet snapshot",
        )
    if tree is not None:
        if guest.loader:
            raise PlanError(
                f"{bundle.name}: a dynamic program, whose shared objects are among its files",
                hint="build it from the program: limpet build --root FOLDER PROGRAM",
            )
        guest = replace(guest, tree=tree)
    return build(plan(guest, replace(options(bundle), **changed), cache), cache)


def _check_tools(bundle: BundleFile, what: str, here: str) -> None:
    made = getattr(bundle.record, what)
    if made != here:
        word = "newer " if _version(made) > _version(here) else ""
        raise VersionError(
            f"{bundle.name}: made with the {word}{what} {made!s:.99}; here is {here}",
            hint="install what made it to compare, or use: limpet rebuild",
        )


def _version(text: object) -> tuple[int, ...]:
    """Its numbers: what ``0.10.1`` or ``ziglang 0.17.1`` are compared by."""
    return tuple(int(each) for each in re.findall(r"\d{1,9}", str(text))[:8])


def taken_out(bundle: BundleFile) -> Guest:
    """The guest inside ``bundle``, as :func:`limpet.load` gave it when the bundle was made.

    Raises:
        InputError: it is damaged or missing.
    """
    known = bundle.record
    read = read_image(packed_guest.take_out(bundle), known.guest.name)
    packed = Tree()
    if known.tree:
        packed = _tree(bundle, known.tree)
    guest = with_objects(read, packed, known.guest.path)
    return replace(guest, memory=_memory(bundle)) if known.options.get("snapshot") else guest


def _tree(bundle: BundleFile, known: record.Tree) -> Tree:
    """Its packed files, where they are."""
    data = bundle.view(known.address, known.size)
    if data is None:
        raise BundleError(
            f"{bundle.name}: the packed files are not where the record says", hint="do not run it"
        )
    filled = bundle.view(known.address, room(known.size))
    own = filled is not None and is_zero(filled[known.size :])
    return Tree(
        in_place(data),
        read_tree(data, bundle.name),
        in_place(filled) if filled is not None and own else b"",
    )


def _memory(bundle: BundleFile) -> Memory:
    """What the guest goes on with: all that it could ever write, and only it is harmed by that."""
    known = bundle.record
    runs = [
        (part.address, bytes(bundle.content(part))) for part in bundle.parts if "w" in part.rights
    ]
    runs += _sealed(bundle)
    try:
        found = Memory.of_pages(sorted(runs), bundle.largest)
        return replace(
            found,
            hot=known.hot,
            loaded=known.loaded,
            sealed=known.sealed,
            idle=known.idle,
            hidden=known.hidden,
        )
    except ValueError as error:
        raise BundleError(f"{bundle.name}: a snapshot with {error}", hint="do not run it") from None


def _sealed(bundle: BundleFile) -> Iterator[tuple[int, bytes]]:
    """What a process can only read at first; a virtual machine's monitor can write that, but for
    the data of idle objects."""
    written = [(part.address, part.end) for part in bundle.parts if "w" in part.rights]
    runs = [
        (low, high)
        for low, high in bundle.record.sealed
        if not any(start < high and low < end for start, end in written)
    ]
    if sum(high - low for low, high in runs) > bundle.largest:
        raise BundleError(f"{bundle.name}: a snapshot with too much memory", hint="do not run it")
    for low, high in runs:
        yield low, bundle.memory(low, high - low)


def options(bundle: BundleFile) -> Options:
    """The options that ``bundle`` was made with.

    Raises:
        VersionError: they are of a Limpet that has others.
    """
    known = {each.name: each.default for each in fields(Options)}
    given: dict[str, Any] = {}
    for name, value in bundle.record.options.items():
        like = known.get(name)
        if name not in known or type(value) is not type(like):
            raise VersionError(
                f"{bundle.name}: made with the option {name:.99} = {value!r:.99}, which "
                f"Limpet {__version__} does not have",
                hint="use the Limpet that made it",
            )
        given[name] = value
    return Options(**given)


def _regions(bundle: BundleFile) -> dict[str, tuple[int, int]]:
    """The whole file as named pieces: offset and size."""
    pieces = [(each.name, each.offset, each.size) for each in bundle.parts]
    pieces += [(name.lstrip("."), offset, size) for name, offset, size in bundle.sections]
    pieces.sort(key=lambda each: each[1])
    first = pieces[0][1] if pieces else len(bundle.data)
    end = max((offset + size for _, offset, size in pieces), default=0)
    whole = [("headers", 0, first), *pieces, ("section headers", end, len(bundle.data) - end)]
    return {name: (offset, size) for name, offset, size in whole}


def _differences(given: BundleFile, made: BundleFile) -> Iterator[Difference]:
    if same(given.data, made.data):
        return
    mine, theirs = _regions(given), _regions(made)
    found = 0
    for name in dict.fromkeys([*mine, *theirs]):
        offset, size = mine.get(name, (0, 0))
        other_offset, other_size = theirs.get(name, (0, 0))
        one = given.data[offset : offset + size]
        other = made.data[other_offset : other_offset + other_size]
        if not same(one, other):
            found += 1
            yield _difference(name, offset, one, other)
    if not found:
        yield _difference("between the parts", 0, given.data, made.data)


def _difference(name: str, offset: int, one: Content, other: Content) -> Difference:
    both = min(len(one), len(other))
    first, count = both, abs(len(one) - len(other))
    for at in range(0, both, PAGE):
        mine, theirs = bytes(one[at : at + PAGE]), bytes(other[at : at + PAGE])
        if mine != theirs:
            places = [at + i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b]
            first, count = min([first, *places]), count + len(places)
    return Difference(name, offset + first, count)
