"""The ELF reader: one way to be wrong at a time, and whatever bytes at all."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limpet.arch.x86_64.rewrite import rewrite
from limpet.arch.x86_64.sites import scan
from limpet.errors import ImageError, LimpetError
from limpet.formats.files import read_file
from limpet.formats.image import Access
from limpet.guests.linux.layout import lay_out
from limpet.guests.linux.place import place as place_program
from limpet.guests.registry import read_image
from limpet.loading.guest import Guest
from limpet.tools.freestanding import Sizes
from tests.support.bundles import BUSYBOX, need

TEXT, DATA = 0x400000, 0x500000
LOAD, INTERP, STACK = 1, 3, 0x6474E551
R, W, X = 4, 2, 1
Segment = tuple[int, int, int, int, int, int]  # type, flags, offset, address, in file, in memory

GOOD: tuple[Segment, ...] = (
    (LOAD, R | X, 0, TEXT, 0x1000, 0x1000),
    (LOAD, R | W, 0x1000, DATA, 0x100, 0x2000),
)


def elf(
    segments: tuple[Segment, ...] = GOOD,
    *,
    entry: int = TEXT + 0x800,
    kind: int = 2,
    machine: int = 62,
    ident: bytes = b"\x7fELF\x02\x01\x01\x00",
    phentsize: int = 56,
    phnum: int | None = None,
    size: int = 0x2000,
) -> bytes:
    """A small ELF file: ``mov $60, %eax; syscall`` at its usual entry."""
    head = ident.ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", kind, machine, 1, entry, 64, 0, 0, 64, phentsize,
        len(segments) if phnum is None else phnum, 64, 0, 0,
    )  # fmt: skip
    for kind_, flags, offset, address, in_file, in_memory in segments:
        head += struct.pack(
            "<IIQQQQQQ", kind_, flags, offset, address, address, in_file, in_memory, 0x1000
        )
    body = bytearray(head.ljust(size, b"\0"))
    body[0x700:0x800] = b"\x90" * 0x100
    body[0x800:0x807] = b"\xb8\x3c\x00\x00\x00\x0f\x05"
    return bytes(body[:size])


def _with(index: int, **fields: int) -> tuple[Segment, ...]:
    names = ("kind", "flags", "offset", "address", "in_file", "in_memory")
    changed = list(GOOD)
    row = dict(zip(names, GOOD[index], strict=True)) | fields
    changed[index] = tuple(row[name] for name in names)  # type: ignore[assignment]
    return tuple(changed)


def _interpreted() -> bytes:
    data = bytearray(elf((*GOOD, (INTERP, R, 0x1800, 0, 20, 20))))
    data[0x1800:0x1814] = b"/lib64/ld-linux.so.2"
    return bytes(data)


REJECTED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "the file is empty"),
    "text": (lambda: b"hello\n", "not an ELF file"),
    "script": (lambda: b"#!/bin/sh\n", "not an ELF file but a script"),
    "gzip": (lambda: b"\x1f\x8b\x08", "not an ELF file but compressed with gzip"),
    "header cut": (lambda: elf()[:40], "truncated in the ELF header"),
    "headers cut": (lambda: elf()[:100], "truncated in the program headers"),
    "segment cut": (lambda: elf(size=0x1080), "segment 1 is truncated"),
    "32 bit": (lambda: elf(ident=b"\x7fELF\x01\x01\x01"), "a 32-bit program; guests are 64-bit"),
    "class": (lambda: elf(ident=b"\x7fELF\x07\x01\x01"), "damaged (EI_CLASS 7)"),
    "big endian": (lambda: elf(ident=b"\x7fELF\x02\x02\x01"), "big-endian or damaged (EI_DATA 2)"),
    "FreeBSD": (lambda: elf(ident=b"\x7fELF\x02\x01\x01\x09"), "made for FreeBSD, not Linux"),
    "Arm": (lambda: elf(machine=183), "made for AArch64, not x86-64"),
    "odd machine": (lambda: elf(machine=999), "made for machine 999, not x86-64"),
    "object": (lambda: elf(kind=1), "a relocatable object (.o), not a program"),
    "core": (lambda: elf(kind=4), "a core dump, not a program"),
    "no headers": (lambda: elf(phnum=0), "no program headers"),
    "many headers": (lambda: elf(phnum=60000), "60000 program headers, more than 256"),
    "header size": (lambda: elf(phentsize=32), "program headers of 32 bytes, not 56"),
    "dynamic": (_interpreted, "it has a loader and nothing to load"),
    "nothing to load": (lambda: elf(((STACK, R | W, 0, 0, 0, 0),)), "nothing to load (no PT_LOAD)"),
    "overlap": (lambda: elf(_with(1, address=TEXT)), "segments overlap at 0x400000"),
    "wraps": (
        lambda: elf(_with(1, address=2**64 - 0x1000, in_memory=0x2000)),
        "segment 1 wraps around the end of memory (0xfffffffffffff000)",
    ),
    "too high": (lambda: elf(_with(1, address=1 << 40)), "segment 1 at 0x10000000000 lies outside"),
    "too low": (lambda: elf(_with(1, address=0x1000)), "segment 1 at 0x1000 lies outside 0x10000"),
    "file over memory": (
        lambda: elf(_with(1, in_memory=0x10)),
        "segment 1 has more bytes in the file (256) than in memory (16)",
    ),
    "absurd": (lambda: elf(_with(1, in_memory=1 << 40)), "segment 1 takes 0x10000000000 bytes"),
    "too much": (
        lambda: elf((*GOOD, (LOAD, R, 0, 0x10000000, 0, 1 << 30))),
        "its segments take more than 1024 MiB",
    ),
    "beyond the file": (lambda: elf(_with(1, offset=1 << 60)), "segment 1 is truncated"),
    "W+X": (lambda: elf(_with(0, flags=R | W | X)), "segment 0 at 0x400000 is both writable and"),
    "shared page": (
        lambda: elf(
            (
                (LOAD, R | X, 0, TEXT, 0x900, 0x900),
                (LOAD, R | W, 0x900, TEXT + 0x900, 0x100, 0x100),
            )
        ),
        "the page at 0x400000 is shared by writable and executable segments",
    ),
    "not aligned": (lambda: elf(_with(1, offset=0x1001)), "segment 1 is not aligned"),
    "entry in data": (lambda: elf(entry=DATA), "the entry point 0x500000 is not in its code"),
    "entry nowhere": (lambda: elf(entry=0x1234), "the entry point 0x1234 is not in its code"),
    "no entry": (lambda: elf(entry=0), "no entry point: a shared library?"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_rejected(case: str) -> None:
    """Each way to be wrong is named, with the file and what to do."""
    make, message = REJECTED[case]
    with pytest.raises(ImageError) as caught:
        read_image(make(), "the-file")
    assert caught.value.message.startswith("the-file: ")
    assert message in caught.value.message
    assert caught.value.hint


def test_a_script_of_python() -> None:
    """Who gives the library one is told what starts it."""
    with pytest.raises(ImageError) as caught:
        read_image(b"print(1)\n", "app.py")
    assert "limpet run app.py, or build its interpreter with --file" in str(caught.value.hint)


def test_accepted() -> None:
    """The file that the table damages is a good one."""
    image = read_image(elf(), "dir/good")
    assert (image.name, image.kind, image.entry) == ("good", "static", TEXT + 0x800)
    assert [segment.access for segment in image.segments] == [
        Access.READ | Access.EXECUTE,
        Access.READ | Access.WRITE,
    ]
    assert image.segments[1].memory_size == 0x2000
    assert [site.numbers for site in scan(image).sites] == [frozenset({60})]


def test_unreadable(tmp_path: Path) -> None:
    """Missing files, folders, pipes and devices never hang."""
    for path, message in (
        (tmp_path / "missing", "no such file"),
        (tmp_path, "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
    ):
        with pytest.raises(ImageError, match=message):
            read_image(read_file(path), str(path))


@pytest.mark.parametrize("at", [*range(0, 300, 7), 0x800, 0x1000, 0x1080, 0x1FFF])
def test_truncated_anywhere(at: int) -> None:
    """Every truncation that loses something is refused."""
    if at < 0x1100:
        with pytest.raises(ImageError):
            read_image(elf()[:at], "cut")
    else:
        read_image(elf()[:at], "cut")


def _whole(data: bytes) -> None:
    """Read, scan, lay out and rewrite; only errors of Limpet's own may come out."""
    try:
        image = read_image(data, "mutated")
        found = scan(image)
        if image.kind == "static":
            place = lay_out(
                place_program(Guest(image, found)),
                Sizes(text=64 << 10, rodata=4096, data=64 << 10),
                trampolines=96 * 400,
                constants=4096,
                devices=0,
                tree=0,
                memory=8 << 20,
            )
            rewrite(
                image, found, place.trampolines, entry=place.text, entry_flags=place.text + 0x100
            )
    except LimpetError as error:
        assert error.hint


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 0x1FFF), st.binary(min_size=1, max_size=8)), max_size=12))
def test_any_bytes(edits: list[tuple[int, bytes]]) -> None:
    """Whatever is written over a small program, also over its code."""
    data = bytearray(elf())
    for at, content in edits:
        data[at : at + len(content)] = content
    _whole(bytes(data))


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_a_real_program(data: st.DataObject) -> None:
    """The headers of a real program, damaged; and the program cut short."""
    content = bytearray(need(BUSYBOX, "busybox-static").read_bytes()[: 256 << 10])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, 0x200))
        content[at] = data.draw(st.integers(0, 255))
    _whole(bytes(content[: data.draw(st.integers(0, len(content)))]))
