"""Packed trees, read by the format's own words."""

from __future__ import annotations

import stat

from limpet.formats.tree import layout
from limpet.formats.tree.layout import Tree

Found = dict[bytes, tuple[int, bytes]]


def unpack(tree: Tree) -> Found:
    """Path to type and content."""
    data = tree.data
    records = [layout.record(data, index) for index in range(layout.head(data))]
    found: Found = {}

    def walk(index: int, path: bytes) -> None:
        record = records[index]
        kind = stat.S_IFMT(record["mode"])
        if kind != stat.S_IFDIR:
            found[path] = kind, data[record["data"] : record["data"] + record["size"]]
            return
        found[path] = kind, b""
        children = range(record["data"], record["data"] + record["size"])
        labels = [data[records[i]["name"] :][: records[i]["name_length"]] for i in children]
        assert labels == sorted(labels)
        for child, label in zip(children, labels, strict=True):
            walk(child, path + b"/" + label)

    walk(0, b"")
    return found
