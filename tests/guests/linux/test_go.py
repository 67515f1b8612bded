"""A Go program: goroutines that compute, a collector, timers, and a fault that it mends."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from limpet.contract import BACKENDS, Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker, execute, need
from tests.support.large import large

GO = Path("/usr/lib/go-1.19/bin/go")


def built(folder: Path, name: str) -> Path:
    """A program as Go's own linker makes it: static, and without a C library."""
    need(GO, "golang-1.19-go")
    environment = {"CGO_ENABLED": "0", "GOCACHE": str(folder / "cache"), "HOME": str(folder)}
    subprocess.run(
        [GO, "build", "-o", folder / name, SUPPORT / "programs" / f"{name}.go"],
        check=True,
        env=os.environ | environment,
    )
    return folder / name


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What computes, once for both backends."""
    return built(tmp_path_factory.mktemp("go"), "hello")


@pytest.mark.parametrize("backend", BACKENDS)
def test_hello(make: Maker, hello: Path, backend: Backend) -> None:
    """In 64 MiB, though its heap reserves far more addresses than that."""
    native = execute(["hello"], hello)
    assert native.stdout.splitlines()[-1] == b"done"
    ran = make(hello, backend, memory=64 << 20).run(timeout=60)
    assert (ran.stdout, ran.stderr, ran.status) == (native.stdout, b"", 0)


@large
def test_web(make: Maker, tmp_path: Path) -> None:
    """An HTTP server and its clients in one program, datagrams, and nobody outside."""
    program = built(tmp_path, "web")
    lines = [f"POST /{each} {each * 100000}" for each in range(8)]
    lines += ["datagram true", "dial tcp 192.0.2.1:80: connect: network is unreachable"]
    for backend in BACKENDS:
        ran = make(program, backend, memory=128 << 20).run(timeout=60)
        assert ran.stdout.decode().splitlines() == [*lines, "true <nil>"]
        assert ran.stderr.decode() == (
            "limpet: web wanted to connect to 192.0.2.1:80, which it was not given: "
            f"--connect 192.0.2.1:80, backend {backend}\n"
        )
