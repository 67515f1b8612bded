"""A Go program: goroutines that compute, a collector, timers, and a fault that it mends."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from limpet.contract import BACKENDS, Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker, execute, need

GO = Path("/usr/lib/go-1.19/bin/go")


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Go's own linker makes it: static, and without a C library."""
    folder = tmp_path_factory.mktemp("go")
    need(GO, "golang-1.19-go")
    environment = {"CGO_ENABLED": "0", "GOCACHE": str(folder / "cache"), "HOME": str(folder)}
    subprocess.run(
        [GO, "build", "-o", folder / "hello", SUPPORT / "programs" / "hello.go"],
        check=True,
        env=os.environ | environment,
    )
    return folder / "hello"


@pytest.mark.parametrize("backend", BACKENDS)
def test_hello(make: Maker, hello: Path, backend: Backend) -> None:
    """In 64 MiB, though its heap reserves far more addresses than that."""
    native = execute(["hello"], hello)
    assert native.stdout.splitlines()[-1] == b"done"
    ran = make(hello, backend, memory=64 << 20).run(timeout=60)
    assert (ran.stdout, ran.stderr, ran.status) == (native.stdout, b"", 0)
