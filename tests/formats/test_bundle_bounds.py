"""Bundles in the one form that are hostile all the same: what they lead to is bounded."""

from __future__ import annotations

import errno
import json
import os
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from limpet.errors import BundleError, ImageError
from limpet.formats import elf, files
from limpet.formats.bundle import packed_guest, read
from limpet.formats.bundle.read import BundleFile, parse, read_bundle
from limpet.formats.bundle.record import read_record
from limpet.formats.bundle.write import RECORD_SECTION
from limpet.formats.image import MAX_IMAGE
from limpet.formats.tree.layout import MAX_TREE
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


def test_what_is_packed_at_most_can_be_read(
    bundle: BundleFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle may be larger than a program, by all its files; and no more is read."""
    assert read.MAX_BUNDLE >= MAX_TREE + MAX_IMAGE
    path = tmp_path / "bundle"
    path.write_bytes(bundle.data)
    monkeypatch.setattr(files, "MAX_FILE", len(bundle.data) // 2)
    monkeypatch.setattr(read, "MAX_BUNDLE", len(bundle.data))
    assert read_bundle(path).data == bundle.data
    monkeypatch.setattr(read, "MAX_BUNDLE", len(bundle.data) - 1)
    with pytest.raises(ImageError, match="more than a guest can have"):
        read_bundle(path)


def test_memory_across_segments(bundle: BundleFile) -> None:
    """What lies in one segment, and what does not, is the same bytes."""
    for part in bundle.parts:
        for low, high in ((0, 8), (part.size - 8, part.size), (part.size - 8, part.size + 8)):
            found = bundle.memory(part.address + low, high - low)
            one_by_one = (bundle.memory(part.address + at, 1) for at in range(low, high))
            assert found == b"".join(one_by_one)


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


def test_packed_files_are_bounded(bundle: BundleFile) -> None:
    """More of them than are ever packed, whatever memory a segment says that it has."""
    known = json.loads(bundle.section(RECORD_SECTION) or b"")
    known["tree"] = {"address": 1 << 20, "size": MAX_TREE, "sha256": "0" * 64, "files": ""}
    for size, refused in ((MAX_TREE, nullcontext()), (MAX_TREE + 1, pytest.raises(BundleError))):
        known["tree"]["size"] = size
        text = json.dumps(known, sort_keys=True, separators=(",", ":")).encode()
        with refused:
            read_record(text, "hostile", known["limpet"])


def test_guest_that_unpacks_without_end(bundle: BundleFile) -> None:
    """A stream of half a gigabyte for a guest of some kilobytes."""
    bomb = zlib.compress(bytes(1 << 29), 9)
    changed = parse(written(bundle, loads_of(bundle), guest=bomb), "changed")

    def take_out() -> None:
        with pytest.raises(BundleError, match="it does not unpack to the size"):
            packed_guest.take_out(changed)

    assert _peak(take_out) < 1 << 26


def test_a_copy_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an auditor looks at is changed by nobody, is not in memory, and leaves nothing."""
    given, folder = tmp_path / "given", tmp_path / "folder"
    folder.mkdir()
    with given.open("wb") as stream:  # a hole, a piece, a hole
        stream.seek(10 << 20)
        stream.write(b"there" * 1000)
        stream.truncate(12 << 20)
    before = given.read_bytes()
    tracemalloc.start()
    view = files.own_copy(given, folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 << 20 and not list(folder.iterdir())
    held = [at for at in Path("/proc/self/fd").iterdir() if str(folder) in os.path.realpath(at)]
    assert [at.stat().st_blocks * 512 >= 12 << 20 for at in held] == [True]  # also for holes
    with given.open("r+b") as changed:
        changed.seek(10 << 20)
        changed.write(b"other")
    assert bytes(view) == before
    given.write_bytes(b"")
    assert bytes(view) == before
    given.write_bytes(before)
    with pytest.raises(ImageError, match=r"cannot be copied to .*: No such file"):
        files.own_copy(given, tmp_path / "nowhere")

    def broken(_: int, size: int, at: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", broken)
    with pytest.raises(ImageError, match=r"given: cannot be read: Input/output error"):
        files.own_copy(given, folder)
