"""The record of a bundle of our own, read without the rest of it: for what has to start at once.

Whoever has a bundle that may be hostile uses :mod:`limpet.formats.bundle_file`.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from limpet.errors import BundleError
from limpet.formats import elf
from limpet.formats.elfwriter import RECORD_SECTION


def read_record(path: Path) -> dict[str, Any]:
    """The record of the bundle at ``path``.

    Raises:
        BundleError: it cannot be read, or has none.
    """
    try:
        with path.open("rb") as stream:
            header = elf.Header.unpack(stream.read(elf.HEADER_SIZE))
            stream.seek(header.shoff)
            table = stream.read(header.shnum * elf.SECTION_SIZE)
            places = range(0, len(table), elf.SECTION_SIZE)
            sections = [elf.SectionHeader.unpack(table, at) for at in places]
            stream.seek(sections[header.shstrndx].offset)
            names = stream.read(sections[header.shstrndx].size)
            for each in sections:
                if names[each.name :].split(b"\0", 1)[0] == RECORD_SECTION.encode():
                    stream.seek(each.offset)
                    found: dict[str, Any] = json.loads(stream.read(each.size))
                    return found
    except (OSError, struct.error, IndexError, ValueError):
        pass
    raise BundleError(f"{path}: its record cannot be read", hint=f"rm -r {path.parent}")
