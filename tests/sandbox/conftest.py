"""A sandbox of each backend, and a snapshot, from one bundle that all tests share."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from limpet import Sandbox, SandboxSnapshot
from limpet.contract import Backend


def add(first: int, second: int = 1) -> int:
    """What the guest calls."""
    if first < 0:
        raise ValueError("it is negative")
    return first + second


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to lock: of two workers one makes the bundle, and both use it."""
    return tmp_path_factory.getbasetemp().parent / "sandbox.lock"


@pytest.fixture
def sandbox(backend: Backend, alone: Path) -> Iterator[Sandbox]:
    """One that was just started."""
    with alone.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Sandbox(backend=backend, timeout=30, output=1 << 20, tools={"add": add})
    with made:
        yield made


@pytest.fixture
def snapshot(backend: Backend, alone: Path) -> Iterator[SandboxSnapshot]:
    """What all sandboxes of a test start from."""
    with alone.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Sandbox.prepare(backend=backend, timeout=30, output=1 << 20)
    yield made
