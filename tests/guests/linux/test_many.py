"""Thousands of descriptors and connections: all are served, and an idle one costs little."""

from __future__ import annotations

import resource
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.errors import PlanError
from tests.support import SUPPORT
from tests.support.bundles import Maker, execute
from tests.support.ends import free_port
from tests.support.large import LARGE

MANY = SUPPORT / "programs" / "many.c"
DESCRIPTORS = 20_000
CONNECTIONS = 10_000 if LARGE else 2_000
PER_CONNECTION = 4096


@pytest.fixture(scope="module")
def program(make: Maker) -> Path:
    """One program for all of these."""
    return make.compile(MANY.read_text(encoding="utf-8"), "many")


@contextmanager
def descriptors(wanted: int) -> Iterator[None]:
    """This process, and what it starts, may have so many."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < wanted:
        pytest.skip(f"*** ONLY {before[1]} DESCRIPTORS HERE: raise `ulimit -Hn` ***")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_descriptors(make: Maker, backend: Backend, program: Path) -> None:
    """The limit is 1,024 until the program raises it; each of 20,000 is the kernel's."""
    with descriptors(DESCRIPTORS):
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(7)[1]))
        native = execute(["many", "files", str(DESCRIPTORS)], program)
    ours = make(program, backend).run("files", str(DESCRIPTORS))
    assert (ours.stdout.decode(), ours.stderr, ours.status) == (native.stdout.decode(), b"", 0)
    assert f"to {DESCRIPTORS - 1}\n" in ours.stdout.decode()


def resident(process: subprocess.Popen[str]) -> int:
    """Bytes of memory that a process has."""
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


@contextmanager
def serving(path: Path, count: int) -> Iterator[subprocess.Popen[str]]:
    """The server, started."""
    argv = [str(path), "serve", str(count)]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, env={}) as process:
        try:
            assert process.stdout and process.stdout.readline() == "listening\n"
            yield process
        finally:
            process.kill()


def exchange(connection: socket.socket, said: bytes) -> None:
    """What is said comes back."""
    connection.sendall(said)
    assert connection.recv(100) == said


def test_idle_connections(make: Maker, backend: Backend, program: Path) -> None:
    """Each takes at most 4 KiB of the guest, all are there, and each is still answered."""
    port = free_port("127.0.0.1")
    published = (f"127.0.0.1:{port}:80/tcp",)
    made = make(program, backend, publish=published, sockets=CONNECTIONS + 8)
    with descriptors(CONNECTIONS + 500), ExitStack() as stack:
        process = stack.enter_context(serving(made.path, CONNECTIONS))
        first = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        exchange(first, b"first")
        before = resident(process)
        others = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for _ in range(CONNECTIONS - 1)
        ]
        assert process.stdout and process.stdout.readline() == "all\n"
        for number in range(0, CONNECTIONS - 1, CONNECTIONS // 20):
            exchange(others[number], b"%d" % number)
        exchange(first, b"again")
        assert 0 < (resident(process) - before) / CONNECTIONS <= PER_CONNECTION


def test_too_few_on_the_host(make: Maker, backend: Backend, program: Path) -> None:
    """A host that allows fewer descriptors than the bundle needs is told with what to do."""
    port = free_port("127.0.0.1")
    made = make(program, backend, publish=(f"127.0.0.1:{port}:80/tcp",), sockets=3000)
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 2000; exec "$0" serve 1', str(made.path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 125
    assert "raise `ulimit -Hn`, or build with fewer --sockets" in done.stderr


def test_too_many(program: Path) -> None:
    """More than a bundle can be given is refused when it is planned."""
    options = limpet.Options(backends=("process",), publish=("8080:80/tcp",), sockets=1 << 20)
    with pytest.raises(PlanError, match="too many") as caught:
        limpet.plan(limpet.load(program), options)
    assert caught.value.hint
