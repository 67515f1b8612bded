"""--connect of names and networks: C libraries ask the broker, which has walls of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import limpet
from limpet.audit.inspect import audit
from limpet.contract import Backend
from limpet.errors import PlanError
from limpet.planning.explain import as_text
from tests.support import SUPPORT
from tests.support.bundles import Made, Maker
from tests.support.internet import Internet, internet
from tests.support.large import large
from tests.support.names import AAAA

CLIENT = SUPPORT / "programs" / "byname.c"
GOOD, GOOD_6, OTHER = "203.0.113.10", "2001:db8:1::10", "203.0.113.11"
CONNECT = ("api.test:443", "203.0.113.11:440-443")


@pytest.fixture(scope="module")
def far() -> Iterator[Internet]:
    """A small Internet."""
    with internet() as made:
        for version in (4, 6):
            made.listen(443, version=version)
        made.listen(80)
        made.names.tell("api.test", GOOD)
        made.names.tell("api.test", GOOD_6, kind=AAAA)
        yield made


@dataclass(frozen=True)
class Client:
    """A client on the host of a small Internet."""

    made: Made
    far: Internet

    def argv(self, *words: str) -> list[str]:
        """How it is started there."""
        return self.far.inside(str(self.made.path), *words)

    def run(self, *words: str, folder: Path) -> tuple[str, list[str]]:
        """What it prints, and why something of it was refused."""
        done = subprocess.run(
            self.argv(*words), capture_output=True, text=True, timeout=60, cwd=folder, check=False
        )
        assert not done.stderr, done.stderr
        log = folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return done.stdout, [json.loads(line)["why"] for line in lines]


@pytest.fixture(params=["musl", "glibc"])
def client(make: Maker, backend: Backend, far: Internet, request: pytest.FixtureRequest) -> Client:
    """The client, with either C library."""
    program = CLIENT
    if request.param == "glibc":
        program = make.folder / "byname-glibc"
        if not program.exists():
            argv = ["gcc", "-static", "-O1", "-w", str(CLIENT), "-o", str(program)]
            subprocess.run(argv, check=True, capture_output=True)
    return Client(make(program, backend, connect=CONNECT, log="log"), far)


def test_by_name(client: Client, tmp_path: Path) -> None:
    """Both addresses of a name, and one that is allowed as such."""
    said, why = client.run("api.test", "443", folder=tmp_path)
    assert sorted(said.splitlines()) == [f"{GOOD_6} far: hello", f"{GOOD} far: hello"]
    assert client.run(OTHER, "443", folder=tmp_path) == (f"{OTHER} far: hello\n", [])
    assert why == []


def test_refused(client: Client, tmp_path: Path) -> None:
    """Another name, other ports, an address that no name led to: each has its line."""
    said, why = client.run("evil.test", "443", folder=tmp_path)
    assert re.search("not known|not resolve", said)
    assert set(why) == {"no --connect allows this name"}
    (tmp_path / "log").unlink()
    for host, port, words in (
        ("api.test", "80", "another port of an address that is allowed"),
        (OTHER, "80", "another port of an address that is allowed"),
        (GOOD, "443", "no --connect allows this address, or no name leads to it now"),
        ("2852039166", "80", "a link-local address, as of metadata services"),
        ("0x7f000001", "8080", None),
    ):
        said, why = client.run(host, port, folder=tmp_path)
        assert "far" not in said
        assert set(why) == ({words} if words else set()), (host, said)
        (tmp_path / "log").unlink(missing_ok=True)


def children(pid: int) -> list[int]:
    """The processes that it started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def waiting(client: Client, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A client that waits for a line before it connects, and its broker."""
    running = subprocess.Popen(
        client.argv("-w", "api.test", "443"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert running.stdout and running.stdout.readline() == "waits\n"
    (broker,) = [each for each in children(running.pid) if each]
    yield running, broker
    running.kill()
    running.wait()


def test_the_brokers_walls(waiting: tuple[subprocess.Popen[str], int]) -> None:
    """It has a filter, no right, no file, and nothing of the guest's memory."""
    running, broker = waiting
    time.sleep(0.2)
    status = Path(f"/proc/{broker}/status").read_text()
    for words in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "Threads:\t1"):
        assert words in status
    if os.geteuid() == 0:
        assert "Uid:\t65534\t65534\t65534\t65534" in status
    assert os.getsid(broker) == broker
    ends = {os.readlink(f"/proc/{broker}/fd/{each}") for each in os.listdir(f"/proc/{broker}/fd")}
    assert len(ends) == 2
    assert sum(each.startswith("socket:") for each in ends) == 1
    maps = Path(f"/proc/{broker}/maps").read_text().splitlines()
    assert all(int(line.split("-")[0], 16) >= 1 << 37 for line in maps)
    assert "r-xp" not in "".join(line for line in maps if "[" in line)
    said, _ = running.communicate("\n", timeout=30)
    assert "far: hello" in said
    deadline = time.monotonic() + 10
    while Path(f"/proc/{broker}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{broker}").exists()


def test_the_broker_is_gone(waiting: tuple[subprocess.Popen[str], int]) -> None:
    """A guest whose broker was killed has no network, and learns it at once."""
    running, broker = waiting
    os.kill(broker, signal.SIGKILL)
    said, errors = running.communicate("\n", timeout=30)
    assert running.returncode in (0, 1), errors
    assert "far" not in said


def test_nothing_of_it_without_names(make: Maker, backend: Backend) -> None:
    """Single addresses and ports: no broker, no process, no name in the bundle's bytes."""
    data = make(CLIENT, backend, connect=("203.0.113.11:443",)).path.read_bytes()
    for words in (b"left_out", b"a link-local address", b"no --connect allows"):
        assert words not in data
    with_one = make(CLIENT, backend, connect=CONNECT, log="log").path.read_bytes()
    for words in (b"left_out", b"a link-local address", b"no --connect allows"):
        assert words in with_one


def test_audit(make: Maker, backend: Backend) -> None:
    """Where it may connect, what its broker may ask of the host, and that the guest may not."""
    made = make(CLIENT, backend, connect=CONNECT, log="log")
    found = audit(made.path)
    assert not found.findings
    assert found.endpoints == ("api.test:443", "203.0.113.11:440-443")
    assert found.backends == (backend,)
    assert "log" in found.opens
    by = {each.backend: {rule.call for rule in each.rules} for each in found.filters}
    assert by.keys() == {backend, "broker"}
    assert {"socket", "connect", "sendmsg"} <= by["broker"]
    assert not {"socket", "connect", "bind", "sendmsg", "fork"} & by[backend]
    assert not {"openat", "execve", "fork", "bind", "listen", "ioctl"} & by["broker"]
    output = next(each for each in found.protections if each.name == "output limit")
    assert not output.present


def test_any_is_shown(make: Maker, backend: Backend) -> None:
    """``--connect any`` is that word in explain and audit, and for a policy."""
    options = limpet.Options(connect=("any",), backends=(backend,))
    text = as_text(limpet.plan(limpet.load(CLIENT), options))
    assert "--connect any      the guest may look up every name and connect to" in text
    assert "*:1-65535" not in text
    found = audit(make(CLIENT, backend, connect=("any",)).path)
    assert (found.findings, found.endpoints) == ((), ("any",))


def test_explain() -> None:
    """Each destination, and the host calls of the broker with their reasons."""
    text = as_text(limpet.plan(limpet.load(CLIENT), limpet.Options(connect=CONNECT)))
    assert "host system calls left to the broker" in text
    assert "the guest may look up the name, and connect to what the broker has answered" in text
    with pytest.raises(PlanError, match="--log log: nothing leads out"):
        limpet.plan(limpet.load(CLIENT), limpet.Options(log="log"))


SERVER = """
import http.server, ssl, sys
server = http.server.HTTPServer(("0.0.0.0", 8443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
"""
CURL = ["curl", "-sS", "--cacert", "/cert.pem", "https://api.test:8443/word"]
PYTHON = (
    "import ssl, urllib.request as u; c = ssl.create_default_context(cafile='/cert.pem'); "
    "print(u.urlopen('https://api.test:8443/word', context=c).read().decode(), end='')"
)


@large
@pytest.mark.parametrize("words", [CURL, ["python3", "-c", PYTHON]], ids=["curl", "python3"])
def test_tls_by_name(far: Internet, backend: Backend, tmp_path: Path, words: list[str]) -> None:
    """Debian's curl, and Python's urllib, to a server that has a certificate for that name."""
    program = shutil.which(words[0], path="/usr/bin")
    if not program:
        pytest.skip(f"*** no {words[0]} here: apt-get install {words[0]} ***")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9"]
    made += ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=api.test"]
    made += ["-addext", "subjectAltName=DNS:api.test"]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "word").write_text("a word\n")
    argv = ["ip", "netns", "exec", far.far, "python3", "-c", SERVER]
    server = subprocess.Popen(
        argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout and server.stdout.readline() == "ready\n"
        limpet_run = [sys.executable, "-m", "limpet", "-q", "run", "--backend", backend]
        limpet_run += ["--connect", "api.test:8443", "--file", f"{tmp_path}/cert.pem:/cert.pem"]
        done = subprocess.run(
            far.inside(*limpet_run, program, *words[1:]),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.stdout, done.returncode) == ("a word\n", 0), done.stderr
    finally:
        server.kill()
        server.wait()
