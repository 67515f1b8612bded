"""What the tests of machine code share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.assembler import Assembler


@pytest.fixture
def assemble(tmp_path: Path) -> Assembler:
    """Assembles snippets."""
    return Assembler(tmp_path)
