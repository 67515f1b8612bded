"""What the tests of audits share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Cli


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home, with a cache that all tests fill."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def limpet(home: Path, tmp_path: Path) -> Cli:
    """The command, in an empty folder."""
    return Cli(home, tmp_path)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to pack."""
    root = tmp_path_factory.mktemp("tree")
    (root / "etc").mkdir()
    (root / "etc" / "motd").write_text("welcome\n")
    (root / "page").write_bytes(b"x" * 5000)
    return root
