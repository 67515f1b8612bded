"""The one declaration: C and Python count the same bytes, and the docs say what it says."""

from __future__ import annotations

import itertools
from pathlib import Path

import limpet
from limpet import contract
from limpet.arch.x86_64 import machine
from limpet.contract import Backend
from limpet.contract.pages import PAGE
from limpet.formats.image import Access
from limpet.formats.tree import layout as tree
from limpet.tools.toolchain import compile_object
from tests.support import ROOT
from tests.support.bundles import Maker


def test_docs_are_generated() -> None:
    """docs/hypercalls.md is what the declaration gives."""
    assert (ROOT / "docs" / "hypercalls.md").read_text() == contract.markdown()


def test_headers_compile(tmp_path: Path) -> None:
    """Every structure has in C the size that Python packs."""
    (tmp_path / "contract.h").write_text(contract.c_header())
    (tmp_path / "tree_format.h").write_text(tree.c_header())
    source = tmp_path / "all.c"
    source.write_text('#include "tree_format.h"\n')
    compile_object(source, tmp_path / "all.o", flags=[], include=tmp_path)


def test_numbers_and_ports_are_distinct() -> None:
    """No two hypercalls share a number."""
    numbers = [call.number for call in contract.hypercalls()]
    assert numbers == list(range(len(numbers)))


def test_io_bitmap_opens_only_hypercalls() -> None:
    """Four bits for each port of the plan are clear, and no other."""
    ports = [0x500, 0x508]
    bitmap = machine.task_state(0, ports)[machine.TSS_SIZE :]
    clear = {i for i in range(len(bitmap) * 8) if not bitmap[i // 8] >> i % 8 & 1}
    assert clear == {port + i for port in ports for i in range(4)}


def test_plan_promises(make: Maker, backend: Backend) -> None:
    """W^X everywhere, no overlap, and the same plan twice."""
    program = make.compile("int main(void) { return 0; }", "nothing")
    plans = [
        limpet.plan(limpet.load(program), limpet.Options(backends=(backend,))) for _ in range(2)
    ]
    assert plans[0].digest() == plans[1].digest()
    regions = sorted(plans[0].regions, key=lambda region: region.address)
    for region in regions:
        assert region.access & (Access.WRITE | Access.EXECUTE) != (Access.WRITE | Access.EXECUTE)
        assert region.address % PAGE == region.size % PAGE == 0
    for lower, upper in itertools.pairwise(regions):
        assert lower.end <= upper.address


def test_frames_have_one_limit() -> None:
    """What a filter lets through of a network's frames is what the monitors' C takes."""
    found = {
        pin.max
        for call in (*contract.hypercalls(), *contract.hvt_hypercalls())
        for each in call.host
        if any(pin.devices == "net" for pin in each.pins) and each.call in ("read", "write")
        for pin in each.pins
        if pin.index == 2
    }
    assert found == {contract.FRAME_MOST}
