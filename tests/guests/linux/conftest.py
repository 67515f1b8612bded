"""The library OS's own code, compiled for this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.native import Library


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Library]:
    """Loads a file of tests/native."""
    folder = tmp_path_factory.mktemp("native")
    return lambda name: Library(name, folder)
