"""The program that uses devices, and its bundles."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Made, Maker

SOURCE = SUPPORT / "programs" / "devices.c"


@pytest.fixture(scope="session")
def program(make: Maker) -> Path:
    """The program that uses devices."""
    return make.compile(SOURCE.read_text(encoding="utf-8"), "devices")


@pytest.fixture
def bundle(make: Maker, program: Path, backend: Backend) -> Made:
    """It, with the disk ``data``."""
    return make(program, backend, devices=("block:data",))
