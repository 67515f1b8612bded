"""Bundles in the one form that are hostile all the same: what they lead to is bounded."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from limpet.errors import BundleError
from limpet.formats import elf
from limpet.formats.bundle import packed_guest
from limpet.formats.bundle.read import BundleFile, parse
from limpet.formats.bundle.record import read_record
from limpet.formats.bundle.write import RECORD_SECTION
from tests.support.audited import small
from tests.support.bundle_edit import loads_of, written
from tests.support.bundles import Maker


@pytest.fixture(scope="module")
def bundle(make: Maker) -> BundleFile:
    """A small one."""
    return parse(small(make, "process").read_bytes(), "small")


def test_it_comes_out_as_it_was(bundle: BundleFile) -> None:
    """What the tests below change is a bundle before."""
    assert written(bundle, loads_of(bundle)) == bundle.data


def test_segments_over_each_other(bundle: BundleFile) -> None:
    """A segment that reaches into the next, whose pages would take its place."""
    loads = loads_of(bundle)
    first, second = loads[0], loads[1]
    loads[0] = replace(first, size=second.address + 4096 - first.address)
    with pytest.raises(BundleError, match="segments are whole pages, ascending and apart"):
        parse(written(bundle, loads), "changed")


def test_entry_that_is_not_code(bundle: BundleFile) -> None:
    """The first instruction in constants, in data, and nowhere."""
    constants = next(p for p in bundle.parts if not p.flags & elf.PF_X)
    for entry in (constants.address, bundle.parts[-1].end + 4096, 0):
        changed = written(bundle, loads_of(bundle), entry=entry)
        with pytest.raises(BundleError, match=r"its entry point .* is not code"):
            parse(changed, "changed")


def test_lists_are_bounded(bundle: BundleFile) -> None:
    """A list is long only up to a limit, whatever is in it."""
    known = json.loads(bundle.section(RECORD_SECTION) or b"")
    known["ports"] = [1280] * 4097
    text = json.dumps(known, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(BundleError, match="a list of at most 4096 is missing"):
        read_record(text, "hostile", "0.1.0")


def _peak(act: Callable[[], object]) -> int:
    """The most memory that is taken meanwhile, in bytes."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_structures_are_bounded(bundle: BundleFile) -> None:
    """A structure of a terabyte, by its own word, is refused before it is read."""

    def read() -> None:
        with pytest.raises(BundleError, match="a structure of 1099511627776 bytes"):
            bundle.memory(0x1000000, 1 << 40)

    assert _peak(read) < 1 << 20


def test_guest_that_unpacks_without_end(bundle: BundleFile) -> None:
    """A stream of half a gigabyte for a guest of some kilobytes."""
    bomb = zlib.compress(bytes(1 << 29), 9)
    changed = parse(written(bundle, loads_of(bundle), guest=bomb), "changed")

    def take_out() -> None:
        with pytest.raises(BundleError, match="it does not unpack to the size"):
            packed_guest.take_out(changed)

    assert _peak(take_out) < 1 << 26
