"""The guest's own file inside its bundle, to the byte: what ``verify`` and ``rebuild`` start from.

Most of it is in the bundle's memory already.  So the section holds the file XORed with that memory,
which leaves zeros but for rewritten instructions and what is never loaded, compressed.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from limpet.errors import BundleError
from limpet.formats.bundle_file import BundleFile
from limpet.formats.elfwriter import Load
from limpet.formats.image import Image

_LEVEL = 9
_SEGMENT = struct.Struct("<IIQQQQQQ")
_PT_LOAD = 1
_MAX_RUNS = 256

Run = tuple[int, int, int]
"""Offset in the file, bytes, address in memory."""


def runs(image: Image) -> list[Run]:
    """Which bytes of the guest's file are where in memory, ascending and apart."""
    entry, phoff = struct.unpack_from("<QQ", image.data, 24)
    (count,) = struct.unpack_from("<H", image.data, 56)
    base = image.entry - entry
    found = []
    for index in range(count):
        row = _SEGMENT.unpack_from(image.data, phoff + index * _SEGMENT.size)
        if row[0] == _PT_LOAD and row[5]:
            found.append((row[2], row[5], row[3] + base))
    found.sort()
    apart = all(a[0] + a[1] <= b[0] for a, b in pairwise(found))
    return found if apart and len(found) <= _MAX_RUNS else []


def described(image: Image) -> dict[str, Any]:
    """What the record says of the guest."""
    known: dict[str, Any] = {"name": image.name, "sha256": image.digest}
    if image.data:
        known |= {"size": len(image.data), "runs": runs(image)}
    return known


def pack(image: Image, segments: Sequence[Load], known: bytes = b"") -> bytes:
    """The section for ``image`` in a bundle of ``segments``: ``known`` when it says the same."""
    if not image.data:
        return b""
    memory = [(each.address, each.content) for each in segments]
    plain = _xored(image.data, runs(image), memory)
    return known if _inflated(known, len(plain)) == plain else zlib.compress(plain, _LEVEL)


def _inflated(packed: bytes, size: int) -> bytes | None:
    """Exactly ``size`` bytes out of a whole stream, and never more."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, size + 1)
    except zlib.error:
        return None
    whole = unpacker.eof and not unpacker.unused_data and not unpacker.unconsumed_tail
    return data if whole and len(data) == size else None


def _xored(data: bytes, placed: Sequence[Run], memory: Iterable[tuple[int, bytes]]) -> bytes:
    """``data`` XORed with the memory that its runs lie in; does and undoes."""
    out = bytearray(data)
    contents = list(memory)
    for offset, size, address in placed:
        for start, content in contents:
            low, high = max(address, start), min(address + size, start + len(content))
            if low >= high:
                continue
            at = offset + low - address
            mine = int.from_bytes(data[at : at + high - low], "little")
            theirs = int.from_bytes(content[low - start : high - start], "little")
            out[at : at + high - low] = (mine ^ theirs).to_bytes(high - low, "little")
    return bytes(out)


def take_out(bundle: BundleFile) -> bytes:
    """The guest's file, exactly as it was when ``bundle`` was made.

    Raises:
        BundleError: it is not in there, or not what the record says.
    """
    packed, known = bundle.packed_guest, bundle.record.get("guest")
    if packed is None or not isinstance(known, dict):
        raise BundleError(
            f"{bundle.name}: the guest's own file is not in it", hint="build it with this Limpet"
        )
    size = known.get("size")
    if not isinstance(size, int) or not 0 < size <= bundle.largest:
        raise _damaged(bundle, "its size is absurd")
    data = _inflated(packed, size)
    if data is None:
        raise _damaged(bundle, "it does not unpack to the size that the record gives")
    memory = [(part.address, bundle.content(part)) for part in bundle.parts]
    data = _xored(data, _checked(bundle, known.get("runs"), size), memory)
    if hashlib.sha256(data).hexdigest() != known.get("sha256"):
        raise _damaged(bundle, "its SHA-256 is not the one in the record")
    return data


def _damaged(bundle: BundleFile, what: str) -> BundleError:
    return BundleError(
        f"{bundle.name}: the guest's own file in it is damaged: {what}",
        hint="get the bundle again from where it came from",
    )


def _checked(bundle: BundleFile, given: object, size: int) -> list[Run]:
    placed: list[Run] = []
    if not isinstance(given, list) or len(given) > _MAX_RUNS:
        raise _damaged(bundle, "no table of its runs")
    for each in given:
        whole = isinstance(each, list) and len(each) == 3 and all(type(n) is int for n in each)
        if not whole or min(each) < 0 or each[0] + each[1] > size:
            raise _damaged(bundle, "a run outside of it")
        if placed and placed[-1][0] + placed[-1][1] > each[0]:
            raise _damaged(bundle, "runs that overlap")
        placed.append((each[0], each[1], each[2]))
    return placed
