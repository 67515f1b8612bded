"""Small bundles to audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limpet.contract import BACKENDS, Backend
from tests.support.bundles import Maker
from tests.support.sources import HELLO

SMALL = HELLO.replace("getenv", "(char *)(long)!")

SLEEPS = "#include <unistd.h>\nint main(void) { return usleep(1); }\n"

EVERY = pytest.mark.parametrize("backend", BACKENDS)  # nothing is run, so no KVM is needed


def small(make: Maker, backend: Backend, **options: Any) -> Path:
    """The bundle of a program that only writes and ends."""
    return make(make.compile(SMALL, "small"), backend, **options).path
