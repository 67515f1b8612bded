"""Memory at a moment, as runs of pages."""

from __future__ import annotations

import pytest

from limpet.formats.memory import Memory


def test_a_page_twice() -> None:
    """Runs of a forged record that overlap: plain words, and nothing of Python's own."""
    with pytest.raises(ValueError, match="a page that is there twice"):
        Memory.of_pages([(4096, b"x" * 8192), (8192, b"y" * 4096)])
