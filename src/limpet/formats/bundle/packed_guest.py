"""The guest's own file inside its bundle, to the byte: what ``verify`` and ``rebuild`` start from.

Most of it is in the bundle's memory already.  So the section holds the file XORed with that memory,
which leaves zeros but for rewritten instructions and what is never loaded, compressed.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

from limpet.errors import BundleError
from limpet.formats import elf
from limpet.formats.bundle.read import BundleFile
from limpet.formats.bundle.record import MAX_RUNS, Guest, Run
from limpet.formats.bundle.write import Load
from limpet.formats.contents import Content
from limpet.formats.elf import ProgramHeader
from limpet.formats.image import Image

_LEVEL = 9


def runs(image: Image) -> list[Run]:
    """Which bytes of the guest's file are where in memory, ascending and apart."""
    if not image.data:
        return []
    header = elf.Header.unpack(image.data)
    base = image.entry - header.entry
    found = []
    for index in range(header.phnum):
        each = ProgramHeader.unpack(image.data, header.phoff + index * elf.PROGRAM_SIZE)
        if each.kind == elf.PT_LOAD and each.file_size:
            found.append((each.offset, each.file_size, each.address + base))
    found.sort()
    apart = all(a[0] + a[1] <= b[0] for a, b in pairwise(found))
    return found if apart and len(found) <= MAX_RUNS else []


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


def _xored(data: bytes, placed: Sequence[Run], memory: Iterable[tuple[int, Content]]) -> bytes:
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
    packed, known = bundle.packed_guest, bundle.record.guest
    if packed is None:
        raise BundleError(
            f"{bundle.name}: the guest's own file is not in it", hint="build it with this Limpet"
        )
    if not 0 < known.size <= bundle.largest:
        raise _damaged(bundle, "it is larger than a guest can be")
    data = _inflated(packed, known.size)
    if data is None:
        raise _damaged(bundle, "it does not unpack to the size that the record gives")
    memory = [(part.address, bundle.piece(part)) for part in bundle.parts]
    data = _xored(data, _checked(bundle, known), memory)
    if hashlib.sha256(data).hexdigest() != known.sha256:
        raise _damaged(bundle, "its SHA-256 is not the one in the record")
    return data


def _damaged(bundle: BundleFile, what: str) -> BundleError:
    return BundleError(
        f"{bundle.name}: the guest's own file in it is damaged: {what}",
        hint="get the bundle again from where it came from",
    )


def _checked(bundle: BundleFile, known: Guest) -> Sequence[Run]:
    end = 0
    for offset, size, _ in known.runs:
        if offset < end:
            raise _damaged(bundle, "runs that overlap")
        end = offset + size
    if end > known.size:
        raise _damaged(bundle, "a run outside of it")
    return known.runs
