"""A copy of the product, to be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.documents import ROOT


def copied(folder: Path) -> Path:
    """A copy of ``src`` in ``folder``."""
    made = folder / "src"
    shutil.copytree(ROOT / "src", made, ignore=shutil.ignore_patterns("__pycache__"))
    return made
