"""The packed tree as bytes: it has one form, and nothing else is read."""

from __future__ import annotations

import os
import stat
import struct
from functools import partial
from pathlib import Path

import pytest

from limpet.contract.pages import PAGE
from limpet.errors import BundleError, TreeError
from limpet.formats.tree import layout
from limpet.formats.tree.layout import HEAD, RECORD, Tree
from limpet.formats.tree.read import read_tree
from limpet.formats.tree.write import Node, pack_nodes

FOLDER, FILE, LINK = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777
MEMBERS = {field.name: at for at, field in enumerate(RECORD.fields)}


def _put(content: bytes, to: memoryview) -> None:
    to[:] = content


def _file(name: bytes, content: bytes, mode: int = FILE, shared: object = None) -> Node:
    return Node(name, mode, 7, len(content), partial(_put, content), shared)


def _tree() -> Tree:
    top, inner = Node(b"", FOLDER, 7), Node(b"d", FOLDER, 7)
    for node in (_file(b"a", b"aa"), _file(b"big", b"b" * 5000), _file(b"l", b"a", LINK), inner):
        top.children[node.name] = node
    for node in (_file(b"x", b"same", shared=1), _file(b"y", b"same", shared=1)):
        inner.children[node.name] = node
    return pack_nodes(top)


def _changed(data: bytes, index: int, member: str, value: int) -> bytes:
    form = struct.Struct(RECORD.format)
    values = list(form.unpack_from(data, layout.record_at(index)))
    values[MEMBERS[member]] = value
    out = bytearray(data)
    form.pack_into(out, layout.record_at(index), *values)
    return bytes(out)


def test_order_does_not_matter() -> None:
    """The same nodes in another order give the same bytes."""
    made = _tree()
    top = Node(b"", FOLDER, 7)
    for name in (b"z", b"b", b"k"):
        top.children[name] = _file(name, name)
    other = Node(b"", FOLDER, 7)
    for name in (b"k", b"z", b"b"):
        other.children[name] = _file(name, name)
    assert pack_nodes(top) == pack_nodes(other)
    assert read_tree(made.data, "made") == made.entries
    big = next(each for each in made.entries if each.path == "/big")
    assert made.data.index(b"b" * 5000) % PAGE == 0 and big.size == 5000


DAMAGE = {
    "another kind": (1, "mode", stat.S_IFCHR | 0o644, "of a kind that is not packed"),
    "a root that is a file": (0, "mode", FILE, "the root is not a folder"),
    "another owner": (1, "uid", 1000, "not in the form"),
    "another group": (1, "gid", 1000, "not in the form"),
    "other padding": (1, "pad", 1, "not in the form"),
    "more links": (1, "links", 2, "not in the form"),
    "a wrong inode": (1, "inode", 3, "not in the form"),
    "a hard link to another size": (6, "size", 3, "a hard link to a file that is different"),
    "a content that overlaps": (1, "data", 16, "not in the form"),
    "a content outside": (1, "data", 1 << 40, "the content of 1 lies outside"),
    "a content without end": (1, "size", (1 << 64) - 1, "the content of 1 lies outside"),
    "a name outside": (1, "name", 0xFFFFFFF0, "the name of 1 lies outside"),
    "an empty name": (1, "name_length", 0, "a name that is empty or there twice"),
    "a long name": (1, "name_length", 300, "a name that no file can have"),
    "children elsewhere": (0, "data", 2, "the children of record 0 lie elsewhere"),
    "children outside": (3, "size", 99, "the children of record 3 lie elsewhere"),
    "fewer children": (3, "size", 1, "record 6 is in no folder"),
    "a loop": (3, "data", 0, "the children of record 3 lie elsewhere"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage(damage: str) -> None:
    """Each way a record can be wrong."""
    index, member, value, message = DAMAGE[damage]
    made = _tree()
    assert [entry.path for entry in made.entries[3:4]] == ["/d"]
    with pytest.raises(BundleError) as caught:
        read_tree(_changed(made.data, index, member, value), "here")
    assert caught.value.message.startswith("here: the packed files are damaged: ")
    assert message in caught.value.message


def test_contents_that_overlap() -> None:
    """Contents that are all the same bytes are not unpacked to more than there is."""
    made = _tree()
    changed = made.data
    for index in (1, 2):
        changed = _changed(changed, index, "data", 0)
        changed = _changed(changed, index, "size", len(made.data))
    with pytest.raises(BundleError, match="contents overlap"):
        read_tree(changed, "here")


def test_names_that_no_file_can_have() -> None:
    """Slashes, zeros, dots, and siblings that are not in order."""
    data = _tree().data
    at = layout.record(data, 1)["name"]
    for name in (b"/", b"\0", b".", b"z", b"d"):
        bad = data[:at] + name + data[at + 1 :]
        with pytest.raises(BundleError, match="the packed files are damaged"):
            read_tree(bad, "here")


def test_bytes_between() -> None:
    """Nothing hides between contents, behind them or in the head."""
    data = _tree().data
    gap = data.index(b"aa") - 1
    for bad in (data[:gap] + b"!" + data[gap + 1 :], data + b"\0", data[:-1], data[:20], b""):
        with pytest.raises(BundleError, match="the packed files are damaged"):
            read_tree(bad, "here")
    with pytest.raises(BundleError, match="the packed files are damaged"):
        read_tree(data[:8] + b"\1" + data[9:], "here")


def test_folders_without_end() -> None:
    """A chain of folders far deeper than any path, which nothing follows by recursion."""
    count = 20_000
    data = bytearray(layout.record_at(count) + 2 * count)
    names = layout.record_at(count)
    with memoryview(data) as view:
        layout.put_head(view, count)
        for index in range(count):
            values = {"mode": FOLDER, "data": index + 1, "size": int(index + 1 < count)}
            values |= {"links": 1, "inode": index, "name": names + 2 * index - 1}
            layout.put_record(view, index, values | {"name_length": int(index > 0)})
            data[names + 2 * index - 1 : names + 2 * index] = b"n" if index else b"\0"
    with pytest.raises(BundleError, match="a path of 4096 bytes in the guest"):
        read_tree(bytes(data), "here")


def test_too_many(tmp_path: Path) -> None:
    """A count of records that no tree has is refused before any is read."""
    data = bytearray(layout.record_at((1 << 20) + 1))
    struct.pack_into(HEAD.format, data, 0, (1 << 20) + 1, 0)
    with pytest.raises(BundleError, match="1048577 records do not fit"):
        read_tree(bytes(data), "here")
    assert not os.listdir(tmp_path)


def test_paths_without_end() -> None:
    """Paths are long together only up to a limit."""
    top = deep = Node(b"", FOLDER, 0)
    for _ in range(16):
        deep.children[b"d" * 250] = deep = Node(b"d" * 250, FOLDER, 0)
    for at in range(70_000):
        name = b"%05d" % at
        deep.children[name] = Node(name, LINK, 0)
    with pytest.raises(TreeError, match="or their paths are very long"):
        pack_nodes(top)
