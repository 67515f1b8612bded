"""A bundle in which some packed files have another content: the last one's file, changed.

Everything else of a bundle is the same, so that most of the file is copied by the kernel.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from limpet.contract.pages import PAGE
from limpet.formats import elf
from limpet.formats.bundle.part import Part
from limpet.formats.bundle.read import BundleFile, taken_apart
from limpet.formats.bundle.record import LOCATE, Record
from limpet.formats.bundle.write import around
from limpet.formats.tree import layout
from limpet.formats.tree.exchange import Content, exchange
from limpet.planning.outline import filled
from limpet.tools.executables import send


@dataclass(frozen=True)
class _Change:
    """The packed tree at ``offset`` of the file, in ``part``, with what is written over it."""

    part: Part
    offset: int
    size: int
    pages: Mapping[int, bytes]
    """By their offsets in the file."""
    order: Sequence[int]
    """Each record's place in the tree as it was."""


def exchanged(
    base: Path,
    target: Path,
    files: Mapping[int, Content],
    outline: str,
    names: Mapping[int, bytes] | None = None,
    own: Sequence[int] | None = None,
) -> tuple[int, ...] | None:
    """Write the bundle that ``base`` would be with other ``files`` to ``target``.

    Args:
        base: a bundle of one's own: what it says is believed.
        files: regular files of one name each, by their records in the packed tree.
        outline: the one of its plan.
        names: what some of the files are called now.
        own: what this returned for ``target``, where that was made so from the same ``base``:
            then no more is written than what is another in either of them.

    Returns:
        Where its pages are others than those of ``base``, by their offsets in both files; ``None``
        where more than the files would change, and nothing is written.
    """
    with base.open("rb", buffering=0) as source, _mapped(source.fileno()) as view:
        found = taken_apart(cast(bytes, view.obj), str(base))
        change = _change(found, view, files, names)
        if change is None:
            return None
        end = max(each.offset + each.size for each in found.parts)
        with target.open("w+b" if own is None else "r+b", buffering=0) as stream:
            handle = stream.fileno()
            if own is None:
                send(source.fileno(), handle, end)
            for at in own or ():
                os.pwrite(handle, view[at : min(at + PAGE, end)], at)
            os.ftruncate(handle, end)
            for at, page in change.pages.items():
                os.pwrite(handle, page, at)
            text = _record(handle, found, change, files, outline).pack()
            guest = found.packed_guest or b""
            head, tail = around(found.entry, found.parts, end, text, guest)
            os.pwrite(handle, head, 0)
            os.pwrite(handle, tail, end)
            os.fchmod(handle, 0o755)
    return tuple(change.pages)


@contextmanager
def _mapped(handle: int) -> Iterator[memoryview]:
    with mmap.mmap(handle, 0, prot=mmap.PROT_READ) as memory, memoryview(memory) as view:
        yield view


def _change(
    found: BundleFile,
    view: memoryview,
    files: Mapping[int, Content],
    names: Mapping[int, bytes] | None,
) -> _Change | None:
    """What changes in the file; ``None`` where that is not all."""
    tree = found.record.tree
    part = found.part_at(tree.address) if tree else None
    if tree is None or part is None:
        return None
    at = part.offset + tree.address - part.address
    with view[at : at + tree.size] as known:
        new = exchange(known, files, names)
    if new is None or layout.room(new.size) != layout.room(tree.size):
        return None
    rest = new.rest.ljust(tree.size - new.at, b"\0")
    pages = _other_pages(view, ((at, new.records), (at + new.at, rest)))
    change = _Change(part, at, new.size, pages, new.order)
    return change if _is_all(found, view, change) else None


def _other_pages(view: memoryview, pieces: Iterable[tuple[int, bytes]]) -> dict[int, bytes]:
    """The pages that are others when these pieces are put where they say."""
    pages: dict[int, bytearray] = {}
    for at, data in pieces:
        for each in range(at // PAGE * PAGE, at + len(data), PAGE):
            page = pages.setdefault(each, bytearray(view[each : each + PAGE]))
            low, high = max(at, each), min(at + len(data), each + PAGE)
            page[low - each : high - each] = data[low - at : high - at]
    return {at: bytes(page) for at, page in pages.items() if page != view[at : at + PAGE]}


def _is_all(found: BundleFile, view: memoryview, change: _Change) -> bool:
    """Whether no segment stands, or stood, in another one: see ``_inside`` of the writer."""
    fixed = [each for each in found.parts if not each.flags & elf.PF_W and each != change.part]
    largest = max(fixed, key=lambda each: each.size)
    if largest.size > change.part.size:
        return not _stands_in(largest, view, change)
    if largest.size == change.part.size:
        return False
    firsts = {bytes(view[each.offset : each.offset + PAGE]) for each in fixed}
    before = {bytes(view[at : at + PAGE]) for at in change.pages}
    return firsts.isdisjoint(before) and firsts.isdisjoint(change.pages.values())


def _stands_in(largest: Part, view: memoryview, change: _Change) -> bool:
    """Whether what changes stands, or stood, in the largest segment: by its first page."""
    at = change.part.offset
    first = {bytes(view[at : at + PAGE]), bytes(change.pages.get(at, b""))}
    end = largest.offset + largest.size
    return any(bytes(view[at : at + PAGE]) in first for at in range(largest.offset, end, PAGE))


def _digests(view: memoryview, change: _Change) -> tuple[str, str]:
    """Of the tree, and of its segment, which it mostly is: 50 MB are read once."""
    part, end = change.part, change.offset + change.size
    tree = hashlib.sha256(view[change.offset : end])
    starts = change.offset == part.offset
    whole = tree.copy() if starts else hashlib.sha256(view[part.offset : end])
    whole.update(view[end : part.offset + part.size])
    return tree.hexdigest(), whole.hexdigest()


def _record(
    handle: int,
    found: BundleFile,
    change: _Change,
    files: Mapping[int, Content],
    outline: str,
) -> Record:
    """The record of what stands in the new file."""
    known, part = found.record, change.part
    assert known.tree is not None
    with _mapped(handle) as view:
        digest, of_part = _digests(view, change)
    parts = list(known.parts)
    index = found.parts.index(part)
    parts[index] = replace(parts[index], sha256=of_part)
    digits = [
        hashlib.sha256(files[each].data).hexdigest()[:LOCATE]
        if each in files
        else known.tree.files[each * LOCATE : (each + 1) * LOCATE]
        for each in change.order
    ]
    packed = replace(known.tree, size=change.size, sha256=digest, files="".join(digits))
    return replace(known, plan=filled(outline, digest), parts=tuple(parts), tree=packed)
