"""The walks of CONTRIBUTING.md arrive: followed as they stand, in a copy of the sources."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import documents
from tests.support.bundles import KVM_PROBLEM
from tests.support.copies import copied
from tests.support.documents import ROOT


@pytest.mark.skipif(bool(KVM_PROBLEM), reason=f"*** NO KVM HERE: {KVM_PROBLEM} ***")
def test_walks(tmp_path: Path) -> None:
    """What is to be added is added, and programs use it."""
    copied(tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    wrong = documents.follow(text, tmp_path, sources=tmp_path / "src")
    assert not wrong, "\n\n".join(wrong)
