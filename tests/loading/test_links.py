"""What a library says of its functions may be damaged: a clear error, or something that holds."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from limpet.errors import LimpetError
from limpet.formats import elf
from limpet.formats.image import read_program
from limpet.formats.unwind import PT_GNU_EH_FRAME
from limpet.loading.links import links_of
from limpet.loading.objects import read_object
from tests.support import SUPPORT
from tests.support.shared import compiler

TURNS = 60
BAD = (b"\xff" * 8, bytes(8), (1 << 63).to_bytes(8, "little"), (1 << 32).to_bytes(8, "little"))


def _library(folder: Path) -> bytes:
    output = folder / "libmany.so"
    source = f"{SUPPORT}/programs/shared/many.c"
    argv = [compiler("glibc"), "-O2", "-shared", "-fPIC", "-o", f"{output}", source]
    subprocess.run(argv, check=True)
    return output.read_bytes()


def _zones(data: bytes) -> list[range]:
    """Where its dynamic section, its tables for unwinding and its other tables are."""
    segments = read_program(data, "library").segments
    kinds = (elf.PT_DYNAMIC, PT_GNU_EH_FRAME)
    found = [range(s.offset, s.offset + s.file_size) for s in segments if s.kind in kinds]
    return [*found, range(0x200, 0x1000), range(found[1].stop, found[1].stop + 1024)]


def test_damage(tmp_path: Path) -> None:
    """Bytes that are not what they were end in one error, or in functions that are apart."""
    data, chosen = _library(tmp_path), random.Random(11)
    zones, whole = _zones(data), 0
    for _ in range(TURNS):
        bad = bytearray(data)
        for _ in range(chosen.choice((1, 2, 8))):
            at = chosen.choice(chosen.choice(zones))
            new = chosen.choice((*BAD, bytes([chosen.randrange(256)])))
            bad[at : at + len(new)] = new
        try:
            image = read_object(bytes(bad), "library")
            if image is None:
                continue
            links, _ = links_of(read_program(image.data, "library"), image)
        except LimpetError as error:
            assert error.hint
            continue
        if links.flow:
            whole += 1
            count = len(links.flow.functions)
            assert all(0 <= each < count for own in links.flow.leads for each in own)
            every = (at for places in links.exports.values() for at in places)
            assert links.flow.reached(every) >= links.flow.roots
    assert whole > TURNS // 10
