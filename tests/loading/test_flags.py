"""Compiler flags of a ``limpet.toml``: those that programs need, and none that reach further."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import limpet
from limpet.errors import ImageError, ManifestError
from limpet.loading.flags import check_flags

FINE = [
    ["-O3", "-std=c17", "-Wall", "-Wextra", "-Werror=implicit", "-Wno-unused", "-pedantic"],
    ["-DN=3", "-DNAME", '-DTEXT="a b"', "-DF(x)=x+1", "-UNDEBUG", "-D", "M=1"],
    ["-Iinclude", "-I", "include", "-isystem", "/usr/include/x", "-iquote.", "-Llib", "-lm"],
    ["-include", "config.h", "-pthread", "-g0", "-s", "-w", "-l", "m"],
    ["-mavx2", "-march=x86-64-v3", "-msse4.2", "-mno-red-zone"],
    ["-fno-strict-aliasing", "-fomit-frame-pointer", "-fvisibility=hidden", "-fPIC", "-flto"],
]


@pytest.mark.parametrize("flags", FINE)
def test_usual_flags(flags: list[str]) -> None:
    """What programs are compiled with."""
    check_flags(flags, "limpet.toml")


HOSTILE = [
    *("-MF", "-MFx", "-MD", "-MMD", "-MJx", "-o", "-ofile", "-save-temps", "--save-temps=obj"),
    *("-fplugin=evil.so", "-fpass-plugin=evil.so", "-Xclang", "-Xlinker", "-Xassembler", "-mllvm"),
    *("-Wl,-o,x", "-Wa,-a=x", "-Wp,-MD,x", "-ftime-trace=x", "-fsave-optimization-record"),
    *(
        "-fcrash-diagnostics-dir=x",
        "-fdiagnostics-format=sarif",
        "-fprofile-generate=x",
        "-dumpdir",
    ),
    *("--serialize-diagnostics", "-serialize-diagnostics", "-fmodules-cache-path=x", "-E", "-S"),
    *(
        "@file",
        "-B/evil",
        "--sysroot=/",
        "-target",
        "--target=x",
        "-cc1",
        "-###",
        "-x",
        "-T",
        "x.c",
    ),
    *("-fuse-ld=/evil", "-ccc-gcc-name", "-specs=x", "--config=x", "-gsplit-dwarf"),
    *("-", "", "-\n"),
    *("-O2 -MFx", "-mmain-file-name", "-fdebug-dump-parsing-pass", "-working-directory=/"),
]


@pytest.mark.parametrize("flag", HOSTILE)
def test_flags_that_reach_further(flag: str) -> None:
    """Writing elsewhere, loading code, words for other tools, other inputs."""
    with pytest.raises(ManifestError, match="is not among those that a program may set"):
        check_flags(["-O2", flag], "limpet.toml")


@pytest.mark.parametrize("flags", [["-I"], ["-D", "-MFx"], ["-I", "@file"], ["-l", ""]])
def test_a_flag_without_its_word(flags: list[str]) -> None:
    """Nothing hides behind a flag that takes a word."""
    with pytest.raises(ManifestError, match="wants a word behind it"):
        check_flags(flags, "limpet.toml")


def test_explain_writes_nothing(tmp_path: Path) -> None:
    """A project of a stranger's that would write a file is refused before anything is compiled."""
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    target = tmp_path / "written"
    for flags in (f'["-MD", "-MF{target}"]', f'["-o", "{target}"]', f'["-Wl,-Map={target}"]'):
        (tmp_path / "limpet.toml").write_text(f'sources = ["main.c"]\nflags = {flags}\n')
        with pytest.raises(ManifestError):
            limpet.load(tmp_path)
        assert not target.exists()
    (tmp_path / "limpet.toml").write_text(f'sources = ["-MF{target}", "main.c"]\n')
    with pytest.raises(ManifestError, match="a source cannot start with -"):
        limpet.load(tmp_path)


def test_no_file_of_arguments(tmp_path: Path) -> None:
    """The compiler replaces ``@FILE`` by the words in it, so no word of a project starts with @."""
    target = tmp_path / "written"
    (tmp_path / "@more").write_text(f"-MD\n-MF{target}\n")
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    for words in ('["main.c"]\nflags = ["-I", "@more"]', '["main.c", "@more"]'):
        (tmp_path / "limpet.toml").write_text(f"sources = {words}\n")
        with pytest.raises(ManifestError, match=r"start with (- or )?@"):
            limpet.load(tmp_path)
        assert not target.exists()


BAD = [
    ('sources = ["a\\u0000.c"]', "sources has a zero byte"),
    ('sources = ["a.c"]\nflags = ["-DX=\\u0000"]', "flags has a zero byte"),
    ('sources = ["a.c"]\nroot = "\\u0000"', "root has a zero byte"),
    ('sources = [""]', "a source without a name"),
    ("sources = " + "[" * 5000, "recursion"),
    ("sources = " + "9" * 5000, "integer string"),
    ('"\\u001b[2J" = 1', r"unknown key \\x1b\[2J"),
    ("#" * (1 << 19), "more than 262144 bytes"),
]


@pytest.mark.parametrize(("text", "expected"), BAD, ids=[what for _, what in BAD])
def test_a_stranger_s_file(tmp_path: Path, text: str, expected: str) -> None:
    """One clear error, whatever it holds."""
    (tmp_path / "limpet.toml").write_text(text)
    with pytest.raises(ManifestError, match=expected):
        limpet.load(tmp_path)


def test_no_waiting(tmp_path: Path) -> None:
    """A pipe in the file's place is not waited for."""
    os.mkfifo(tmp_path / "limpet.toml")
    with pytest.raises(ImageError, match="not a regular file"):
        limpet.load(tmp_path)
