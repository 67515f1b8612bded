"""The compiler that compiles many files of one start."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from limpet.errors import CompileError, ToolchainError
from limpet.guests.linux.library import FLAGS
from limpet.sources import GUEST_ROOT
from limpet.tools.cache import Cache
from limpet.tools.freestanding import write_headers
from limpet.tools.toolchain import (
    compile_beside,
    compile_object,
    compile_program,
    shared_folder,
    words_for_many,
    zig,
)

SOURCES = ("core/heap.c", "core/string.c", "parts/pipes/pipe.c", "parts/entropy/entropy.c")


def beside(sources: list[Path], folder: Path) -> None:
    """Compile ``sources`` below ``folder``."""
    words = words_for_many(sources[0], flags=FLAGS, include=folder)
    compile_beside(sources, words, include=folder)


def test_many_files_become_what_each_becomes_alone(tmp_path: Path) -> None:
    """Byte for byte: what was compiled before a file leaves nothing in its object."""
    write_headers(tmp_path)
    copies = []
    for name in SOURCES:
        copies.append(tmp_path / name)
        shutil.copytree((GUEST_ROOT / name).parent, copies[-1].parent, dirs_exist_ok=True)
    beside(copies, tmp_path)
    for source in copies:
        alone = tmp_path / "alone.o"
        compile_object(source, alone, flags=FLAGS, include=tmp_path)
        assert source.with_suffix(".o").read_bytes() == alone.read_bytes(), source


def test_the_one_that_does_not_compile_is_named(tmp_path: Path) -> None:
    """With its line and the compiler's own words, and a warning is an error."""
    sources = [tmp_path / f"{each}.c" for each in ("first", "second", "third")]
    for source in sources:
        source.write_text(f"int {source.stem};\n")
    sources[1].write_text("static int unused(void) { return 1; }\n")
    with pytest.raises(ToolchainError, match=r"second\.c:1:12: error: unused function 'unused'"):
        beside(sources, tmp_path)
    sources[1].write_text("int second = 1 +;\n")
    with pytest.raises(ToolchainError, match=r"second\.c:1:17: error: expected expression"):
        beside(sources, tmp_path)


def test_no_room(tmp_path: Path) -> None:
    """A full disk is no fault of Limpet's, and what to do is said."""
    mount: list[str | Path] = ["mount", "-t", "tmpfs", "-o", "size=4k", "none", tmp_path]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted by this user")
    try:
        (tmp_path / "any.c").write_text("int any;\n")  # takes the only page
        with pytest.raises(ToolchainError, match="No space left on device") as raised:
            beside([tmp_path / "any.c"], tmp_path)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert raised.value.hint and raised.value.hint.startswith("make room")


def test_one_libc_serves_every_folder(tmp_path: Path) -> None:
    """Also those above zig's own library, as a project's with a virtual environment in it: a libc
    is a minute.  And nobody is told of the words that see to it."""
    source, output = tmp_path / "one.c", tmp_path / "one"
    source.write_text("#include <stdio.h>\nint main(void) { return getchar(); }\n")
    found = []
    with shared_folder(Cache.default()) as shared:
        for folder in (tmp_path, zig().parents[1], zig().parents[2]):
            read = compile_program([source], output, folder=folder)
            found.append(set(shared.glob("o/*/libc.a")))
            assert f"{zig().parent}/lib/libc/include/generic-musl/stdio.h" in read
    assert found[0] and found[0] == found[1] == found[2]
    source.write_text("#include <stdio.h>\nvoid puts(int);\n")
    with pytest.raises(CompileError) as raised:
        compile_program([source], output)
    assert f" {zig().parent}/lib/" in f" {raised.value.output}".replace("\n", " ")
    assert "/proc/self" not in raised.value.output
