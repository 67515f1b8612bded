"""Reading a packed tree back: the files inside a bundle, by name and hash.

The bytes are hostile.  A tree has one form: what was read is laid out again by the writer of
:mod:`write`, and the result must be the same bytes.  So this asks only for what is needed to get
that far, with bounds: nothing is read outside of the tree, and no content counts twice.
"""

from __future__ import annotations

import stat

from limpet.errors import BundleError, TreeError
from limpet.formats.contents import Content
from limpet.formats.tree import layout
from limpet.formats.tree.layout import MAX_NAMES, NAME_MAX, Entry
from limpet.formats.tree.write import Node, packed_as

_KINDS = (stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK)


def read_tree(data: Content, name: str) -> tuple[Entry, ...]:
    """Every name in a packed tree, in the order in which it is packed.

    Raises:
        BundleError: the tree is damaged; ``name`` is what the error calls the bundle.
    """
    try:
        view = memoryview(data)
        entries = packed_as(_Reader(view).top(), view)
        if entries is None:
            raise _Damaged("they are not in the form in which files are packed")
    except (_Damaged, TreeError) as error:
        raise BundleError(
            f"{name}: the packed files are damaged: {error}", hint="copy or build it again"
        ) from None
    return entries


class _Damaged(Exception):
    """Why no tree can be read."""


class _Reader:
    """Records become nodes; the parent of each comes before it."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        if len(data) < layout.record_at(0):
            raise _Damaged("they are too short")
        self._count = layout.head(data)
        if not 0 < self._count <= MAX_NAMES or layout.record_at(self._count) > len(data):
            raise _Damaged(f"{self._count} records do not fit")
        self._left = len(data)
        self._shared: dict[int, Node] = {}

    def top(self) -> Node:
        """The root, with all that is below it."""
        nodes = [self._node(0)]
        if not nodes[0].is_directory or nodes[0].name:
            raise _Damaged("the root is not a folder")
        for index in range(self._count):
            if index == len(nodes):
                raise _Damaged(f"record {index} is in no folder")
            if nodes[index].is_directory:
                self._add_children(index, nodes)
        return nodes[0]

    def _add_children(self, index: int, nodes: list[Node]) -> None:
        record = layout.record(self._data, index)
        first, count = record["data"], record["size"]
        if first != len(nodes) or first + count > self._count:
            raise _Damaged(f"the children of record {index} lie elsewhere")
        for child in range(first, first + count):
            node = self._node(child)
            if node.name in nodes[index].children or node.name in (b"", b".", b".."):
                raise _Damaged(f"record {child} has a name that is empty or there twice")
            nodes[index].children[node.name] = node
            nodes.append(node)

    def _node(self, index: int) -> Node:
        record = layout.record(self._data, index)
        if stat.S_IFMT(record["mode"]) not in _KINDS:
            raise _Damaged(f"record {index} is of a kind that is not packed")
        name = bytes(self._part(record["name"], record["name_length"], f"the name of {index}"))
        if len(name) > NAME_MAX or b"/" in name or b"\0" in name:
            raise _Damaged(f"record {index} has a name that no file can have")
        node = Node(name, record["mode"], record["modified"])
        if not node.is_directory:
            self._give_content(index, record, node)
        return node

    def _give_content(self, index: int, record: dict[str, int], node: Node) -> None:
        """Its own content, or that of the record before it that it is a hard link to."""
        inode = record["inode"]
        first = self._shared.setdefault(inode, node)
        if first is not node and (first.size, first.mode) != (record["size"], node.mode):
            raise _Damaged(f"record {index} is a hard link to a file that is different")
        node.size, node.shared = record["size"], inode
        if first is node:
            self._part(record["data"], node.size, f"the content of {index}")
            self._left -= node.size
            if self._left < 0:
                raise _Damaged("contents overlap")

    def _part(self, at: int, size: int, what: str) -> memoryview:
        if at + size > len(self._data):
            raise _Damaged(f"{what} lies outside")
        return self._data[at : at + size]
