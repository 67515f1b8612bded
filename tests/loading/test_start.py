"""Which program starts for a name, and its words: scripts beside what the kernel makes of them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from limpet.errors import ImageError
from limpet.loading.start import start_of

SHOW = r"""
#include <stdio.h>
int main(int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        printf("<%s>", argv[i]);
    return 0;
}
"""


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that prints its words."""
    folder = tmp_path_factory.mktemp("show")
    (folder / "show.c").write_text(SHOW)
    subprocess.run(["cc", "-o", folder / "show", folder / "show.c"], check=True)
    return folder / "show"


def _script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "line",
    ["{}", " {}", "\t{} ", "{} a", "{} a  b\t c  ", "{}\ta", "{} -x=1 'q'", "{} " + "y" * 99],
)
def test_as_the_kernel_does(show: Path, tmp_path: Path, line: str) -> None:
    """The interpreter gets the same words as from ``execve``."""
    script = _script(tmp_path / "script", f"#!{line.format(show)}\nbody\n")
    start = start_of(script)
    native = subprocess.run([script, "one", "two"], capture_output=True, text=True, check=True)
    assert "".join(f"<{word}>" for word in (*start.words, "one", "two")) == native.stdout
    assert start.program == show
    assert start.files == {str(script): script}


def test_scripts_of_scripts(show: Path, tmp_path: Path) -> None:
    """Each is put before the next, as ``execve`` does; each is packed where its path leads."""
    inner = _script(tmp_path / "inner", f"#!{show} in\n")
    outer = _script(tmp_path / "outer", f"#!{inner} out\n")
    start = start_of(outer)
    native = subprocess.run([outer, "x"], capture_output=True, text=True, check=True).stdout
    assert "".join(f"<{word}>" for word in (*start.words, "x")) == native
    assert start.files == {str(inner): inner, str(outer): outer}
    assert len(start.why) == 2


def test_env(show: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``env`` would need exec, so its program is found beforehand, with the words that it gets."""
    monkeypatch.setenv("PATH", f"{show.parent}:/usr/bin:/bin")
    for line in ("/usr/bin/env show", "/usr/bin/env -S show a b"):
        script = _script(tmp_path / "script", f"#!{line}\n")
        start = start_of(script)
        native = subprocess.run([script, "x"], capture_output=True, text=True, check=True).stdout
        assert "".join(f"<{word}>" for word in (*start.words, "x")) == native
        assert start.program == show


SHIM = """#!/usr/bin/env bash
set -e
[ -n "$PYENV_DEBUG" ] && set -x

program="${{0##*/}}"

export PYENV_ROOT="{root}"
exec "{root}/libexec/pyenv" exec "$program" "$@"
"""


@pytest.fixture
def shim(show: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a pyenv with two versions, whose shim is first in PATH."""
    root = tmp_path / "pyenv"
    for version in ("1.2", "3.4-dev"):
        (root / "versions" / version / "bin").mkdir(parents=True)
        shutil.copy(show, root / "versions" / version / "bin" / "show")
    (root / "shims").mkdir()
    (root / "shims" / "show").write_text(SHIM.format(root=root))
    (root / "shims" / "show").chmod(0o755)
    (tmp_path / "work" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / "deep")
    monkeypatch.setenv("PATH", f"{root / 'shims'}:{show.parent}")
    monkeypatch.delenv("PYENV_VERSION", raising=False)
    return root


@pytest.mark.parametrize(
    ("files", "environment", "version"),
    [
        ({"pyenv/version": "1.2\n"}, None, "1.2"),
        ({"pyenv/version": "1.2\n", "work/.python-version": "3.4-dev\n"}, None, "3.4-dev"),
        ({"work/.python-version": "9.9 3.4-dev\n"}, None, "3.4-dev"),
        ({"pyenv/version": "1.2\n"}, "3.4-dev:1.2", "3.4-dev"),
        ({"pyenv/version": "system\n"}, None, None),
        ({"pyenv/version": "../versions/1.2\n"}, None, None),
        ({}, None, None),
    ],
)
def test_shim(
    shim: Path,
    show: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    environment: str | None,
    version: str | None,
) -> None:
    """What pyenv would choose is started; where it has chosen nothing, what is next in PATH."""
    for name, text in files.items():
        (shim.parent / name).write_text(text)
    if environment:
        monkeypatch.setenv("PYENV_VERSION", environment)
    found = start_of(Path("show"))
    expected = shim / "versions" / version / "bin" / "show" if version else show
    assert found.program == expected
    assert found.why == (f"show is {expected}, found in PATH",)


def test_name_in_path(show: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where there is no such file here; what was typed stays the program's name."""
    monkeypatch.setenv("PATH", str(show.parent))
    monkeypatch.chdir(tmp_path)
    found = start_of(Path("show"))
    assert (found.program, found.words) == (show, ("show",))
    assert found.why == (f"show is {show}, found in PATH",)
    (tmp_path / "show").write_text("a file of that name")
    assert start_of(Path("show")).program == Path("show")
    assert start_of(Path("nowhere")).program == Path("nowhere")  # whoever reads it says so
    assert start_of(Path("./nowhere")).program == Path("nowhere")


def test_relative_script(show: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies where its name leads from /, the guest's working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    _script(tmp_path / "d/script", f"#!{show}\n")
    assert start_of(Path("d/script")).files == {"/d/script": Path("d/script")}
    monkeypatch.chdir(tmp_path / "d")
    assert set(start_of(Path("../d/script")).files) == {"/d/script"}


def test_interpreter_of_the_root(show: Path, tmp_path: Path) -> None:
    """What is packed has the interpreter first; a link that leads out of it has not."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    own = _script(root / "bin/own", "not a script")
    (root / "bin/out").symlink_to(show)
    script = _script(tmp_path / "script", "#!/bin/own\n")
    assert start_of(script, root).program == own
    script.write_text("#!/bin/out\n")
    with pytest.raises(ImageError, match="its interpreter /bin/out does not exist"):
        start_of(script, root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#!\n", "names no interpreter"),
        ("#! \t \n", "names no interpreter"),
        ("#!/nowhere/at/all -x\n", "its interpreter /nowhere/at/all does not exist"),
        ("#!/tmp\n", "its interpreter /tmp does not exist"),
        ("#!/" + "x" * 300, "too long or not text"),
        ("#!/bin/s\0h\n", "too long or not text"),
        ("#!/usr/bin/env\n", "asks env for more"),
        ("#!/usr/bin/env -i sh\n", "asks env for more"),
        ("#!/usr/bin/env A=b sh\n", "asks env for more"),
        ("#!/usr/bin/env -S sh 'a b'\n", "asks env for more"),
        ("#!/usr/bin/env no-such-program\n", "no-such-program is nowhere in PATH"),
        ("#!/a\x1b[2Jb\n", r"its interpreter /a\\x1b\[2Jb does not exist"),
    ],
)
def test_bad_line(tmp_path: Path, text: str, message: str) -> None:
    """One clear error each."""
    script = tmp_path / "script"
    script.write_text(text)
    with pytest.raises(ImageError, match=message) as caught:
        start_of(script)
    assert caught.value.hint


def test_endless(tmp_path: Path) -> None:
    """A script that is its own interpreter, as far as Linux goes and no further."""
    script = _script(tmp_path / "loop", f"#!{tmp_path}/loop\n")
    with pytest.raises(ImageError, match="each other's interpreters"):
        start_of(script)


def test_as_deep_as_linux(show: Path, tmp_path: Path) -> None:
    """The deepest chain that execve takes is taken, and the next is refused by both."""
    last = show
    for depth in range(1, 6):
        last = _script(tmp_path / f"s{depth}", f"#!{last}\n")
        native = subprocess.run([last], capture_output=True, text=True, check=True)
        assert "".join(f"<{word}>" for word in start_of(last).words) == native.stdout
    last = _script(tmp_path / "s6", f"#!{last}\n")
    with pytest.raises(OSError, match="Too many levels"):
        subprocess.run([last], check=False)
    with pytest.raises(ImageError, match="each other's"):
        start_of(last)
