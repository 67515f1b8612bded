"""The programs of the page about Python do what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, documents

SAID = {"sandboxed.py": "2\n 'limpets 0'\n", "pooled.py": "285\nTrue\n{'a': '1'}\n"}


@pytest.mark.parametrize("name", SAID)
def test_documented(name: str, tmp_path: Path, alone: Path) -> None:
    """Each is run as it stands there."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    program = next(block.text for block in documents.blocks(text) if block.title == name)
    path = tmp_path / name
    path.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.stdout, done.stderr) == (SAID[name], "")
