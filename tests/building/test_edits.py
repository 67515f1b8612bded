"""Of an edited script's bundles few are kept, and the file of one that goes is the next one's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE

import pytest

from limpet.building import exchange
from limpet.cli.exchanged import _with_sum
from limpet.tools import executables, upkeep
from limpet.tools.cache import Cache
from tests.support.bundles import execute
from tests.support.edited import SCRIPT, Project, made


@dataclass(frozen=True)
class Edits:
    """Edits of the script, each of which is run; ``copied`` has a number for each whole copy.

    ``mark`` makes them others than any that are in the cache.
    """

    project: Project
    copied: list[int] = field(default_factory=list)
    mark: str = field(default_factory=lambda: os.urandom(8).hex())

    def __call__(self, text: str) -> Path:
        """The bundle with that in its script, in the cache."""
        self.project["app.py"].write_text(f"{SCRIPT}# {text}{self.mark}\n")
        with self.project.job(memory=96 << 20).bundle(Cache.default()) as made:
            ran = execute(["python3.9", "/app.py"], made.path)
            assert ran.stdout == self.project["app.py"].read_bytes()
            return made.path

    def copies(self, text: str) -> int:
        """How often the whole bundle is copied for such an edit."""
        before = len(self.copied)
        self(text)
        return len(self.copied) - before


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One for all of them."""
    return made(tmp_path_factory.mktemp("edited"))


@pytest.fixture
def edit(project: Project, monkeypatch: pytest.MonkeyPatch) -> Edits:
    """Where two are kept, and there are two."""
    edit = Edits(project)

    def send(source: int, target: int, size: int) -> None:
        edit.copied.append(size)
        executables.send(source, target, size)

    monkeypatch.setattr(exchange, "send", send)
    monkeypatch.setattr(upkeep, "FEW", 2)
    for each in "the base", "one", "another":
        edit(each)
    return edit


def test_few_are_kept(edit: Edits) -> None:
    """The file of one that goes is the next one's."""
    bundles = [edit("first"), edit("second"), edit("third")]
    assert [path.exists() for path in bundles] == [False, True, True]
    assert [edit.copies(f"and {at}") for at in range(4)] == [0, 0, 0, 0]


def test_over_one_of_another(edit: Edits) -> None:
    """What was made from another bundle is left alone, and what cannot be read."""
    notes = ['["bundle-0"]', "{", "[]", "[1, 2]", "7", '["bundle-0", 1e999]', '[null, "x"]']
    bundles = [edit("first"), edit("second")]
    for at, note in enumerate(notes):
        before = len(edit.copied)
        (bundles[at].parent / "own").write_text(_with_sum(note))
        bundles.append(edit(f"with {at}"))
        assert len(edit.copied) == before + 1


def test_over_one_of_a_base_made_again(edit: Edits) -> None:
    """What was made from a base that is gone is left alone: no two snapshots are the same."""
    note = json.loads((edit("last").parent / "own").read_text().partition("\n")[2])
    base = Cache.default().root / note[0].partition(" ")[0] / "bundle"
    again = shutil.copy(base, base.with_name("again"))
    os.replace(again, base)
    assert [edit.copies(str(at)) for at in range(4)] == [1, 1, 0, 0]


def test_a_file_in_use(edit: Edits) -> None:
    """Who runs a bundle, or has its file, goes on with what it was, whatever is made meanwhile."""
    words = ["python3.9", "/dev/stdin", "/app.py"]
    with subprocess.Popen(words, executable=edit("run"), stdin=PIPE, stdout=PIPE) as process:
        had = edit("had")
        with had.open("rb") as stream:
            content = had.read_bytes()
            assert [edit.copies(str(at)) for at in range(4)] == [1, 1, 0, 0]
            assert stream.read() == content
        assert process.communicate(b"said ")[0] == f"said {SCRIPT}# run{edit.mark}\n".encode()
