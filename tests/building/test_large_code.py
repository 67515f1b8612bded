"""The library OS's code in a large page: of the file, of the host's memory, and of the guest's."""

from __future__ import annotations

import struct
from pathlib import Path

import limpet
from limpet.arch.x86_64 import paging
from limpet.building.bundle import Bundle
from limpet.contract.pages import LARGE_PAGE, PAGE
from limpet.formats.bundle.read import parse
from limpet.planning.regions import Region

TRUE = Path("/bin/true")


def code_of(plan: limpet.Plan) -> Region:
    """The region of its code."""
    return next(each for each in plan.regions if each.name == "libos_text")


def entry_of(bundle: Bundle, address: int) -> int:
    """What the guest's page tables say of the 2 MiB around ``address``."""
    pages = bundle.plan.supervisor
    assert pages
    table = 0
    for shift in (39, 30, 21):
        (entry,) = struct.unpack_from("<Q", pages.tables, table + (address >> shift & 511) * 8)
        table = (entry & ~paging.NO_EXECUTE & ~0xFFF) - pages.cr3
    return int(entry)


def test_code_of_a_large_bundle() -> None:
    """Nobody can write it, and nothing else is there: its rest is an instruction that traps."""
    bundle = limpet.build(limpet.plan(limpet.load(TRUE), limpet.Options(backends=("kvm",))))
    code, found = code_of(bundle.plan), parse(bundle.data, "true")
    assert code.address % LARGE_PAGE == 0 and code.size == LARGE_PAGE
    part = found.part_at(code.address)
    assert part and (part.size, part.rights) == (LARGE_PAGE, "r--")
    assert part.offset % LARGE_PAGE == 0
    entry = entry_of(bundle, code.address)
    assert entry & ~0xFFF == code.address and entry & paging.LARGE and entry & paging.USER
    assert not entry & (paging.WRITABLE | paging.NO_EXECUTE)
    end = part.offset + part.size
    assert bundle.data[part.offset : part.offset + 1] != b"\xcc"
    assert bundle.data[end - PAGE : end] == b"\xcc" * PAGE


def test_code_of_others(tmp_path: Path) -> None:
    """A process shares pages with its host's kernel anyway, and a small bundle stays small."""
    process = limpet.plan(limpet.load(TRUE), limpet.Options(backends=("process",)))
    source = tmp_path / "small.c"
    source.write_text("int main(void) { return 0; }")
    small = limpet.plan(limpet.load(source), limpet.Options(backends=("kvm",)))
    assert not code_of(process).filled and not code_of(small).filled
