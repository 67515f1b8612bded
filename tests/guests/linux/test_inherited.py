"""Published ports whose sockets the starter gives, as systemd does: LISTEN_FDS and its like."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import limpet
from limpet.audit.inspect import audit
from limpet.audit.policy import read_policy
from limpet.contract import Backend
from limpet.errors import PlanError
from limpet.formats.ports import anywhere, port
from limpet.running.devices import check_ports, network
from tests.support import SUPPORT
from tests.support.bundles import Maker, need
from tests.support.ends import LOCAL, LOCAL_6, bound, free_port

ECHO = SUPPORT / "programs" / "echo.c"
DATAGRAMS = SUPPORT / "programs" / "datagrams.c"
ACTIVATE = """
import os, sys
given = [int(each) for each in sys.argv[1].split()]
for index, each in enumerate(given):
    os.dup2(each, 300 + index)
os.closerange(3, 300)
for index in range(len(given)):
    os.dup2(300 + index, 3 + index)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""
"""A process that becomes the bundle; the copies from 300 on stay open as well."""


def start(
    argv: Sequence[str | Path], given: Sequence[int], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """A bundle that is given these descriptors, from 3 on."""
    words = [sys.executable, "-I", "-S", "-c", ACTIVATE, " ".join(map(str, given)), *argv]
    return subprocess.Popen(
        words,
        env={"LISTEN_FDS": str(len(given))} | dict(environment or {}),
        pass_fds=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def echoed(address: tuple[str, int]) -> bytes:
    """What comes back of a word."""
    with socket.create_connection(address, timeout=20) as peer:
        peer.sendall(b"a word")
        peer.shutdown(socket.SHUT_WR)
        return peer.recv(100)


def ended(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its status, and what else it said."""
    out, error = running.communicate(timeout=20)
    return running.returncode, out, error


@pytest.fixture
def server(make: Maker) -> Path:
    """A server of TCP."""
    return make.compile(ECHO.read_text(encoding="utf-8"), "echo", "-pthread")


@pytest.mark.parametrize("backend", [pytest.param("kvm", marks=pytest.mark.kvm), "process"])
def test_a_socket_of_the_starters(make: Maker, server: Path, backend: Backend) -> None:
    """It serves both families, beside a port and a volume; nothing else that was open is."""
    opened = free_port(LOCAL)
    made = make(
        server,
        backend,
        publish=("fd:web:80", f"{opened}:81"),
        devices=("volume:/v:ro",),
        max_output=1 << 20,
    )
    words: tuple[str | Path, ...] = ("--volume:/v=/", "--", "serve", "0.0.0.0")
    secret, other = os.pipe()
    with socket.create_server((LOCAL_6, 0), family=socket.AF_INET6, dualstack_ipv6=False) as given:
        there = given.getsockname()[:2]
        argv = [made.path, *words, "80", "1"]
        running = start(argv, [given.fileno()], {"LISTEN_FDNAMES": "web"})
        assert running.stdout and running.stdout.readline() == "listening\n"
        assert fcntl.fcntl(given, fcntl.F_GETFL) & os.O_NONBLOCK
        assert echoed(there) == b"a word"
        assert ended(running) == (0, f"from 192.0.0.8 to {LOCAL} port 80\n", "")
    with socket.create_server((LOCAL, 0)) as given:
        argv = [made.path, *words, "81", "1"]
        running = start(argv, [given.fileno()], {"LISTEN_FDNAMES": "web"})
        assert running.stdout and running.stdout.readline() == "listening\n"
        listed = _open_in_all(running.pid)
        assert _inode(given.fileno()) in listed and _inode(secret) not in listed
        assert echoed((LOCAL, opened)) == b"a word"
        assert ended(running)[0] == 0
    os.close(secret)
    os.close(other)


def test_nothing_else(make: Maker, server: Path) -> None:
    """Without devices, too, what else the starter left open is closed."""
    made = make(server, "process", publish=("fd:3:80",))
    with listening() as given, Path("/etc/passwd").open() as secret:
        argv = ["/bin/sh", "-c", f"exec 9</etc/passwd; exec {made.path} serve 0.0.0.0 80 1"]
        running = start(argv, [given.fileno()])
        assert running.stdout and running.stdout.readline() == "listening\n"
        listed = _open_in_all(running.pid)
        assert _inode(given.fileno()) in listed and _inode(secret.fileno()) not in listed
        assert echoed(given.getsockname()) == b"a word"
        assert ended(running)[0] == 0


def _inode(fd: int) -> int:
    return os.fstat(fd).st_ino


def _open_in_all(process: int) -> set[int]:
    """Inodes of what a process and its children have open."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False
    )
    found = set()
    for each in (process, *map(int, listed.stdout.split())):
        for fd in Path(f"/proc/{each}/fd").iterdir():
            found.add(fd.stat().st_ino)
    return found


def test_a_socket_of_udp(make: Maker) -> None:
    """The porter has it, and answers from it."""
    program = make.compile(DATAGRAMS.read_text(encoding="utf-8"), "datagrams")
    made = make(program, "process", publish=("fd:3:53/udp",))
    with bound(LOCAL, kind=socket.SOCK_DGRAM) as given, bound(LOCAL, kind=2) as peer:
        running = start([made.path, "serve", "0.0.0.0", "53", "1"], [given.fileno()])
        assert running.stdout and running.stdout.readline() == "listening\n"
        peer.settimeout(20)
        peer.sendto(b"a word", given.getsockname())
        assert peer.recvfrom(100) == (b"A WORD", given.getsockname())
        assert ended(running) == (0, "", "")


def listening() -> socket.socket:
    """A socket of the right kind."""
    return socket.create_server((LOCAL, 0))


def unix() -> socket.socket:
    """A socket that listens, but for nobody outside."""
    made = socket.socket(socket.AF_UNIX)
    made.bind("\0limpet inherited")
    made.listen()
    return made


WRONG: dict[str, tuple[list[Callable[[], Any]], dict[str, str], str]] = {
    "nothing": ([], {}, "LISTEN_FDS and LISTEN_PID give this process nothing"),
    "no number": ([listening], {"LISTEN_FDS": "1x"}, "give this process nothing"),
    "too many": ([listening, listening], {}, "as many sockets as the bundle has -p fd:"),
    "not so many": ([], {"LISTEN_FDS": "1"}, "fd:3: LISTEN_FDS does not have it"),
    "UDP": ([lambda: bound(LOCAL, kind=socket.SOCK_DGRAM)], {}, "not one of TCP"),
    "AF_UNIX": ([unix], {}, "not one of TCP"),
    "bound": ([lambda: bound(LOCAL)], {}, "does not listen"),
    "no socket": ([Path("/dev/null").open], {}, "is no socket"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_of_the_kind(make: Maker, server: Path, case: str) -> None:
    """It does not start, and says why."""
    given, environment, line = WRONG[case]
    made = make(server, "process", publish=("fd:3:80",))
    files = [each() for each in given]
    running = start(
        [made.path, "serve", "0.0.0.0", "80", "1"], [f.fileno() for f in files], environment
    )
    status, out, error = ended(running)
    for each in files:
        each.close()
    assert (status, out) == (125, "") and line in error
    assert error.startswith("limpet: cannot publish ") and error.count("\n") == 1


def test_another_process(make: Maker, server: Path) -> None:
    """What is meant for its parent is not its own."""
    made = make(server, "process", publish=("fd:3:80",))
    with listening() as given:
        argv = ["/bin/sh", "-c", f"{made.path} serve 0.0.0.0 80 1; exit 7"]
        status, _, error = ended(start(argv, [given.fileno()]))
    assert status == 7 and "give this process nothing" in error


def test_names(make: Maker, server: Path) -> None:
    """Each has the socket of its name, whatever their order; a name twice is one socket."""
    made = make(server, "process", publish=("fd:web:80", "fd:more:81"))
    with listening() as web, listening() as more:
        names = {"LISTEN_FDNAMES": "more:web"}
        running = start(
            [made.path, "serve", "0.0.0.0", "80", "1"], [more.fileno(), web.fileno()], names
        )
        assert running.stdout and running.stdout.readline() == "listening\n"
        assert echoed(web.getsockname()) == b"a word"
        assert ended(running)[0] == 0
        names = {"LISTEN_FDNAMES": "web:web"}
        running = start([made.path, "serve"], [more.fileno(), web.fileno()], names)
        assert (
            ended(running)[2] == "limpet: cannot publish fd:more: LISTEN_FDNAMES does not have it\n"
        )


def test_audit_and_words(make: Maker, server: Path, tmp_path: Path) -> None:
    """The bytes say that sockets are given; nothing is bound; bad words are told."""
    found = audit(make(server, "process", publish=("fd:3:80",)).path)
    assert found.findings == () and found.published == ("inherited",)
    assert not {"bind"} & {name for each in found.calls for name in each.calls}
    policy = tmp_path / "policy.toml"
    policy.write_text('published = ["127.*:*"]\n')
    assert len(list(read_policy(policy).violations(found))) == 1
    for wrong in ("fd:2:80", "fd:128:80", "fd:3:0", "fd::80", "fd:3:80:80", "fd:a b:80"):
        with pytest.raises(PlanError, match="-p fd:"):
            port(wrong)
    with pytest.raises(PlanError, match="given twice"):
        limpet.plan(limpet.load(server), limpet.Options(publish=("fd:3:80", "fd:03:81/udp")))
    with pytest.raises(PlanError, match="no sockets of its starter's"):
        anywhere("fd:3:80")
    with pytest.raises(PlanError, match="opens its ports itself"):
        check_ports([network("a=user")], [port("fd:3:80")])


def test_by_systemd(server: Path) -> None:
    """Its own activator starts `limpet run` when somebody comes."""
    activate = need(Path("/usr/bin/systemd-socket-activate"), "systemd")
    at = free_port(LOCAL)
    passed = [
        f"-E{name}={value}"
        for name, value in os.environ.items()
        if name.startswith(("LIMPET", "PYTHON", "HOME"))
    ]
    argv: list[str | Path] = [
        activate,
        "-l",
        f"{LOCAL}:{at}",
        *passed,
        sys.executable,
        "-m",
        "limpet",
        "run",
    ]
    argv += ["--backend", "process", "-p", "fd:3:80", server, "serve", "0.0.0.0", "80", "1"]
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(100):
        try:
            assert echoed((LOCAL, at)) == b"a word"
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    status, out, _ = ended(running)
    assert (status, out) == (0, f"listening\nfrom {LOCAL} to {LOCAL} port 80\n")
