"""What a start chooses: ports and endpoints within what the bundle was built for, no others."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import limpet
from limpet.audit.inspect import audit
from limpet.audit.policy import read_policy
from limpet.audit.verify import verify_bundle
from limpet.contract import Backend
from limpet.errors import PlanError
from limpet.formats.bundle.read import read_bundle
from limpet.planning.explain import as_text
from tests.support import SUPPORT
from tests.support.bundles import Made, Maker
from tests.support.ends import LOCAL, LOCAL_6, bound, free_port

ECHO = SUPPORT / "programs" / "echo.c"
DATAGRAMS = SUPPORT / "programs" / "datagrams.c"
CANNOT_START = 125

PUBLISH = ("web=127.0.0.0/8:1024-65535:80/tcp", "six=[::/0]:1024-65535:80/tcp")
CONNECT = (
    "api=127.0.0.0/8:1024-65535/tcp",
    "six=[::/0]:443-65535/tcp",
    "far=0.0.0.0/0:443/tcp",
)


@dataclass(frozen=True)
class Chosen:
    """A bundle whose start chooses, and two listeners of the host's within its bound."""

    made: Made
    backend: Backend
    right: socket.socket
    other: socket.socket

    def words(self, **given: str) -> list[str]:
        """All that it wants, unless some are given otherwise."""
        usual = {
            "web": f"-p:web={free_port(LOCAL)}",
            "six_in": f"-p:six=[::1]:{free_port(LOCAL_6)}",
            "api": f"--connect:api={LOCAL}:{self.port}",
            "six": "--connect:six=[2001:db8::1]:443",
            "far": "--connect:far=192.0.2.1:443",
        }
        return [word for word in (usual | given).values() if word]

    @property
    def port(self) -> int:
        """Where the listener is that is chosen."""
        port: int = self.right.getsockname()[1]
        return port

    def refused(self, word: str) -> str:
        """What is said of a word, and nothing runs."""
        ran = self.made.run(*self.words(api=word), "--", "talk", LOCAL, str(self.port), "hello")
        assert (ran.status, ran.stdout) == (CANNOT_START, b"")
        return ran.stderr.decode()


@pytest.fixture(scope="module", params=[pytest.param("kvm", marks=pytest.mark.kvm), "process"])
def chosen(request: pytest.FixtureRequest, make: Maker) -> Iterator[Chosen]:
    """One bundle for all of these."""
    program = make.compile(ECHO.read_text(encoding="utf-8"), "echo", "-pthread")
    made = make(program, request.param, publish=PUBLISH, connect=CONNECT, features=("help",))
    with socket.create_server((LOCAL, 0)) as right, socket.create_server((LOCAL, 0)) as other:
        yield Chosen(made, request.param, right, other)


def came(listener: socket.socket) -> bool:
    """Whether somebody has connected there."""
    listener.settimeout(0)
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def shout(listener: socket.socket) -> None:
    """One connection, which gets in capitals what it says."""
    listener.settimeout(20)
    with listener.accept()[0] as peer:
        said = b""
        while more := peer.recv(100):
            said += more
        peer.sendall(said.upper())


def test_what_is_chosen_and_nothing_else(chosen: Chosen) -> None:
    """The endpoint of this start is reached; another one that it could have had is not."""
    answers = threading.Thread(target=shout, args=(chosen.right,))
    answers.start()
    ran = chosen.made.run(*chosen.words(), "--", "talk", LOCAL, str(chosen.port), "hello")
    answers.join()
    to = f"to {LOCAL} port {chosen.port}\nHELLO\n".encode()
    assert (ran.status, ran.stdout, ran.stderr) == (0, to, b"")
    elsewhere = chosen.other.getsockname()[1]
    ran = chosen.made.run(*chosen.words(), "talk", LOCAL, str(elsewhere), "hello")
    assert ran.status and not came(chosen.other)
    assert not came(chosen.right)


def test_version_6(chosen: Chosen) -> None:
    """An address in other words of the same version is the same address."""
    with socket.create_server((LOCAL_6, 0), family=socket.AF_INET6) as there:
        port = there.getsockname()[1]
        for words in ("::1", "0:0::0:1", "0000:0:0:0:0:0:0:0001", "0::1"):
            answers = threading.Thread(target=shout, args=(there,))
            answers.start()
            given = chosen.words(six=f"--connect:six=[{words}]:{port}")
            ran = chosen.made.run(*given, "--", "talk", LOCAL_6, str(port), "hello")
            answers.join()
            assert (ran.status, ran.stdout) == (0, f"to ::1 port {port}\nHELLO\n".encode())


def test_ports(chosen: Chosen) -> None:
    """Both versions lead to the guest from where this start says."""
    web, six = free_port(LOCAL), free_port(LOCAL_6)
    given = chosen.words(web=f"--publish:web={web}", six_in=f"-p:six=[::1]:{six}")
    for address, port in ((LOCAL, web), (LOCAL_6, six)):
        argv = [chosen.made.path, *given, "serve", "::" if ":" in address else "0.0.0.0", "80", "1"]
        running = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={})
        assert running.stdout and running.stdout.readline() == "listening\n"
        with socket.create_connection((address, port), timeout=20) as peer:
            peer.sendall(b"x")
            peer.shutdown(socket.SHUT_WR)
            assert peer.recv(10) == b"x"
        running.communicate(timeout=20)
        assert running.returncode == 0


def test_port_in_use(chosen: Chosen) -> None:
    """Its name says which of them it was."""
    ran = chosen.made.run(*chosen.words(web=f"-p:web={chosen.port}"), "talk", LOCAL, "1", "x")
    line = "limpet: cannot publish -p:web as given: in use by another program\n"
    assert (ran.status, ran.stdout, ran.stderr.decode()) == (CANNOT_START, b"", line)


AT_MOST = "the bundle can be given at most 127.0.0.0/8:1024-65535"
NO_ADDRESS = "no address and port"
VALUES = {
    **dict.fromkeys(
        ["128.0.0.1:2000", "126.255.255.255:2000", "8.8.8.8:2000", "169.254.169.254:2000"], AT_MOST
    ),
    **dict.fromkeys(["127.0.0.1:1023", "127.0.0.1:443", "255.255.255.255:2000"], AT_MOST),
    **dict.fromkeys(  # names, and addresses in other words
        [
            *("localhost:2000", "api.example.com:2000", "*:2000", "any", "", ":2000"),
            *("127.1:2000", "127.0.1:2000", "2130706433:2000", "0x7f.0.0.1:2000"),
            *("0x7f000001:2000", "0177.0.0.1:2000", "127.0.0.01:2000", "00127.0.0.1:2000"),
            *("127.0.0.1.:2000", "127.0.0.1.1:2000", "127.0.0.256:2000", "127.0.0.-1:2000"),
            *("[::ffff:127.0.0.1]:2000", "[::ffff:7f00:1]:2000", "[::1]:2000", "::1:2000"),
            *("[64:ff9b::7f00:1]:2000", "[127.0.0.1]:2000", " 127.0.0.1:2000", "127.0.0.1 :2000"),
            *("127.0.0.0/8:2000", "127.0.0.1-127.0.0.9:2000", "127.0.0.1,127.0.0.2:2000"),
            "\uff11\uff12\uff17.0.0.1:2000",
        ],
        NO_ADDRESS,
    ),
    **dict.fromkeys(  # ports
        [
            *("127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:00", "127.0.0.1:02000"),
            *("127.0.0.1:65536", "127.0.0.1:67536", "127.0.0.1:4294969296", "127.0.0.1:-2000"),
            *("127.0.0.1:2000-2001", "127.0.0.1:0x7d0", "127.0.0.1:http", "127.0.0.1:2000/tcp"),
            *("127.0.0.1:2000 ", "127.0.0.1:2000:80", "127.0.0.1:18446744073709553616"),
        ],
        NO_ADDRESS,
    ),
}
"""What ``--connect:api=`` can be given and what is said of it."""


def test_values(chosen: Chosen) -> None:
    """Outside of the bound, and every spelling that another reader would take for something."""
    for value, what in VALUES.items():
        said = chosen.refused(f"--connect:api={value}")
        assert said.startswith(f"limpet: --connect:api={value}: {what}"), said
        assert said.count("\n") == 1


def test_values_that_a_network_has(chosen: Chosen) -> None:
    """Within it, and yet no one host's: every interface, many hosts, IPv4 in other words."""
    for word in (
        "far=0.0.0.0:443",
        "far=0.1.2.3:443",
        "far=224.0.0.1:443",
        "far=255.255.255.255:443",
    ):
        assert chosen.refused(f"--connect:{word}").endswith(": no address of one host\n")
    for host in ("::", "::7f00:1", "::ffff:7f00:1", "fe80::1", "febf::1", "ff02::1"):
        said = chosen.refused(f"--connect:six=[{host}]:443")
        assert said.endswith(": no address of one host\n"), host
    malformed = (":::1", "::1::", "1::2::3", "12345::1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "")
    for host in (*malformed, "1:2:3:4:5:6:7:", ":1:2:3:4:5:6:7", "::1%lo", "::g", "::127.0.0.1"):
        assert NO_ADDRESS in chosen.refused(f"--connect:six=[{host}]:443"), host
    for value in ("[::1:443", "::1]:443", "[::1]443", "[::1]", "[[::1]]:443", "127.0.0.1:443"):
        assert NO_ADDRESS in chosen.refused(f"--connect:six={value}"), value


def test_words(chosen: Chosen) -> None:
    """Unknown ones, repeated ones, one that is missing: told with all that is wanted."""
    wanted = [
        "limpet: the bundle wants -p:web=[ADDRESS:]PORT, at most 127.0.0.0/8:1024-65535",
        "limpet: the bundle wants -p:six=[ADDRESS:]PORT, at most [::/0]:1024-65535",
        "limpet: the bundle wants --connect:api=ADDRESS:PORT, at most 127.0.0.0/8:1024-65535",
        "limpet: the bundle wants --connect:six=ADDRESS:PORT, at most [::/0]:443-65535",
        "limpet: the bundle wants --connect:far=ADDRESS:PORT, at most 0.0.0.0/0:443",
    ]
    assert chosen.refused("").splitlines() == ["limpet: nothing is given for api", *wanted]
    ran = chosen.made.run()
    assert ran.stderr.decode().splitlines() == ["limpet: nothing is given for web", *wanted]
    unknown = ("--connect:db=127.0.0.1:2000", "--connect:ap=127.0.0.1:2000", "--connect:api")
    for word in (*unknown, "-p:api=2000", "--connect:web=127.0.0.1:2000", "--connect:=1", "-p:"):
        lines = chosen.refused(word).splitlines()
        assert lines == [f"limpet: {word}: not among what a start chooses", *wanted]
    twice = chosen.made.run(*chosen.words(), f"--connect:api={LOCAL}:{chosen.port}")
    assert twice.stderr.decode() == f"limpet: --connect:api={LOCAL}:{chosen.port}: given twice\n"
    assert twice.status == ran.status == CANNOT_START
    shown = chosen.made.run("--help").stdout.decode()
    for line in wanted:
        word, most = line.removeprefix("limpet: the bundle wants ").split(", ")
        assert any(word in each and each.endswith(most) for each in shown.splitlines())


def test_told_beforehand(chosen: Chosen, make: Maker, tmp_path: Path) -> None:
    """Explain and audit name each with its bound, and no pattern of addresses allows it."""
    program = make.compile(ECHO.read_text(encoding="utf-8"), "echo", "-pthread")
    options = limpet.Options(backends=(chosen.backend,), publish=PUBLISH, connect=CONNECT)
    text = as_text(limpet.plan(limpet.load(program), options))
    assert "chosen at start (--connect:api=ADDRESS:PORT), at most 127.0.0.0/8:1024-65535" in text
    assert "chosen at start (-p:web=[ADDRESS:]PORT), at most 127.0.0.0/8:1024-65535" in text
    found = audit(chosen.made.path)
    assert found.findings == ()
    assert found.published == (
        "chosen at start as web, at most 127.0.0.0/8:1024-65535",
        "chosen at start as six, at most [::/0]:1024-65535",
    )
    assert set(found.endpoints) == {
        "chosen at start as api, at most 127.0.0.0/8:1024-65535",
        "chosen at start as six, at most [::/0]:443-65535",
        "chosen at start as far, at most 0.0.0.0/0:443",
    }
    assert verify_bundle(read_bundle(chosen.made.path)).same
    policy = tmp_path / "policy.toml"
    policy.write_text(
        'endpoints = ["127.*", "0.*", "[[]*", "chosen at start as api, at most 127.*"]\n'
    )
    assert len(list(read_policy(policy).violations(found))) == 2


def test_datagrams(make: Maker) -> None:
    """UDP is the porter's, which goes by the same table."""
    program = make.compile(DATAGRAMS.read_text(encoding="utf-8"), "datagrams")
    ends, ports = ("dns=127.0.0.0/8:1024-65535/udp",), ("ask=1024-65535:53/udp",)
    made = make(program, "process", publish=ports, connect=ends)
    with (
        bound(LOCAL, kind=socket.SOCK_DGRAM) as right,
        bound(LOCAL, kind=socket.SOCK_DGRAM) as other,
    ):
        port, ask = right.getsockname()[1], free_port(LOCAL, socket.SOCK_DGRAM)
        words = [f"-p:ask={ask}", f"--connect:dns={LOCAL}:{port}"]
        thread = threading.Thread(target=lambda: right.sendto(*reversed_shout(right)))
        thread.start()
        ran = made.run(*words, "sendto", LOCAL, str(port), "3")
        thread.join()
        assert (ran.status, ran.stdout) == (0, f"3 bytes from {LOCAL} port {port}: AAA\n".encode())
        other.setblocking(False)
        made.run(*words, "connect", LOCAL, str(other.getsockname()[1]), "3")
        with pytest.raises(BlockingIOError):
            other.recv(1)
    argv = [*words, "serve", "0.0.0.0", "53", "1"]
    running = subprocess.Popen([made.path, *argv], stdout=subprocess.PIPE, text=True, env={})
    assert running.stdout and running.stdout.readline() == "listening\n"
    with bound(LOCAL, kind=socket.SOCK_DGRAM) as peer:
        peer.settimeout(20)
        peer.sendto(b"abc", (LOCAL, ask))
        assert peer.recv(10) == b"ABC"
    running.communicate(timeout=20)
    assert audit(made.path).published == (
        "chosen at start as ask, at most 127.0.0.1:1024-65535/udp",
    )
    found = audit(made.path).endpoints
    assert found == ("chosen at start as dns, at most 127.0.0.0/8:1024-65535/udp",)


def reversed_shout(own: socket.socket) -> tuple[bytes, tuple[str, int]]:
    """What came, in capitals, and who is to have it."""
    own.settimeout(20)
    said, whom = own.recvfrom(100)
    return said.upper(), whom


def test_what_cannot_be_chosen(make: Maker) -> None:
    """Options that do not go together are told when the plan is made."""
    program = make.compile(ECHO.read_text(encoding="utf-8"), "echo", "-pthread")
    guest = limpet.load(program)

    def plan(**options: Any) -> limpet.Plan:
        return limpet.plan(guest, limpet.Options(backends=("process",), **options))

    for options, what in (
        ({"connect": ("a=10.0.0.0/8:1/tcp",), "snapshot": True}, "its starts choose nothing"),
        ({"publish": ("a=8080:80/tcp",), "snapshot": True}, "its starts choose nothing"),
        ({"connect": ("a=10.0.0.0/8:1/udp", "b.test:1/tcp")}, "a broker connects all sockets"),
        ({"connect": ("a=10.0.0.0/8:1/tcp", "b.test:1/udp")}, "a broker connects all sockets"),
        (
            {"connect": ("a=10.0.0.0/8:1/tcp", "a=10.0.0.0/8:2/tcp")},
            "a of --connect is given twice",
        ),
        ({"publish": ("a=8080:80/tcp", "a=8081:80/tcp")}, "the name a of -p is given twice"),
    ):
        with pytest.raises(PlanError, match=what):
            plan(**options)
    plan(connect=("a=10.0.0.0/8:1/tcp", "b.test:1/tcp"))  # each by its own way
