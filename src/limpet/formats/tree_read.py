"""Reading a packed tree back: the files inside a bundle, by name and hash.

The bytes are hostile: every offset is checked, and no content is hashed without end.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from dataclasses import dataclass, field

from limpet.errors import BundleError
from limpet.formats.tree import HEAD, NAME_MAX, RECORD, Entry

_MOST_PATH = 4096
_HEAD, _RECORD = struct.Struct(HEAD.format), struct.Struct(RECORD.format)
_NAMES = [each.name for each in RECORD.fields]


def read_tree(data: bytes, name: str) -> tuple[Entry, ...]:
    """Every name in a packed tree, in the order in which it is packed.

    Raises:
        BundleError: the tree is damaged; ``name`` is what the error calls the bundle.
    """
    return _Reader(data, name).entries()


@dataclass
class _Reader:
    data: bytes
    name: str
    hashed: int = 0
    known: dict[tuple[int, int], str] = field(default_factory=dict)

    def entries(self) -> tuple[Entry, ...]:
        if len(self.data) < _HEAD.size:
            raise self._damaged("it is too short")
        count = _HEAD.unpack_from(self.data)[0]
        if not 0 < count <= (len(self.data) - _HEAD.size) // _RECORD.size:
            raise self._damaged(f"{count} records do not fit")
        paths: list[str | None] = [None] * count
        paths[0] = "/"
        out = []
        for index in range(count):
            path = paths[index]
            if path is None:
                raise self._damaged(f"record {index} is in no folder")
            record = self._record(index)
            content = self._content(index, record)
            out.append(Entry(path, record["mode"], len(content), self._digest(record, content)))
            if stat.S_ISDIR(record["mode"]):
                self._name_children(index, record, paths)
        return tuple(out)

    def _record(self, index: int) -> dict[str, int]:
        values = _RECORD.unpack_from(self.data, _HEAD.size + index * _RECORD.size)
        return dict(zip(_NAMES, values, strict=True))

    def _content(self, index: int, record: dict[str, int]) -> bytes:
        if stat.S_ISDIR(record["mode"]):
            return b""
        start, end = record["data"], record["data"] + record["size"]
        if end > len(self.data):
            raise self._damaged(f"the content of record {index} lies outside")
        return self.data[start:end]

    def _digest(self, record: dict[str, int], content: bytes) -> str:
        """Its SHA-256; contents that overlap without end are refused."""
        key = (record["data"], len(content))
        if key not in self.known:
            self.hashed += len(content)
            if self.hashed > 2 * len(self.data):
                raise self._damaged("its contents overlap")
            self.known[key] = hashlib.sha256(content).hexdigest()
        return self.known[key]

    def _name_children(self, index: int, record: dict[str, int], paths: list[str | None]) -> None:
        first, count = record["data"], record["size"]
        if count and not (index < first and first + count <= len(paths)):
            raise self._damaged(f"the children of record {index} lie outside")
        parent = str(paths[index]).rstrip("/") + "/"
        for child in range(first, first + count):
            paths[child] = parent + self._child_name(child)
            if len(str(paths[child])) > _MOST_PATH:
                raise self._damaged("a path without end")

    def _child_name(self, index: int) -> str:
        record = self._record(index)
        start, length = record["name"], record["name_length"]
        if length > NAME_MAX or start + length > len(self.data):
            raise self._damaged(f"the name of record {index} lies outside")
        return os.fsdecode(self.data[start : start + length])

    def _damaged(self, what: str) -> BundleError:
        return BundleError(
            f"{self.name}: the packed files are damaged: {what}", hint="copy or build it again"
        )
