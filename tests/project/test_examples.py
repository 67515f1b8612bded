"""The examples do what their page shows, on both backends."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import documents, network
from tests.support.bundles import Maker
from tests.support.documents import ROOT

EXAMPLES = ROOT / "examples"
PAGE = (EXAMPLES / "README.md").read_text(encoding="utf-8")

WITH_BACKEND = """\
#!/bin/sh
case $1 in
-q) shift; command=$1; shift; exec {limpet} -q "$command" --backend {backend} "$@" ;;
run | build) command=$1; shift; exec {limpet} "$command" --backend {backend} "$@" ;;
*) exec {limpet} "$@" ;;
esac
"""


@pytest.fixture
def commands(tmp_path: Path, backend: Backend) -> Path:
    """The command with a backend chosen, as on a host that has only that."""
    folder = tmp_path / "commands"
    folder.mkdir()
    for name, text in {
        "limpet": WITH_BACKEND.format(
            limpet=Path(sys.executable).parent / "limpet", backend=backend
        ),
        "python": f'#!/bin/sh\nexec {sys.executable} "$@" {backend}\n',
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.slow
def test_page(tmp_path: Path, commands: Path) -> None:
    """Every transcript of the page."""
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder)
    wrong = documents.follow(PAGE, folder, commands=commands)
    assert not wrong, "\n\n".join(wrong)


def test_echo(make: Maker, backend: Backend) -> None:
    """Frames come back to who sent them; a word ends it."""
    program = make.compile((EXAMPLES / "echo/echo.c").read_text(encoding="utf-8"), "echo")
    bundle = make(program, backend, devices=("net:wire",), timeout=20000)
    with network.tap() as tap:
        argv = ["echo", f"--net:wire={tap.name}", "--"]
        with subprocess.Popen(argv, executable=bundle.path, stdout=subprocess.PIPE) as guest:
            for payload in (b"one frame", b"another", b"stop"):
                frame = tap.exchange(payload)
                assert frame[14:].rstrip(b"\0") == payload
            said, _ = guest.communicate(timeout=20)
    assert said.endswith(b" frames\n")
    assert int(said.split()[0]) >= 3


def test_every_example_is_on_the_page() -> None:
    """No file is there for nothing, and the page names no other."""
    shown = {target.split("/")[0] for target in documents.links(PAGE)} - {".."}
    assert shown == {path.name for path in EXAMPLES.iterdir()} - {"README.md"}
