"""Constants of one Linux program for the library OS: ``guest_info`` and what it points to."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from limpet.arch.x86_64 import machine
from limpet.contract import GUEST_INFO, SYMBOL_ENTRY
from limpet.formats.image import Image
from limpet.formats.tree.layout import Tree
from limpet.guests.linux.layout import Layout


@dataclass(frozen=True)
class Constants:
    """What is known before anything is placed: ``environment`` holds the baked strings."""

    environment: tuple[bytes, ...]
    symbols: tuple[tuple[int, bytes], ...]
    name: bytes

    @property
    def size(self) -> int:
        """Bytes that :meth:`guest_bytes` takes."""
        strings = sum(len(each) + 1 for each in (*self.environment, self.name))
        names = sum(len(name) + 1 for _, name in self.symbols)
        table = len(self.symbols) * SYMBOL_ENTRY.size
        return GUEST_INFO.size + table + strings + names

    def pack(
        self,
        image: Image,
        place: Layout,
        tree: Tree,
        level: machine.CpuLevel,
    ) -> bytes:
        """The constants region: ``guest_info``, the symbol table, then every string."""
        symbols_at = place.constants + GUEST_INFO.size
        strings_at = symbols_at + len(self.symbols) * SYMBOL_ENTRY.size
        environment = b"".join(each + b"\0" for each in self.environment)
        name_at = strings_at + len(environment)
        table, names = bytearray(), bytearray()
        names_at = name_at + len(self.name) + 1
        for address, name in self.symbols:
            table += struct.pack("<QQ", address, names_at + len(names))
            names += name + b"\0"
        info = GUEST_INFO.pack(
            {
                "entry": image.entry,
                "phdr": image.phdr_address or 0,
                "phnum": image.phnum,
                "phent": image.phent,
                "image_lo": place.image_lo,
                "image_hi": place.image_hi,
                "text_lo": place.text,
                "text_hi": place.text_end,
                "arena_lo": place.arena[0],
                "arena_hi": place.arena[1],
                "stack_lo": place.stack[0],
                "stack_hi": place.stack[1],
                "devices": place.devices if place.devices < place.tree else 0,
                "tree": place.tree,
                "tree_size": len(tree.data),
                "symbols": symbols_at,
                "symbols_count": len(self.symbols),
                "environment": strings_at,
                "environment_count": len(self.environment),
                "name": name_at,
                "vector_state": level.vector_state,
            }
        )
        return info + bytes(table) + environment + self.name + b"\0" + bytes(names)


def constants(image: Image, environment: Sequence[str]) -> Constants:
    """Constants of ``image`` with the ``NAME=VALUE`` strings of ``environment``."""
    return Constants(
        environment=tuple(each.encode(errors="surrogateescape") for each in environment),
        symbols=tuple((each.address, each.name.encode()) for each in image.symbols),
        name=b"/bin/" + image.name.encode(errors="surrogateescape"),
    )
