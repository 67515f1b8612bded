"""What the documents show is what happens: their commands are run, their output is compared."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import documents
from tests.support.bundles import KVM_PROBLEM
from tests.support.documents import ROOT

pytestmark = pytest.mark.slow

OWN_NETWORK = ("unshare", "--map-root-user", "--net", "bash")
FOLLOWED = {
    "README.md": ("bash",),
    "docs/tutorial.md": ("bash",),
    "docs/solo5-operator.md": OWN_NETWORK,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout to work in: what is made there stays there."""
    for name in ("examples", "docs", "tests", "LICENSE"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.mark.skipif(bool(KVM_PROBLEM), reason=f"*** NO KVM HERE: {KVM_PROBLEM} ***")
@pytest.mark.parametrize("name", FOLLOWED)
def test_transcript(name: str, folder: Path) -> None:
    """A reader who types what it says sees what it shows."""
    text, shell = (ROOT / name).read_text(encoding="utf-8"), FOLLOWED[name]
    assert shell == ("bash",) or " ".join(shell) in text, "the reader is told to start that shell"
    wrong = documents.follow(text, folder, shell)
    assert not wrong, "\n\n".join(wrong)


def test_a_wrong_transcript_is_found(tmp_path: Path) -> None:
    """Other output, missing output, and an end before the end; what varies is let through."""
    block = "```console\n$ {}\n{}```\n".format
    for command, output in [("echo a", "b\n"), ("echo a", ""), ("true", "a\n"), ("exit 3", "")]:
        assert documents.follow(block(command, output), tmp_path)
    assert not documents.follow(block("echo a 12 ms", "a ... ms\n"), tmp_path)
    assert not documents.follow('```c title="x/y"\n12\n```\n' + block("cat x/y", "12\n"), tmp_path)
