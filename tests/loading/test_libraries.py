"""Shared objects are found as the loader finds them; what is wrong is said before anything runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import limpet
from limpet.errors import ImageError, InputError
from tests.support.shared import compiler

PROGRAM = "int used(void); int main(void) { return used(); }"
LIBRARY = "int used(void) { return 0; }"


def _link(output: Path, source: str, *flags: str) -> Path:
    output.parent.mkdir(parents=True, exist_ok=True)
    argv = [compiler("glibc"), "-o", f"{output}", "-x", "c", "-", *flags]
    subprocess.run(argv, input=source.encode(), check=True)
    return output


def _library(output: Path, source: str = LIBRARY, *flags: str) -> Path:
    return _link(output, source, "-shared", "-fPIC", f"-Wl,-soname,{output.name}", *flags)


@pytest.fixture
def lib(tmp_path: Path) -> Path:
    """A folder with ``libused.so``."""
    return _library(tmp_path / "lib" / "libused.so").parent


def _program(lib: Path, *flags: str) -> Path:
    name = lib.parent / "program"
    return _link(name, PROGRAM, f"-L{lib}", "-lused", "-Wl,--allow-shlib-undefined", *flags)


RUNPATH = "-Wl,--enable-new-dtags,-rpath,$ORIGIN/lib"
RPATH = "-Wl,--disable-new-dtags,-rpath,$ORIGIN/lib"


def _paths(guest: limpet.Guest) -> list[str]:
    return [each.path for each in guest.objects]


@pytest.mark.parametrize("flag", [RUNPATH, RPATH, "-Wl,-rpath,${ORIGIN}/./lib/../lib"])
def test_origin(lib: Path, flag: str) -> None:
    """$ORIGIN is the program's own folder, by a link as well."""
    program = _program(lib, flag)
    link = lib.parent / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(program)
    for each in (program, link):
        guest = limpet.load(each)
        assert f"{lib}/libused.so" in _paths(guest)
        assert guest.path == str(program)


def test_inherited(lib: Path) -> None:
    """Who led to an object lends it the folders of DT_RPATH, and not those of DT_RUNPATH."""
    deep = _library(lib / "deep" / "libdeep.so", "int deep(void) { return 1; }")
    source = "int deep(void); int used(void) { return deep(); }"
    _library(lib / "libused.so", source, f"-L{deep.parent}", "-ldeep")
    origins = "-rpath,$ORIGIN/lib:$ORIGIN/lib/deep"
    old = _program(lib, f"-Wl,--disable-new-dtags,{origins}")
    assert str(deep) in _paths(limpet.load(old))
    new = _program(lib, f"-Wl,--enable-new-dtags,{origins}")
    with pytest.raises(ImageError, match=r"libdeep\.so that libused\.so needs is not found"):
        limpet.load(new)


def test_a_cycle(lib: Path) -> None:
    """Two objects that need each other are found once each."""
    other = _library(lib / "libother.so", "int other(void) { return 2; }", f"-L{lib}", "-lused")
    source = "int other(void); int used(void) { return other(); }"
    _library(lib / "libused.so", source, f"-L{lib}", "-Wl,--no-as-needed", "-lother")
    paths = _paths(limpet.load(_program(lib, RPATH)))
    assert paths.count(str(other)) == paths.count(f"{lib}/libused.so") == 1


def test_a_version(lib: Path, tmp_path: Path) -> None:
    """A version that the object there does not have is named, and who wants it."""
    script = tmp_path / "map"
    script.write_text("V_2 { global: used; };")
    _library(lib / "libused.so", LIBRARY, f"-Wl,--version-script={script}")
    program = _program(lib, RUNPATH)
    script.write_text("V_1 { global: used; };")
    _library(lib / "libused.so", LIBRARY, f"-Wl,--version-script={script}")
    with pytest.raises(ImageError, match=r"program needs version V_2 of libused\.so"):
        limpet.load(program)


def _damaged(path: Path, at: int, content: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[at : at + len(content)] = content
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("at", "content", "what"),
    [
        (18, b"\xb7\0", "is made for another machine"),  # AArch64
        (5, b"\2", "is made for another machine"),  # big-endian
        (4, b"\1", "is not for 64-bit programs"),
        (16, b"\1", "is no shared object"),  # for a linker
        (0, b"#", "is no ELF file"),
    ],
)
def test_what_is_none(lib: Path, at: int, content: bytes, what: str) -> None:
    """A file that is no object for this machine is passed over, and said if none is left."""
    program = _program(lib, RUNPATH)
    _damaged(lib / "libused.so", at, content)
    with pytest.raises(ImageError, match=rf"that program needs is not found: .*libused\.so {what}"):
        limpet.load(program)


def test_text_relocations(lib: Path) -> None:
    """Code that wants to be changed when it is loaded is refused by name."""
    program = _program(lib, RUNPATH)
    source = 'int used(void) { return 0; } __asm__(".text\\n .quad used\\n");'
    _library(lib / "libused.so", source, "-Wl,-z,notext")
    with pytest.raises(ImageError, match=r"libused\.so: it wants its code changed"):
        limpet.load(program)


def test_truncated(lib: Path) -> None:
    """A file that ends too early is an error of its own, wherever it ends."""
    program, library = _program(lib, RUNPATH), lib / "libused.so"
    data = library.read_bytes()
    for size in (64, 700, 0x1000, 0x2E00, len(data) - 8000):
        library.write_bytes(data[:size])
        with pytest.raises(InputError):
            limpet.load(program)


def test_the_tree_comes_first(lib: Path, tmp_path: Path) -> None:
    """With the loader in the tree, nothing of the host is taken."""
    program = _program(lib, RUNPATH)
    root = tmp_path / "root"
    loader = root / "lib64" / "ld-linux-x86-64.so.2"
    loader.parent.mkdir(parents=True)
    loader.write_bytes(Path("/lib64/ld-linux-x86-64.so.2").read_bytes())
    with pytest.raises(ImageError, match="is not found"):
        limpet.load(program, root=root)
    libc = root / "lib" / "x86_64-linux-gnu" / "libc.so.6"
    libc.parent.mkdir(parents=True)
    libc.write_bytes(Path("/lib/x86_64-linux-gnu/libc.so.6").read_bytes())
    (root / "lib" / "libused.so").write_bytes((lib / "libused.so").read_bytes())
    found = _paths(limpet.load(program, root=root))
    assert set(found) == {
        "/lib/libused.so",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib64/ld-linux-x86-64.so.2",
    }


def test_what_cannot_be_loaded_is_said(lib: Path) -> None:
    """A damaged object that the program may load by itself is a warning, and has no place."""
    program, other = _program(lib, RUNPATH), _library(lib / "libother.so")
    _damaged(other, os.path.getsize(other) // 2, bytes(64))
    data = other.read_bytes()
    other.write_bytes(data[:0x2100])
    plan = limpet.plan(limpet.load(program, include=[str(other)]))
    assert [path for path, _ in plan.guest.left] == [str(other)]
    assert any(f"{other} cannot be loaded" in each for each in plan.warnings)


def test_an_empty_folder_is_included(lib: Path) -> None:
    """A folder comes with all that is below it, files or none."""
    (lib.parent / "data" / "refs" / "heads").mkdir(parents=True)
    guest = limpet.load(_program(lib, RUNPATH), include=[str(lib.parent / "data")])
    paths = {entry.path for entry in guest.tree.entries}
    assert f"{lib.parent}/data/refs/heads" in paths


@pytest.mark.parametrize("function", ["pthread_exit", "pthread_cancel"])
def test_what_the_c_library_loads(lib: Path, function: str) -> None:
    """glibc ends a program that calls this where there is no libgcc_s.so.1."""
    unwinder = "libgcc_s.so.1"
    assert not any(path.endswith(unwinder) for path in _paths(limpet.load(_program(lib, RUNPATH))))
    source = f"extern int {function}(void *); int used(void) {{ return {function}(0); }}"
    _library(lib / "libused.so", source)
    assert any(path.endswith(unwinder) for path in _paths(limpet.load(_program(lib, RUNPATH))))
