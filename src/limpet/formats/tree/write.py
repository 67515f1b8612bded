"""Writing a packed tree.  The same nodes give the same bytes, in whatever order they were added.

The tree is laid out before any content is asked for, and each content is written to its place in
the one buffer that becomes the tree: a tree of 1 GiB takes 1 GiB of memory, not three.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from limpet.contract.pages import align_up
from limpet.errors import TreeError
from limpet.formats.contents import is_zero, same
from limpet.formats.tree import layout
from limpet.formats.tree.layout import MAX_NAMES, MAX_PATHS, MAX_TREE, PATH_MAX, Entry, Tree
from limpet.plain import quoted

Fill = Callable[[memoryview], None]
"""Writes the whole content of a file to where it is packed."""


def _nothing(_: memoryview) -> None:
    return


@dataclass
class Node:
    """A file, directory or symbolic link that is to be packed; it belongs to user 0."""

    name: bytes
    mode: int
    modified: int
    """Nanoseconds since 1970."""
    size: int = 0
    """Bytes of the content; of a directory 0."""
    fill: Fill = _nothing
    shared: Hashable = None
    """Equal for the hard links to one file, ``None`` for all that has one name."""
    children: dict[bytes, Node] = field(default_factory=dict)

    @property
    def is_directory(self) -> bool:
        """Whether it may have children."""
        return stat.S_ISDIR(self.mode)

    def files(self) -> Iterator[str]:
        """The paths of the regular files below it."""
        waiting = [("", self)]
        while waiting:
            path, node = waiting.pop()
            for name, child in sorted(node.children.items()):
                where = f"{path}/{os.fsdecode(name)}"
                if child.is_directory:
                    waiting.append((where, child))
                elif stat.S_ISREG(child.mode):
                    yield where


@dataclass
class _Placed:
    node: Node
    path: str
    name: int = 0
    inode: int = 0
    data: int = 0  # of a directory, the index of its first child


def pack_nodes(top: Node) -> Tree:
    """The packed tree below the directory ``top``.

    Raises:
        TreeError: it takes more than ``MAX_TREE`` bytes, or a path in it is too long; besides what
            the nodes' ``fill`` raises.
    """
    placed = _breadth_first(top)
    contents, size = _lay_out(placed)
    if size > MAX_TREE:
        raise TreeError(
            f"the packed files would take {size >> 20} MiB, more than {MAX_TREE >> 20}",
            hint="leave large files out, or put them on a disk: --block NAME=PATH",
        )
    buffer = io.BytesIO()
    buffer.seek(size - 1)
    buffer.write(b"\0")  # the memory for all of it, once
    with buffer.getbuffer() as view:
        _write_records(view, placed)
        for each, end in contents:
            with view[each.data : end] as place:
                each.node.fill(place)
        entries = tuple(_entries(view, placed))
    return Tree(buffer.getvalue(), entries)


def packed_as(top: Node, data: memoryview) -> tuple[Entry, ...] | None:
    """What is in ``data`` if it is :func:`pack_nodes` of ``top``, whose contents it has itself.

    The records say where these are.  So it is, if they and the names are the same, there are zeros
    between the contents, and nothing is behind them.  None of them is copied.

    Raises:
        TreeError: a path in it is too long, or there is no end of names.
    """
    placed = _breadth_first(top)
    contents, size = _lay_out(placed)
    if size != len(data):
        return None
    at = min([size, *(each.data for each, _ in contents)])
    head = bytearray(at)
    with memoryview(head) as view:
        _write_records(view, placed)
    if not same(head, data[:at]):
        return None
    for each, end in contents:
        if not is_zero(data[at : each.data]):
            return None
        at = end
    return tuple(_entries(data, placed))


def _breadth_first(top: Node) -> list[_Placed]:
    """Every node, children side by side."""
    placed = [_Placed(top, "/")]
    paths = 0
    for each in placed:  # grows while it is read
        if each.node.is_directory:
            each.data = len(placed)
        for name in sorted(each.node.children):
            path = each.path.rstrip("/") + "/" + os.fsdecode(name)
            length = len(os.fsencode(path))
            _check_path(path, length)
            paths += length
            placed.append(_Placed(each.node.children[name], path))
        if len(placed) > MAX_NAMES or paths > MAX_PATHS:
            raise TreeError(
                f"there are more than {MAX_NAMES} files to pack, or their paths are very long",
                hint="pack fewer, or put them on a disk: --block NAME=PATH",
            )
    return placed


def _check_path(path: str, length: int) -> None:
    if length > PATH_MAX:
        raise TreeError(
            f"{quoted(path)}: a path of {length} bytes in the guest; Linux allows {PATH_MAX}",
            hint="leave out what lies that deep, or give --root a folder further down",
        )


def _names_end(placed: list[_Placed]) -> int:
    return align_up(placed[-1].name + len(placed[-1].node.name) + 1, layout.SMALL)


def _lay_out(placed: list[_Placed]) -> tuple[list[tuple[_Placed, int]], int]:
    """Say of each where its name, its inode and its content are.

    Returns:
        Those that have a content of their own, and where that ends, ascending; and how many bytes
        all of it takes.
    """
    at = layout.record_at(len(placed))
    first: dict[Hashable, int] = {}
    sizes: dict[int, int] = {}
    for index, each in enumerate(placed):
        node = each.node
        each.name = at
        at += len(node.name) + 1
        each.inode = index if node.shared is None else first.setdefault(node.shared, index)
        if each.inode == index and not node.is_directory:
            sizes[index] = node.size
    contents: list[tuple[_Placed, int]] = []
    for index, place in layout.content_places(sizes, at):
        placed[index].data = place
        contents.append((placed[index], place + sizes[index]))
    for each in placed:
        if not each.node.is_directory:
            each.data = placed[each.inode].data
    return contents, contents[-1][1] if contents else _names_end(placed)


def _write_records(view: memoryview, placed: list[_Placed]) -> None:
    layout.put_head(view, len(placed))
    links = Counter(each.inode for each in placed)
    for index, each in enumerate(placed):
        node = each.node
        layout.put_record(
            view,
            index,
            {
                "mode": node.mode,
                "links": links[each.inode],
                "size": len(node.children) if node.is_directory else node.size,
                "modified": node.modified,
                "data": each.data,
                "name": each.name,
                "name_length": len(node.name),
                "inode": each.inode,
            },
        )
        view[each.name : each.name + len(node.name)] = node.name


def _entries(view: memoryview, placed: list[_Placed]) -> Iterator[Entry]:
    digests: dict[int, str] = {}
    for each in placed:
        node = each.node
        if each.inode not in digests:
            with view[each.data : each.data + node.size] as content:
                digests[each.inode] = hashlib.sha256(content).hexdigest()
        yield Entry(each.path, node.mode, node.size, node.modified, digests[each.inode])
