"""The page of programs that were tried names those that the tests try, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from tests.guests.linux import test_debian_languages, test_debian_media, test_debian_tools

PAGE = Path(__file__).parents[3] / "docs" / "programs.md"


def test_the_page_has_every_row() -> None:
    """Its first table is the rows of the tests."""
    first = PAGE.read_text(encoding="utf-8").partition("\n## ")[0]
    named = set(re.findall(r"^\| ([^|]+?) \|", first, re.MULTILINE)) - {"program"}
    tables = (test_debian_languages.ROWS, test_debian_media.ROWS, test_debian_tools.ROWS)
    assert named == {name for rows in tables for name in rows}
