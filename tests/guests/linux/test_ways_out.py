"""Published ports and endpoints: the host's TCP in a guest, beside the same program on Linux."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import limpet
from limpet.audit.inspect import audit
from limpet.audit.policy import read_policy
from limpet.contract import Backend
from limpet.errors import PlanError
from limpet.planning.explain import as_text
from tests.support import SUPPORT
from tests.support.bundles import Made, Maker
from tests.support.ends import LOCAL, LOCAL_6, free_port, ways_in_and_out

ECHO = SUPPORT / "programs" / "echo.c"


def shouting(listener: socket.socket) -> None:
    """Give each what it said, in capitals, when it has said all."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            said = b""
            while more := connection.recv(1000):
                said += more
            connection.sendall(said.upper())


@dataclass(frozen=True)
class Ways:
    """A program with ways in and out, and the same natively."""

    made: Made
    native: Path
    ports: dict[str, int]  # of the host, by address
    ends: dict[str, int]
    nobody: int  # an endpoint where nothing listens

    def start(self, mode: str, at: str, count: int = 1, native: str = "") -> subprocess.Popen[str]:
        """A server, which listens; ``native`` is the address if it is to run on Linux."""
        path = self.native if native else self.made.path
        port = self.ports[native] if native else 80
        argv = [str(path), mode, native or at, str(port), str(count)]
        running = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={}
        )
        assert running.stdout and running.stdout.readline() == "listening\n"
        return running

    def client(self, mode: str, to: str, port: int, native: bool = False) -> tuple[int, str, str]:
        """What a client says: status, output, the line on standard error."""
        path = self.native if native else self.made.path
        done = subprocess.run(
            [path, mode, to, str(port), "hello"],
            capture_output=True,
            text=True,
            timeout=20,
            env={},
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module", params=[pytest.param("kvm", marks=pytest.mark.kvm), "process"])
def ways(request: pytest.FixtureRequest, make: Maker) -> Iterator[Ways]:
    """One bundle for all of these."""
    program = make.compile(ECHO.read_text(encoding="utf-8"), "echo", "-pthread")
    ports = {each: free_port(each) for each in (LOCAL, LOCAL_6)}
    with (
        socket.create_server((LOCAL, 0)) as four,
        socket.create_server((LOCAL_6, 0), family=socket.AF_INET6) as six,
    ):
        ends = {LOCAL: four.getsockname()[1], LOCAL_6: six.getsockname()[1]}
        nobody = free_port(LOCAL)
        for each in (four, six):
            threading.Thread(target=shouting, args=(each,), daemon=True).start()
        made = make(
            program,
            request.param,
            **ways_in_and_out("tcp", 80, ports, ends, nobody),
            sockets=40,
        )
        yield Ways(made, program, ports, ends, nobody)
        for each in (four, six):
            each.shutdown(socket.SHUT_RDWR)


def exchange(address: tuple[str, int], size: int) -> None:
    """All that is sent comes back."""
    data, got = os.urandom(size), b""
    with socket.create_connection(address, timeout=20) as peer:

        def send() -> None:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        while more := peer.recv(1 << 16):
            got += more
        sender.join()
    assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()


def together(count: int, do: Callable[[], None]) -> None:
    """Several at once; none fails."""
    failures: list[BaseException] = []

    def one() -> None:
        try:
            do()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures, failures


@pytest.mark.parametrize("mode", ["serve", "threads", "level", "edge"])
def test_servers(ways: Ways, mode: str) -> None:
    """Blocking, with threads, by epoll: what comes over several connections at once goes back."""
    count = 1 if mode == "serve" else 12
    running = ways.start(mode, "0.0.0.0", count)
    size = 300_000 if mode in ("serve", "threads") else 900
    together(count, lambda: exchange((LOCAL, ways.ports[LOCAL]), size))
    out, error = running.communicate(timeout=20)
    assert (running.returncode, error) == (0, "")
    last = {"serve": f"from {LOCAL} to {LOCAL} port 80\n", "threads": ""}.get(mode, "done\n")
    assert out == last


def test_who_never_waits(ways: Ways) -> None:
    """Connections and bytes are seen by a program that only asks, with no time to wait."""
    running = ways.start("busy", "0.0.0.0")
    time.sleep(0.2)
    with socket.create_connection((LOCAL, ways.ports[LOCAL]), timeout=20) as peer:
        for said in (b"0", b"1"):
            time.sleep(0.05)
            peer.sendall(said)
        for answer in (b"2", b"3", b"4"):
            assert peer.recv(1) == answer
            time.sleep(0.05)
            peer.sendall(b"x")
        out, _ = running.communicate(timeout=20)
    assert (out, running.returncode) == ("heard\n", 0)


def test_version_6(ways: Ways) -> None:
    """A socket of version 6 has both ports, and sees who came by which."""
    running = ways.start("serve", "::", 2)
    exchange((LOCAL, ways.ports[LOCAL]), 1)
    exchange((LOCAL_6, ways.ports[LOCAL_6]), 1)
    out, _ = running.communicate(timeout=20)
    mapped = f"::ffff:{LOCAL}"
    assert out == f"from {mapped} to {mapped} port 80\nfrom {LOCAL_6} to {LOCAL_6} port 80\n"


def looked_at(running: subprocess.Popen[str], port: int) -> str:
    """What the server saw of a peer that says six bytes, reads, and leaves."""
    assert running.stdout
    with socket.create_connection((LOCAL, port), timeout=20) as peer:
        seen = running.stdout.readline() + running.stdout.readline()
        peer.sendall(b"abcdef")
        assert peer.recv(100) == b"one, two\n" and peer.recv(100) == b""
    return seen + running.communicate(timeout=20)[0]


def test_what_poll_sees(ways: Ways) -> None:
    """Each state of a connection looks as it does on Linux: events, peeks, ends, errors."""
    guest = looked_at(ways.start("look", "0.0.0.0"), ways.ports[LOCAL])
    native = looked_at(ways.start("look", "", native=LOCAL), ways.ports[LOCAL])
    assert guest == native
    assert "0x2011" in native


@pytest.mark.parametrize("mode", ["client", "later"])
def test_clients(ways: Ways, mode: str) -> None:
    """To endpoints, waiting for the connection or told of it: the same as on Linux."""
    for to, port in (*ways.ends.items(), (LOCAL, ways.nobody)):
        guest, native = ways.client(mode, to, port), ways.client(mode, to, port, native=True)
        assert guest == native
        assert guest[0] == (1 if port == ways.nobody else 0)


METADATA = ("169.254.169.254", "::ffff:169.254.169.254")
REFUSED = (LOCAL, "127.0.0.2", *METADATA, "192.0.2.1", f"::ffff:{LOCAL}", "2001:db8::1")
"""The host's loopback, metadata services, other hosts, an endpoint's address spelled otherwise."""


@pytest.mark.parametrize("to", REFUSED)
def test_nowhere_else(ways: Ways, to: str) -> None:
    """Another port of an endpoint's host, and its port at any other address: no connection."""
    with socket.create_server((LOCAL, 0)) as other:
        other.settimeout(0)
        port = other.getsockname()[1] if to == LOCAL else ways.ends[LOCAL] + 1
        status, out, error = ways.client("client", to, port)
        with pytest.raises(BlockingIOError):
            other.accept()
    assert (status, out.partition(":")[0]) == (1, "connect")
    if not to.endswith(LOCAL) and to != "127.0.0.2":  # those are the guest's own
        assert re.fullmatch(
            rf"limpet: echo wanted to connect to (.*):{port}, .* --connect .*\n", error
        )


def test_port_in_use(ways: Ways) -> None:
    """Two of one bundle: the second says so, and never starts."""
    running = ways.start("serve", "0.0.0.0")
    ran = ways.made.run("serve", "0.0.0.0", "80", "1")
    line = f"limpet: cannot publish {LOCAL}:{ways.ports[LOCAL]}: in use by another program\n"
    assert (ran.status, ran.stdout, ran.stderr.decode()) == (125, b"", line)
    exchange((LOCAL, ways.ports[LOCAL]), 10)
    assert running.wait(20) == 0


def test_audit_names_them(ways: Ways, tmp_path: Path) -> None:
    """From the bytes: each port and endpoint, and a policy that has others."""
    found = audit(ways.made.path)
    assert found.findings == ()
    assert found.published == (f"{LOCAL}:{ways.ports[LOCAL]}", f"[{LOCAL_6}]:{ways.ports[LOCAL_6]}")
    ends = {f"{LOCAL}:{ways.ends[LOCAL]}", f"[{LOCAL_6}]:{ways.ends[LOCAL_6]}"}
    assert set(found.endpoints) == ends | {f"{LOCAL}:{ways.nobody}"}
    policy = tmp_path / "policy.toml"
    policy.write_text(f'published = ["127.*:*", "[::1]:{ways.ports[LOCAL_6]}"]\nendpoints = []\n')
    assert len(list(read_policy(policy).violations(found))) == 3


BAD = {
    ("80:80/tcp", ""): "-p 80:80/tcp: ",
    ("1.2.3.400:80:80", ""): "1.2.3.400 is not an address",
    ("0:80", ""): "no such port",
    ("80:65536", ""): "no such port",
    ("::1:80:80", ""): "not [ADDRESS:]HOST:GUEST",
    ("", "example..com:80"): "example..com",
    ("", "1.2.3.4"): "not WHERE:PORT",
    ("", "[::ffff:1.2.3.4]:80"): "IPv4 addresses in other words: write them as such",
    ("", "0.0.0.0:80"): "addresses of no host",
    ("", "224.0.0.1:80"): "no addresses of single hosts",
    ("", "[fe80::1]:80"): "link-local",
}


@pytest.mark.parametrize("given", [each for each in BAD if each != ("80:80/tcp", "")])
def test_bad_words(ways: Ways, given: tuple[str, str]) -> None:
    """Each with what is wrong, and an example."""
    port, end = given
    options = limpet.Options(
        backends=("process",), publish=(port,) if port else (), connect=(end,) if end else ()
    )
    with pytest.raises(PlanError, match=re.escape(BAD[given])) as caught:
        limpet.plan(limpet.load(ways.native), options)
    assert caught.value.hint


def test_who_cannot_use_them(make: Maker) -> None:
    """A program without such calls is told at once; one with, in explain, what they cost."""
    hello = limpet.load(make.compile("int main(void) { return 0; }", "none"))
    for options in ({"publish": ("80:80",)}, {"connect": ("192.0.2.1:80",)}):
        with pytest.raises(PlanError, match="it cannot use"):
            limpet.plan(hello, limpet.Options(backends=("process",), **options))  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="--sockets without"):
        limpet.plan(hello, limpet.Options(backends=("process",), sockets=5))
    echo = limpet.load(make.compile(ECHO.read_text(encoding="utf-8"), "echo", "-pthread"))
    backend: Backend = "process"
    text = as_text(limpet.plan(echo, limpet.Options(backends=(backend,), publish=("8080:80/tcp",))))
    assert f"-p {LOCAL}:8080:80/tcp" in text and "from this host alone" in text
    assert re.search(r"accept4 +socket_accept: takes a connection", text)
    assert "connect " not in text.partition("host system calls left")[2]
