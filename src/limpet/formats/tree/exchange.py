"""A packed tree in which some files have another content: what of its bytes changes."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
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
    """A tree of ``size`` bytes: ``records`` and names at its start, and ``rest`` from ``at`` on.

    ``order`` has each record's place in the tree that it was.
    """

    size: int
    records: bytes
    at: int
    rest: bytes
    order: Sequence[int]


def exchange(
    tree: memoryview, files: Mapping[int, Content], names: Mapping[int, bytes] | None = None
) -> Exchanged | None:
    """The tree that was packed in ``tree`` if those ``files``, by their records, had been other.

    ``None`` where an object would have to move, or a name is another's already.

    Args:
        tree: of one's own: what it says is believed.
        files: regular files of one name each.
        names: what some of these are called now, in the folder where they are.
    """
    before = [layout.record(tree, index) for index in range(layout.head(tree))]
    order: Sequence[int] = range(len(before))
    records, called = before, b""
    if names:
        called_now = _names(tree, before) | dict(names)
        found = _ordered(before, called_now)
        if found is None:
            return None
        order = found
        records, called = _renamed(before, order, called_now)
        files = {new: files[old] for new, old in enumerate(order) if old in files}
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
        known, moved = records[index]["data"], order[index] != index
        if index in files:
            rest[place - at : place - at + sizes[index]] = files[index].data
        elif (place >= at or moved) and sizes[index]:
            content = bytes(tree[known : known + sizes[index]])
            if (place != known or moved) and content.startswith(_TIED):
                return None
            if place >= at:
                rest[place - at : place - at + sizes[index]] = content
    start = _records(tree, records, files, places)
    if names:
        start = (start + called).ljust(min(at, *places.values()), b"\0")
    return Exchanged(size, start, at, bytes(rest), order)


def _names(tree: memoryview, records: Sequence[dict[str, int]]) -> dict[int, bytes]:
    return {
        index: bytes(tree[each["name"] : each["name"] + each["name_length"]])
        for index, each in enumerate(records)
    }


def _ordered(records: Sequence[dict[str, int]], names: Mapping[int, bytes]) -> list[int] | None:
    """The records as they are sorted by ``names``; ``None`` where one is there twice in a folder.

    Only files are called otherwise, so that folders keep their order, and their children's.
    """
    order = list(range(len(records)))
    for each in records:
        if stat.S_ISDIR(each["mode"]):
            low, high = each["data"], each["data"] + each["size"]
            inside = sorted(order[low:high], key=lambda index: names[index])
            if len({names[index] for index in inside}) < len(inside):
                return None
            order[low:high] = inside
    return order


def _renamed(
    records: Sequence[dict[str, int]], order: Sequence[int], names: Mapping[int, bytes]
) -> tuple[list[dict[str, int]], bytes]:
    """The records in that ``order``, and their names one behind the other."""
    found: list[dict[str, int]] = []
    first: dict[int, int] = {}
    at = layout.record_at(len(records))
    for new, old in enumerate(order):
        each = records[old]
        inode = first.setdefault(each["inode"], new)
        found.append({**each, "inode": inode, "name": at, "name_length": len(names[old])})
        at += len(names[old]) + 1
    return found, b"".join(names[old] + b"\0" for old in order)


def _same_until(
    places: Mapping[int, int],
    records: Sequence[dict[str, int]],
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
    records: Sequence[dict[str, int]],
    files: Mapping[int, Content],
    places: Mapping[int, int],
) -> bytes:
    out = bytearray(tree[: layout.record_at(len(records))])
    with memoryview(out) as view:
        for index, each in enumerate(records):
            now = {**each}
            if not stat.S_ISDIR(each["mode"]):
                now["data"] = places[each["inode"]]
            if index in files:
                content = files[index]
                now |= {"mode": content.mode, "modified": content.modified}
                now["size"] = len(content.data)
            layout.put_record(view, index, now)
    return bytes(out)
