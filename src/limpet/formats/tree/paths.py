"""Paths within a packed tree, as the kernel follows them: through links, from the root on."""

from __future__ import annotations

import os
import stat
from functools import cached_property

from limpet.formats.tree.layout import Tree, record

_MOST_LINKS = 40
"""As Linux has it."""


class Paths:
    """The names of one tree."""

    def __init__(self, tree: Tree) -> None:
        self._data = tree.data

    def index(self, path: str) -> int | None:
        """The record that ``path`` leads to, ``None`` where there is none."""
        if not self._data:
            return None
        waiting = [part for part in reversed(os.fsencode(path).split(b"/")) if part]
        way = [0]
        links = 0
        while waiting:
            part = waiting.pop()
            if part == b".":
                continue
            if part == b"..":
                way = way[:-1] or [0]
                continue
            found = self._children.get((way[-1], part))
            if found is None:
                return None
            each = record(self._data, found)
            if not stat.S_ISLNK(each["mode"]):
                way.append(found)
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            target = bytes(self._data[each["data"] : each["data"] + each["size"]])
            if target.startswith(b"/"):
                way = [0]
            waiting += [part for part in reversed(target.split(b"/")) if part]
        return way[-1]

    @cached_property
    def _children(self) -> dict[tuple[int, bytes], int]:
        found: dict[tuple[int, bytes], int] = {}
        folders = [0]
        for folder in folders:  # grows while it is read
            row = record(self._data, folder)
            for index in range(row["data"], row["data"] + row["size"]):
                each = record(self._data, index)
                name = self._data[each["name"] : each["name"] + each["name_length"]]
                found[folder, bytes(name)] = index
                if stat.S_ISDIR(each["mode"]):
                    folders.append(index)
        return found
