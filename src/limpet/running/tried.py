"""Whether a guest starts here: the smallest one is built and run, on each backend."""

from __future__ import annotations

import struct
import tempfile
import time
from pathlib import Path

from limpet.building.bundle import build
from limpet.contract import Backend
from limpet.errors import LimpetError
from limpet.formats import elf
from limpet.guests.registry import load, plan
from limpet.plain import plain
from limpet.planning.options import Options
from limpet.running.host import Check
from limpet.running.result import run
from limpet.tools.cache import Cache

_AT, _SAYS = 0x400000, b"started\n"
_TEXT = _AT + elf.HEADER_SIZE + elf.PROGRAM_SIZE
_CODE = b"".join(
    [
        bytes.fromhex("b801000000 bf01000000"),  # write to 1
        struct.pack("<BIBI", 0xBE, _TEXT, 0xBA, len(_SAYS)),
        bytes.fromhex("0f05 b83c000000 31ff 0f05"),  # and exit with 0
    ]
)
_MOST = 200
"""Characters of what it said that are shown."""


def _program() -> bytes:
    """A static program that says something and ends."""
    size = _TEXT - _AT + len(_SAYS) + len(_CODE)
    sizes = elf.HEADER_SIZE, 0, elf.PROGRAM_SIZE, 1, elf.SECTION_SIZE, 0, 0
    ident, entry = elf.IDENT.ljust(16, b"\0"), _TEXT + len(_SAYS)
    header = elf.Header(ident, elf.ET_EXEC, elf.EM_X86_64, entry, *sizes)
    segment = elf.ProgramHeader(elf.PT_LOAD, elf.PF_R | elf.PF_X, 0, _AT, size, size, 4096)
    return header.pack() + segment.pack() + _SAYS + _CODE


def guest_check(backend: Backend, cache: Cache) -> Check:
    """Build a guest for ``backend``, and start it."""
    name = f"guest, {backend}"
    try:
        with tempfile.TemporaryDirectory(prefix="limpet-") as folder:
            program, bundle = Path(folder, "program"), Path(folder, "bundle")
            program.write_bytes(_program())
            options = Options(backends=(backend,), memory=1 << 20)
            build(plan(load(program), options), cache).write(bundle)
            began = time.monotonic()
            done = run(bundle)
            took = (time.monotonic() - began) * 1e3
    except LimpetError as error:
        return Check(name, False, error.message, error.hint or "", backend)
    if done.status == 0 and done.stdout == _SAYS:
        return Check(name, True, f"one started and ended, in {took:.1f} ms")
    said = plain(done.stderr.decode(errors="replace").strip())[:_MOST]
    detail = f"one ended with status {done.status}{': ' if said else ''}{said}"
    return Check(name, False, detail, "see docs/exit-status.md", backend)
