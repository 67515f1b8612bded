"""The library OS's own code, compiled for this process."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.bundles import Maker
from tests.support.native import Library
from tests.support.same_calls import populate, program_of


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Library]:
    """Loads a file of tests/native."""
    folder = tmp_path_factory.mktemp("native")
    return lambda name: Library(name, folder)


@pytest.fixture(scope="session")
def template(make: Maker) -> Iterator[Path]:
    """The tree, in memory so that Linux answers for tmpfs: what Limpet says that it is."""
    if os.geteuid():
        pytest.skip("*** only root can make a folder the root folder: run as root ***")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        top = Path(folder, "template")
        top.mkdir()
        shutil.copy(program_of(make), top / "calls")
        populate(top)
        yield top
