"""A program without its debug information, which zig's libc brings along: bundles carry the file.

zig's linker can only strip everything, and symbols are needed: crash reports name functions, and
musl's code that no guest runs is known by its function.
"""

from __future__ import annotations

import struct

_SECTION = struct.Struct("<IIQQQQIIQQ")
_ALLOCATED, _NO_BITS = 2, 8


def without_debug(data: bytes) -> bytes:
    """The ELF file ``data`` without ``.debug_…`` sections; as it is where that is not simple."""
    (shoff,) = struct.unpack_from("<Q", data, 40)
    count, strings = struct.unpack_from("<HH", data, 60)
    rows = [list(_SECTION.unpack_from(data, shoff + 64 * index)) for index in range(count)]
    names = data[rows[strings][4] :]
    kept = [
        index for index, row in enumerate(rows) if not names[row[0] :][:7].startswith(b".debug_")
    ]
    loaded = [row for row in rows if row[2] & _ALLOCATED]
    last = max((index for index, row in enumerate(rows) if row[2] & _ALLOCATED), default=0)
    if kept[: last + 1] != list(range(last + 1)):  # symbols name sections by number
        return data
    out = bytearray(data[: max(row[4] + (0 if row[1] == _NO_BITS else row[5]) for row in loaded)])
    moved = {old: new for new, old in enumerate(kept)}
    table = bytearray()
    for index in kept:
        row = rows[index]
        if index > last:
            content = data[row[4] : row[4] + row[5]]
            out += bytes(-len(out) % 8)
            row[4] = len(out)
            out += content
        row[6] = moved.get(row[6], 0)
        table += _SECTION.pack(*row)
    out += bytes(-len(out) % 8)
    struct.pack_into("<Q", out, 40, len(out))
    struct.pack_into("<HH", out, 60, len(kept), moved[strings])
    return bytes(out + table)
