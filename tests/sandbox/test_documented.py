"""The programs of the pages about Python and agents do what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, documents

SAID = {
    ("python.md", "pieces.py"): "12\nworking\n ZeroDivisionError\n",
    ("python.md", "calls.py"): "[2, 1]\n",
    ("api.md", "sandboxed.py"): "2\n 'limpets 0'\n",
    ("api.md", "pooled.py"): "285\nTrue\n{'a': '1'}\n",
    ("api.md", "awaited.py"): "[0, 1, 4, 9, 16]\n49\n2\n",
    ("agents.md", "first.py"): "3\n\n",
    ("agents.md", "tools.py"): "no price for 'gold'\n8\n",
    ("agents.md", "branches.py"): "{'tea': 3}\n{}\n",
    ("agents.md", "limits.py"): "TimeLimit\nOutputLimit\nwell\n",
}


@pytest.mark.parametrize(("page", "name"), SAID)
def test_documented(page: str, name: str, tmp_path: Path) -> None:
    """Each is run as it stands there."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    program = next(block.text for block in documents.blocks(text) if block.title == name)
    path = tmp_path / name
    path.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.stdout, done.stderr) == (SAID[page, name], "")
