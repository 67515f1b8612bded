"""Programs from assembler text, and what is decided about their system calls."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from limpet.arch.x86_64 import sites
from limpet.arch.x86_64.rewrite import Rewriting, rewrite
from limpet.arch.x86_64.sites import Scan
from limpet.formats.files import read_file
from limpet.formats.image import Image
from limpet.guests.registry import read_image
from limpet.tools.toolchain import compile_program

TRAMPOLINES, ENTRY, ENTRY_FLAGS = 0x2000_0000, 0x2100_0000, 0x2100_0100

Decided = list[tuple[int | None, bool]]


@dataclass(frozen=True)
class Assembled:
    """A snippet as a program, scanned and rewritten."""

    image: Image
    scan: Scan
    rewriting: Rewriting

    @property
    def decided(self) -> Decided:
        """What the tests compare."""
        kept = {site.address for site, _ in self.rewriting.kept}
        return [
            (next(iter(site.numbers), None), site.address not in kept) for site in self.scan.sites
        ]

    @property
    def keeps_flags(self) -> list[bool]:
        """Of each trampoline, whether it enters where flags are kept."""
        entries = []
        for match in re.finditer(rb"\xb9....\xe9(....)", self.rewriting.trampolines, re.DOTALL):
            entries.append(TRAMPOLINES + match.end() + struct.unpack("<i", match[1])[0])
        assert set(entries) <= {ENTRY, ENTRY_FLAGS}
        return [entry == ENTRY_FLAGS for entry in entries]


class Assembler:
    """From the text behind ``_start`` to what is decided about it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, body: str, *flags: str, ahead: int = 200) -> Assembled:
        """Assemble, link, scan and rewrite, with ``ahead`` NOPs for decoding to fall into step."""
        source, output = self._folder / "snippet.S", self._folder / "snippet"
        source.write_text(f".globl _start\n_start:\n.fill {ahead}, 1, 0x90\n{body}\n")
        compile_program([source], output, ["-nostdlib", *flags])
        image = read_image(read_file(output), str(output))
        scan = sites.scan(image)
        made = rewrite(image, scan, TRAMPOLINES, entry=ENTRY, entry_flags=ENTRY_FLAGS)
        return Assembled(image, scan, made)
