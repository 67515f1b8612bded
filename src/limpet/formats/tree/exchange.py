"""A packed tree in which some files have another content: what of its bytes changes."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass

from limpet.contract.pages import align_up
from limpet.formats import elf
from limpet.formats.tree import layout

_TIED = elf.IDENT[:4]
"""What a file starts with that lies in memory where it stands in the tree, too."""


@dataclass(frozen=True)
class Content:
    """What a file is now."""

    mode: int
    modified: int
    """Nanoseconds since 1970."""
    data: bytes


@dataclass(frozen=True)
class Exchanged:
    """A tree of ``size`` bytes: ``records`` at its start, and ``rest`` from ``at`` to its end."""

    size: int
    records: bytes
    at: int
    rest: bytes


def exchange(tree: memoryview, files: Mapping[int, Content]) -> Exchanged | None:
    """The tree that was packed in ``tree`` if those ``files``, by their records, had been other.

    ``None`` where an object would have to move.

    Args:
        tree: of one's own: what it says is believed.
        files: regular files of one name each.
    """
    records = [layout.record(tree, index) for index in range(layout.head(tree))]
    sizes = {
        index: len(files[index].data) if index in files else each["size"]
        for index, each in enumerate(records)
        if not stat.S_ISDIR(each["mode"]) and each["inode"] == index
    }
    first = records[-1]["name"] + records[-1]["name_length"] + 1
    places = dict(layout.content_places(sizes, first))
    at = _same_until(places, records, files, align_up(first, layout.SMALL))
    size = max((place + sizes[index] for index, place in places.items()), default=at)
    rest = bytearray(size - at)
    for index, place in places.items():
        known = records[index]["data"]
        if index in files:
            rest[place - at : place - at + sizes[index]] = files[index].data
        elif place >= at and sizes[index]:
            content = bytes(tree[known : known + sizes[index]])
            if place != known and content.startswith(_TIED):
                return None
            rest[place - at : place - at + sizes[index]] = content
    return Exchanged(size, _records(tree, records, files, places), at, bytes(rest))


def _same_until(
    places: Mapping[int, int],
    records: list[dict[str, int]],
    files: Mapping[int, Content],
    start: int,
) -> int:
    """Up to where every content is as it was."""
    at = start
    for index, place in places.items():
        if index in files or place != records[index]["data"]:
            break
        at = place + records[index]["size"]
    return at


def _records(
    tree: memoryview,
    records: list[dict[str, int]],
    files: Mapping[int, Content],
    places: Mapping[int, int],
) -> bytes:
    out = bytearray(tree[: layout.record_at(len(records))])
    with memoryview(out) as view:
        for index, each in enumerate(records):
            if stat.S_ISDIR(each["mode"]):
                continue
            now = {**each, "data": places[each["inode"]]}
            if index in files:
                content = files[index]
                now |= {"mode": content.mode, "modified": content.modified}
                now["size"] = len(content.data)
            layout.put_record(view, index, now)
    return bytes(out)
