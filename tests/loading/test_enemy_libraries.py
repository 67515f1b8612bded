"""Shared objects that an enemy wrote: one clear error, soon, and with little memory."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

import limpet
from limpet.errors import ImageError, InputError
from limpet.formats.dynamic import read_dynamic
from limpet.formats.elf import ProgramHeader
from limpet.formats.image import read_program
from limpet.formats.library_cache import read_cache, write_cache
from limpet.loading import libraries
from limpet.loading.objects import read_object
from tests.support.command import Cli

NEEDED, STRTAB, STRSZ, SONAME, RPATH, RUNPATH = 1, 5, 10, 14, 15, 29
VERNEED, VERNEEDNUM, VERDEF, VERDEFNUM = 0x6FFFFFFE, 0x6FFFFFFF, 0x6FFFFFFC, 0x6FFFFFFD
LOADER = b"/lib64/ld-linux-x86-64.so.2"
SOON = 20
"""Seconds of processor time."""


def enemy(
    needed: Iterable[bytes] = (),
    search: bytes = b"",
    tag: int = RPATH,
    *,
    program: bool = False,
    more: bytes = b"",
    entries: Iterable[tuple[int, int]] = (),
) -> bytes:
    """An object with one segment; ``more`` lies at 0x200, ``entries`` are further ones."""
    strings, rows = bytearray(b"\0"), []
    for which, each in [*((NEEDED, each) for each in needed), *([(tag, search)] if search else [])]:
        rows.append((which, len(strings)))
        strings += each + b"\0"
    body = more.ljust(-(-len(more) // 16) * 16, b"\0")
    strings_at = 0x200 + len(body)
    rows += [(STRTAB, strings_at), (STRSZ, len(strings)), *entries, (0, 0)]
    table_at = -(-(strings_at + len(strings)) // 16) * 16
    table = b"".join(struct.pack("<QQ", *row) for row in rows)
    end = table_at + len(table) + 32
    headers = [(1, 5, 0, end), (2, 4, table_at, len(table))]
    if program:
        headers.append((3, 4, end - 32, len(LOADER) + 1))
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0x1F0, 64, 0, 0, 64, 56, len(headers), 64, 0, 0
    )
    for kind, flags, at, size in headers:
        head += struct.pack("<IIQQQQQQ", kind, flags, at, at, at, size, size, 0x1000)
    content = (head.ljust(0x1F0, b"\0") + b"\xc3").ljust(0x200, b"\0") + body + strings
    return content.ljust(table_at, b"\0") + table + LOADER.ljust(32, b"\0")


def tree(folder: Path, objects: dict[str, bytes], program: bytes) -> Path:
    """A tree with a loader, so that the host is not looked at; the program in it."""
    (folder / "lib64").mkdir(parents=True)
    (folder / "lib64" / LOADER.decode().rpartition("/")[2]).write_bytes(enemy())
    (folder / "lib").mkdir()
    for name, content in objects.items():
        (folder / "lib" / name).write_bytes(content)
    (folder / "program").write_bytes(program)
    return folder / "program"


def soon(program: Path, expected: str, most: int = 256 << 20) -> None:
    """It is refused with that error, in bounded time and memory."""
    started = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=expected):
            limpet.load(program, root=program.parent)
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < SOON


def test_harmless(tmp_path: Path) -> None:
    """What the enemies below are made of is read."""
    objects = {"liba.so": enemy([b"libb.so"]), "libb.so": enemy([b"liba.so"])}
    program = tree(tmp_path / "t", objects, enemy([b"liba.so"], program=True))
    guest = limpet.load(program, root=program.parent)
    assert {"/lib/liba.so", "/lib/libb.so"} < {each.path for each in guest.objects}


def test_thousands_needed(tmp_path: Path) -> None:
    """Entries have a bound; what is below it and not there is named."""
    names = [b"lib%d.so" % each for each in range(5000)]
    program = tree(tmp_path / "many", {}, enemy(names, program=True))
    soon(program, "its dynamic section is damaged: it has more than 4096 entries")
    program = tree(tmp_path / "some", {}, enemy(names[:4000], program=True))
    soon(program, r"the shared object lib0\.so that program needs is not found")


def test_everything_needs_everything(tmp_path: Path) -> None:
    """Objects that all need each other are asked for once each."""
    names = [b"lib%d.so" % each for each in range(300)]
    objects = {name.decode(): enemy(names) for name in names}
    program = tree(tmp_path / "t", objects, enemy([*names, b"gone.so"], program=True))
    soon(program, r"gone\.so that program needs is not found")


@pytest.mark.parametrize("origin", [b"/f%d", b"$ORIGIN/f%d/$ORIGIN$ORIGIN"])
def test_folders_lent_on(tmp_path: Path, origin: bytes) -> None:
    """A chain of objects, each with hundreds of folders for all behind it, comes to an end."""
    objects = {
        f"lib{each}.so": enemy(
            [b"lib%d.so" % (each + 1)],
            b":".join(origin % number for number in range(each * 130, each * 130 + 130))[:4000],
        )
        for each in range(80)
    }
    program = tree(tmp_path / "t", objects, enemy([b"lib0.so"], program=True))
    soon(program, "name too many folders")


def test_folders_without_end(tmp_path: Path) -> None:
    """$ORIGIN many times over makes no path that the host would be asked for."""
    deep = tmp_path / ("d" * 200) / ("e" * 200)
    search = b"$ORIGIN" * 500
    program = tree(deep, {}, enemy([b"liba.so"], search, program=True))
    soon(program, r"liba\.so that program needs is not found")


@pytest.mark.parametrize(
    "search", [b"/a\nlimpet: all is well", b"/\x1b[2J", b"/\xff\xfe:/\xe2\x80\xae"]
)
@pytest.mark.parametrize("tag", [RPATH, RUNPATH])
def test_text_that_moves_a_terminal(tmp_path: Path, search: bytes, tag: int) -> None:
    """Names and folders with line ends and escapes reach no terminal as they are."""
    name = b"lib" + search.replace(b"/", b"").replace(b":", b"") + b".so"
    program = tree(tmp_path / "t", {}, enemy([name], search, tag, program=True))
    limpet = Cli(tmp_path, tmp_path)
    for command in ("explain", "run"):
        done = limpet(command, "--root", program.parent, program)
        assert done.returncode == 2 and not done.stdout, done
        lines = done.stderr.split("\n")
        assert all(line.isprintable() for line in lines), lines
        assert any("is not found" in line for line in lines), lines
        assert "limpet: all is well" not in lines


def _said(data: bytes) -> object:
    program = read_program(data, "enemy")
    return read_dynamic(data, program.segments, "enemy")


def _versions(flavour: str, name: int, count: int = 0xFFFF) -> bytes:
    """Entries that lie over each other, all with the same long name."""
    rows = bytearray()
    for _ in range(4096):
        if flavour == "wants":
            rows += struct.pack("<HHIII", 1, 1, name, 16, 32) + struct.pack(
                "<IHHII", 0, 0, 0, name, 0
            )
        else:
            rows += struct.pack("<HHHHIII", 1, 0, 1, 1, 0, 20, 28) + struct.pack("<II", name, 0)
    return bytes(rows)


@pytest.mark.parametrize("flavour", ["wants", "defines"])
def test_names_named_often(flavour: str) -> None:
    """A long name that each of thousands of versions has is no way to fill the memory."""
    where, count = (VERNEED, VERNEEDNUM) if flavour == "wants" else (VERDEF, VERDEFNUM)
    text = _versions(flavour, 1)
    data = enemy([b"n" * 4000] * 600, more=text, entries=[(where, 0x200), (count, 4096)])
    with pytest.raises(ImageError, match="its names are longer than 16 MiB together"):
        _said(data)


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([(VERNEED, 0x200), (VERNEEDNUM, 1 << 40)], "the versions are more than"),
        ([(VERNEED, 1 << 60), (VERNEEDNUM, 1)], "are not in its memory"),
        ([(VERDEF, 0x200), (VERDEFNUM, 1 << 40)], "the versions that it defines are more than"),
        ([(NEEDED, 0)], "it needs an object without a name"),
        ([(NEEDED, 1 << 63)], "has no end"),
        ([(SONAME, 2**64 - 1)], "has no end"),
        ([(STRTAB, 2**64 - 1)], "its strings at"),
        ([(STRSZ, 2**64 - 1)], "its strings lie outside"),
    ],
    ids=str,
)
def test_numbers(entries: list[tuple[int, int]], why: str) -> None:
    """Every count and every address is looked at."""
    with pytest.raises(ImageError, match=rf"enemy: its dynamic section is damaged: .*{why}"):
        _said(enemy(entries=entries))


def _headers(data: bytes, *rows: tuple[int, int, int, int, int, int]) -> bytes:
    """``data`` with other PT_LOADs in front of its PT_DYNAMIC."""
    dynamic = data[64 + 56 : 64 + 112]
    head = bytearray(data[:64])
    struct.pack_into("<H", head, 56, len(rows) + 1)
    for kind, flags, at, address, in_file, in_memory in rows:
        head += struct.pack(
            "<IIQQQQQQ", kind, flags, at, address, address, in_file, in_memory, 4096
        )
    return bytes(head + dynamic).ljust(0x1F0, b"\0") + data[0x1F0:]


@pytest.mark.parametrize(
    "rows",
    [
        [(1, 5, 0, 0, 0x280, 0x280), (1, 6, 0, 0, 0x280, 0x280)],  # one over the other
        [(1, 5, 0, 0, 0x280, 0x2000), (1, 6, 0, 0x1000, 0x280, 0x280)],
        [(1, 7, 0, 0, 0x280, 0x280)],
        [(1, 5, 0, 0, 0x280, 1 << 62)],
        [(1, 5, 0, 0, 0x280, 2**64 - 1)],
        [(1, 5, 0, 2**64 - 4096, 0x280, 0x2000)],
        [(1, 5, 0, 0, 1 << 63, 1 << 63)],
    ],
    ids=str,
)
def test_segments(rows: list[tuple[int, int, int, int, int, int]]) -> None:
    """Segments over each other, around the end of memory and without end are refused."""
    with pytest.raises(ImageError, match=r"^enemy: "):
        read_object(_headers(enemy(), *rows), "enemy")


def test_names_in_a_cache() -> None:
    """Digits that are none for glibc are characters like others."""
    names = {"lib\u00b2.so": "/a", "lib\u0663.so": "/b", "lib10.so": "/c", "lib9.so": "/d"}
    assert read_cache(write_cache(names)) == names


def test_the_bounds_are_those_of_the_texts() -> None:
    """A program of this host is far from them."""
    assert libraries.MOST == 4000 and libraries.MOST_PLACES == 16 << 20
    assert ProgramHeader.unpack(enemy(), 64).kind == 1
