"""The command with a cache of this folder's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.caches import seeded
from tests.support.command import Cli


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that all tests here share."""
    folder = tmp_path_factory.mktemp("home")
    seeded(folder / "cache")
    return folder


@pytest.fixture
def limpet(home: Path, tmp_path: Path) -> Cli:
    """The command, in an empty folder."""
    return Cli(home, tmp_path)
