"""What is sent together, or sent later than the program was told: all of it arrives, in order."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker
from tests.support.ends import LOCAL, free_port

GATHERED = SUPPORT / "programs" / "gathered.c"
ANSWERS, ANSWER = 40, 11


@pytest.fixture(scope="module", params=[pytest.param("kvm", marks=pytest.mark.kvm), "process", ""])
def server(request: pytest.FixtureRequest, make: Maker) -> Iterator[tuple[Path, int, int]]:
    """A bundle, or the program natively, with the host's port and its own."""
    program = make.compile(GATHERED.read_text(encoding="utf-8"), "gathered")
    port = free_port(LOCAL)
    backend: Backend | str = request.param
    if backend:
        published = (f"{LOCAL}:{port}:80/tcp",)
        yield make(program, request.param, publish=published).path, port, 80
    else:
        yield program, port, port


def asked(server: tuple[Path, int, int], mode: str) -> tuple[subprocess.Popen[str], socket.socket]:
    """A server and a client that had all of its answers."""
    path, port, own = server
    argv = [str(path), mode, str(own)]
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={})
    assert running.stdout and running.stdout.readline() == "listening\n"
    client = socket.socket()
    client.settimeout(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)
    client.connect((LOCAL, port))
    for number in range(ANSWERS):
        client.sendall(b"next")
        first = number * ANSWER
        said = client.recv(ANSWER)
        together = len(said) == ANSWER  # TCP_CORK and MSG_MORE stay in the guest
        assert together or number % 3 == 2 or server[1] == server[2]
        while len(said) < ANSWER:
            said += client.recv(ANSWER - len(said)) or pytest.fail("it has ended")
        assert said == bytes(each % 251 for each in range(first, first + ANSWER))
    return running, client


@pytest.mark.parametrize("mode", ["close", "shut", "exit", "more"])
def test_all_arrives(server: tuple[Path, int, int], mode: str) -> None:
    """Bytes that a send has taken come, though the program closes, shuts or ends at once."""
    running, client = asked(server, mode)
    assert running.stdout
    sent = int(running.stdout.readline())
    time.sleep(0.1)  # the host has no room meanwhile
    got = b""
    with client:
        while more := client.recv(1 << 16):
            got += more
        if mode == "shut":
            client.sendall(b"x")
    if mode == "close":
        socket.create_connection((LOCAL, server[1]), timeout=20).close()
    assert running.wait(20) == 0
    first = ANSWERS * ANSWER
    assert len(got) == sent - first
    assert got == bytes(each % 251 for each in range(first, sent))


def test_unread(server: tuple[Path, int, int]) -> None:
    """Who closes with bytes that it has not read resets the connection, as the kernel does."""
    running, client = asked(server, "unread")
    client.sendall(b"two")
    assert running.communicate(timeout=20)[0] == "took 1 of what came\n"
    with client, pytest.raises(ConnectionResetError):
        client.recv(1)


def test_peek_of_all(server: tuple[Path, int, int]) -> None:
    """Nothing is told twice to who looks at bytes and wants more of them than there are."""
    running, client = asked(server, "peek")
    with client:
        client.sendall(b"abc")
        time.sleep(0.2)
        with suppress(ConnectionError):  # it may have ended
            client.sendall(b"def")
        said = running.communicate(timeout=20)[0].rstrip()
    assert said in ("abc", "abcdef")
