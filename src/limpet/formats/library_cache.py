"""``/etc/ld.so.cache``: where glibc's loader finds objects by name, read and written.

Source: glibc's ``sysdeps/generic/dl-cache.h`` (``struct cache_file_new``) and ``elf/dl-cache.c``.
The file is looked through by halves, so its entries have the loader's order, descending.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from functools import cmp_to_key

PATH = "/etc/ld.so.cache"
_MAGIC = b"glibc-ld.so.cache1.1"
_HEAD = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")
_X86_64 = 0x0303  # FLAG_X8664_LIB64 | FLAG_ELF_LIBC6
_LITTLE_ENDIAN = 2
MOST = 1 << 16
"""Entries."""


def read_cache(data: bytes) -> Mapping[str, str]:
    """The path of each name that is there for every processor; nothing of what is damaged."""
    found: dict[str, str] = {}
    if len(data) < _HEAD.size or not data.startswith(_MAGIC):
        return found
    count = min(_HEAD.unpack_from(data)[1], MOST, (len(data) - _HEAD.size) // _ENTRY.size)
    for index in range(count):
        flags, name, path, _, capabilities = _ENTRY.unpack_from(
            data, _HEAD.size + index * _ENTRY.size
        )
        if flags == _X86_64 and not capabilities:
            found.setdefault(_text(data, name), _text(data, path))
    return found


def _text(data: bytes, at: int) -> str:
    end = data.find(b"\0", at, at + 4096)
    return data[at:end].decode(errors="surrogateescape") if end >= 0 else ""


def write_cache(paths: Mapping[str, str]) -> bytes:
    """A cache of ``paths`` by name."""
    rows, strings = bytearray(), bytearray()
    strings_at = _HEAD.size + len(paths) * _ENTRY.size
    for name in sorted(paths, key=cmp_to_key(compared), reverse=True):
        at = strings_at + len(strings)
        strings += name.encode(errors="surrogateescape") + b"\0"
        rows += _ENTRY.pack(_X86_64, at, strings_at + len(strings), 0, 0)
        strings += paths[name].encode(errors="surrogateescape") + b"\0"
    return _HEAD.pack(_MAGIC, len(paths), len(strings), _LITTLE_ENDIAN, 0) + rows + strings


def compared(one: str, other: str) -> int:
    """As ``_dl_cache_libcmp``: digits that stand together count as a number."""
    left, right = _pieces(one), _pieces(other)
    for a, b in zip(left, right, strict=False):
        if a != b:
            if isinstance(a, int) != isinstance(b, int):
                return 1 if isinstance(a, int) else -1
            return 1 if a > b else -1  # type: ignore[operator]
    return len(left) - len(right)


def _pieces(name: str) -> list[int | str]:
    found = re.findall(r"[0-9]+|[^0-9]", name)
    return [int(each) if each[0] in "0123456789" else each for each in found]
