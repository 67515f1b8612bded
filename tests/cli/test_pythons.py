"""Which Python runs a script."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from limpet.cli import run
from limpet.cli.pythons import by_python, interpreter, is_python
from limpet.errors import PlanError
from limpet.running.warm.guest import guest_files
from limpet.running.warm.script import Script
from limpet.running.warm.texts import Texts
from limpet.tools.cache import Cache
from tests.support.command import Cli


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a python3 of its own, the only one in PATH."""
    path = tmp_path / "bin" / "python3"
    path.parent.mkdir()
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)
    (tmp_path / "app.py").write_text("1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    return tmp_path


def test_in_path(folder: Path) -> None:
    """The one in PATH; the script is its first argument."""
    found = by_python(Path("app.py"), ("1",), None)
    assert found == (folder / "bin" / "python3", ("app.py", "1"))


def test_programs_of_other_names(folder: Path) -> None:
    """A folder and an archive that python takes as a program, unless it is a project of its own."""
    Path("tool").mkdir()
    assert not is_python(Path("tool"))
    for name in ("tool/__main__.py", "tool.pyz"):
        Path(name).write_text("1\n")
    assert by_python(Path("tool"), (), None) == (folder / "bin" / "python3", ("tool",))
    assert is_python(Path("tool.pyz")) and not is_python(Path("other.pyz"))
    for name, has in (("__main__.py", True), ("main.py", False)):
        with zipfile.ZipFile("tool.zip", "w") as made:
            made.writestr(name, "1")
        assert is_python(Path("tool.zip")) is has
    Path("tool.zip").write_bytes(b"PK\3\4")
    assert not is_python(Path("tool.zip"))
    Path("tool/limpet.toml").write_text("")
    assert not is_python(Path("tool"))


@pytest.mark.parametrize(
    "words", [["-Werror"], ["-W", "error"], ["-Xdev"], ["-OB", "-I"], ["--cold", "-u", "-X", "dev"]]
)
def test_options(folder: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the interpreter stand before its script, and none of their letters are ours."""
    found: list[Any] = []

    def take(*given: Any) -> None:
        found.append(given)
        sys.exit(3)

    monkeypatch.setattr(run, "_as_python", take)
    done = CliRunner().invoke(run.command, [*words, "app.py", "-q"])
    of_python = [each for each in words if each != "--cold"]
    assert done.exit_code == 3, done.output
    assert [str(found[0][0]), *found[0][1]] == [*of_python, "app.py", "-q"]
    assert by_python(found[0][0], found[0][1], None)[1] == (*of_python, "app.py", "-q")


def test_options_elsewhere(folder: Path) -> None:
    """Where they do not stand right before a script, a line says who takes them."""
    for words in (["-W", "error", "--timeout", "5s", "app.py"], ["-i", "app.py"]):
        done = CliRunner().invoke(run.command, words)
        assert isinstance(done.exception, PlanError)
        assert done.exception.hint == f"limpet python {' '.join(words)}"
    for given in (["-O", "none.py"], ["-W", "error", "none.py", "app.py"]):
        assert str(CliRunner().invoke(run.command, given).exception) == "none.py: no such file"


def test_options_count(folder: Path) -> None:
    """An interpreter that has begun is for the same options alone."""
    scripts = [Script((option,), (), (), Texts(b"", frozenset())) for option in ("-O", "-B")]
    stubs = []
    for each in scripts:
        with guest_files(each, teardown=False, cache=Cache(folder / "cache")) as made:
            stubs.append((made / "stub").read_bytes())
    assert stubs[0] != stubs[1]


def test_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual environment's goes before PATH, and what the user names before both."""
    for name in ("mine", "other"):
        (folder / name / "bin").mkdir(parents=True)
        (folder / name / "bin" / "python").hardlink_to(folder / "bin" / "python3")
    monkeypatch.setenv("VIRTUAL_ENV", str(folder / "mine"))
    assert interpreter(None) == folder / "mine" / "bin" / "python"
    assert interpreter(str(folder / "other")) == folder / "other" / "bin" / "python"


def test_behind_a_shim(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shim of pyenv's stands for what it would run."""
    shim = folder / "shims" / "python3"
    shim.parent.mkdir()
    text = f'#!/bin/sh\nexport PYENV_ROOT="{folder}"\nexec "{folder}/pyenv" exec "$program" "$@"\n'
    shim.write_text(text)
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{folder / 'bin'}")
    assert interpreter(None) == folder / "bin" / "python3"


def test_no_interpreter(folder: Path) -> None:
    """Nothing there, and a script in its place, are errors: a shell would run Python's text."""
    (folder / "bin" / "python3").write_text('#!/bin/sh\nexec python3.12 "$@"\n')
    with pytest.raises(PlanError, match="a script that starts an interpreter"):
        interpreter(None)
    (folder / "bin" / "python3").unlink()
    with pytest.raises(PlanError, match="there is no python3 in PATH"):
        interpreter(None)
    with pytest.raises(PlanError, match="nowhere: no such interpreter"):
        interpreter("nowhere")


def test_paths_that_the_guest_has_not(limpet: Cli) -> None:
    """PYTHONPATH by --env says how its folders are packed, unless they are; and so it is."""
    folder = limpet.cwd / "modules"
    folder.mkdir()
    (folder / "mine.py").write_text("here = 1")
    (limpet.cwd / "app.py").write_text("import mine; print(mine.here)")
    run = ["run", "--backend", "process", "--python", "/usr/bin/python3"]
    path = f"PYTHONPATH={folder}:/no/such"
    refused = limpet(*run, "--env", path, "app.py")
    assert refused.returncode == 1
    hint = f"limpet: PYTHONPATH: the guest has nothing of {folder}: --include {folder} gives it\n"
    assert refused.stderr.startswith(hint)
    given = limpet(*run, "--env", path, "--include", folder, "app.py")
    assert given.stdout == "1\n"
    assert "nothing of" not in given.stderr
    relative = limpet(*run, "--env", "PYTHONPATH=modules", "app.py")
    assert f"--include {folder} --env PYTHONPATH={folder} gives it\n" in relative.stderr
