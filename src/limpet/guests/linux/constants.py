"""Constants of one Linux program for the library OS: ``guest_info`` and what it points to."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from limpet.arch.x86_64 import machine
from limpet.contract import GUEST_INFO, SPAN, SYMBOL_ENTRY
from limpet.formats.image import Image
from limpet.formats.tree.layout import Tree
from limpet.guests.linux.layout import RESERVE, Layout
from limpet.guests.linux.place import PlacedProgram
from limpet.planning.regions import writable_runs


@dataclass(frozen=True)
class Constants:
    """What is known before the library OS is placed: ``environment`` holds the baked strings."""

    environment: tuple[bytes, ...]
    symbols: tuple[tuple[int, bytes], ...]
    name: bytes
    program: PlacedProgram
    data: tuple[tuple[int, int], ...]  # what the program can write of itself

    @property
    def size(self) -> int:
        """Bytes that :meth:`pack` gives."""
        strings = sum(len(each) + 1 for each in (*self.environment, self.name))
        names = sum(len(name) + 1 for _, name in self.symbols)
        table = len(self.symbols) * SYMBOL_ENTRY.size
        table += len(self.data) * SPAN.size
        return GUEST_INFO.size + table + self.program.table_size + strings + names

    def pack(
        self,
        image: Image,
        place: Layout,
        tree: Tree,
        level: machine.CpuLevel,
        *,
        reserves: bool,
        stops: bool,
    ) -> bytes:
        """The constants region: ``guest_info``, the symbol table, then every string."""
        placed_at = place.constants + GUEST_INFO.size
        data_at = placed_at + self.program.table_size
        symbols_at = data_at + len(self.data) * SPAN.size
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
                "reserve_lo": RESERVE[0] if reserves else 0,
                "reserve_hi": RESERVE[1] if reserves else 0,
                "stack_lo": place.stack[0],
                "stack_hi": place.stack[1],
                "stack_top": place.words_low if stops else place.stack[1],
                "devices": place.devices if place.devices < place.tree else 0,
                "tree": place.tree,
                "tree_size": tree.room,
                "symbols": symbols_at,
                "symbols_count": len(self.symbols),
                "environment": strings_at,
                "environment_count": len(self.environment),
                "name": name_at,
                "vector_state": level.vector_state,
                "start": self.program.start,
                "loader": self.program.loader,
                "placed": placed_at,
                "placed_count": len(self.program.objects),
                "data": data_at,
                "data_count": len(self.data),
            }
        )
        return (
            info
            + self.program.table(placed_at)
            + b"".join(SPAN.pack({"low": low, "high": high}) for low, high in self.data)
            + bytes(table)
            + environment
            + self.name
            + b"\0"
            + bytes(names)
        )


def constants(program: PlacedProgram, environment: Sequence[str], path: str) -> Constants:
    """Constants of ``program`` with the ``NAME=VALUE`` strings of ``environment``.

    ``path`` is where it is in its tree, nothing where it is not there.
    """
    image = program.image
    return Constants(
        environment=tuple(each.encode(errors="surrogateescape") for each in environment),
        symbols=tuple(
            (each.address, each.name.encode(errors="surrogateescape")) for each in image.symbols
        ),
        name=(path or f"/bin/{image.name}").encode(errors="surrogateescape"),
        program=program,
        data=writable_runs(image),
    )
