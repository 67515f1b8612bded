"""Decisions are numbered, each number once, and the index has every one."""

from __future__ import annotations

import re

from tests.support import ROOT

FOLDER = ROOT / "docs" / "decisions"


def test_numbers_and_index() -> None:
    """A page's file, heading and line of the index have one number, and numbers have no holes."""
    pages = sorted(path.name for path in FOLDER.glob("[0-9]*.md"))
    assert [int(name[:4]) for name in pages] == list(range(1, len(pages) + 1))
    for name in pages:
        heading = (FOLDER / name).read_text(encoding="utf-8").splitlines()[0]
        assert re.match(rf"# ({name[:4]}: )?\S", heading), f"{name}: {heading}"
    index = re.findall(r"^(\d+)\. \[[^]]+\]\((.*?)\)$", (FOLDER / "README.md").read_text(), re.M)
    assert index == [(str(int(name[:4])), name) for name in pages]
