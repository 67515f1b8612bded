"""UDP out of a guest and into it: the host's, beside the same program on Linux."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
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
from tests.support.ends import LOCAL, LOCAL_6, bound, free_port, ways_in_and_out

PROGRAM = SUPPORT / "programs" / "datagrams.c"
LARGEST = 65507


def datagrams(address: str, port: int = 0) -> socket.socket:
    """A socket of UDP at an address, which waits for 10 s at most."""
    made = bound(address, port, socket.SOCK_DGRAM)
    made.settimeout(10)
    return made


def shouting(server: socket.socket) -> None:
    """Give each what it said, in capitals."""
    server.settimeout(None)
    while True:
        said, whom = server.recvfrom(1 << 16)
        if not said:
            return
        server.sendto(said.upper(), whom)


@dataclass(frozen=True)
class Carried:
    """A program with ports and endpoints of UDP, and the same natively."""

    made: Made
    native: Path
    log: Path
    ports: dict[str, int]  # of the host, by address
    ends: dict[str, int]
    nobody: int  # an endpoint where nobody is

    def start(self, *words: str, native: bool = False) -> subprocess.Popen[str]:
        """A server, which has its port."""
        path = self.native if native else self.made.path
        running = subprocess.Popen(
            [path, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={}
        )
        assert running.stdout and running.stdout.readline() == "listening\n"
        return running

    def client(self, *words: str, native: bool = False) -> tuple[int, str]:
        """What a client says, and its status."""
        path = self.native if native else self.made.path
        done = subprocess.run(
            [path, *words], capture_output=True, text=True, timeout=20, env={}, check=False
        )
        return done.returncode, done.stdout


def end(running: subprocess.Popen[str]) -> str:
    """What else it says; it ends well."""
    out, error = running.communicate(timeout=20)
    assert (running.returncode, error) == (0, "")
    return out


@pytest.fixture(scope="module", params=[pytest.param("kvm", marks=pytest.mark.kvm), "process"])
def carried(request: pytest.FixtureRequest, make: Maker) -> Iterator[Carried]:
    """One bundle for all of these."""
    program = make.compile(PROGRAM.read_text(encoding="utf-8"), "datagrams")
    ports = {each: free_port(each, socket.SOCK_DGRAM) for each in (LOCAL, LOCAL_6)}
    log = make.folder / f"refused-{request.param}"
    with datagrams(LOCAL) as four, datagrams(LOCAL_6) as six:
        ends = {LOCAL: four.getsockname()[1], LOCAL_6: six.getsockname()[1]}
        nobody = free_port(LOCAL, socket.SOCK_DGRAM)
        for each in (four, six):
            threading.Thread(target=shouting, args=(each,), daemon=True).start()
        made = make(
            program,
            request.param,
            **ways_in_and_out("udp", 53, ports, ends, nobody),
            log=str(log),
        )
        yield Carried(made, program, log, ports, ends, nobody)
        for each, address in ((four, LOCAL), (six, LOCAL_6)):
            with datagrams(address) as last:
                last.sendto(b"", each.getsockname())


SIZES = (1, 0, 1400, LARGEST)


@pytest.mark.parametrize("mode", ["serve", "several"])
def test_servers(carried: Carried, mode: str) -> None:
    """Of many peers each has its own datagrams back, whole and from the port that it wrote to."""
    rounds, peers = 4, [datagrams(LOCAL) for _ in range(20)]
    running = carried.start(mode, "0.0.0.0", "53", str(rounds * len(peers)))
    to = (LOCAL, carried.ports[LOCAL])
    for size in SIZES:
        for number, peer in enumerate(peers):
            peer.sendto(f"{number:c}".encode() * size if size else b"", to)
            if size == LARGEST:
                assert peer.recvfrom(1 << 16) == (f"{number:c}".encode() * size, to)
        for number, peer in enumerate(peers):
            if size != LARGEST:
                assert peer.recvfrom(1 << 16) == (f"{number:c}".encode() * size, to)
    assert end(running) == ""
    for peer in peers:
        peer.close()


def _set_of(port: int) -> int:
    """The set of a peer at LOCAL in a table of ``peers.h`` whose key is 0."""
    mixed = 0xCBF29CE484222325
    for byte in (*b"\2\0", *port.to_bytes(2, "big"), *socket.inet_aton(LOCAL), *bytes(20)):
        mixed = (mixed ^ byte) * 0x100000001B3 % (1 << 64)
    mixed ^= mixed >> 32
    return (mixed ^ mixed >> 16) % 512


def test_peers_that_are_chosen(carried: Carried) -> None:
    """Others that have chosen their ports for it do not take a peer's place before its answer."""
    with datagrams(LOCAL) as first, ExitStack() as left:
        peers = [first]
        for port in range(32768, 65536):
            if len(peers) < 12 and _set_of(port) == _set_of(first.getsockname()[1]):
                with suppress(OSError):
                    peers.append(left.enter_context(datagrams(LOCAL, port)))
        running = carried.start("late", "0.0.0.0", "53", str(len(peers)))
        for each in peers:
            each.sendto(b"x", (LOCAL, carried.ports[LOCAL]))
        assert first.recv(100) == b"late"
        assert end(running) == ""


def test_version_6(carried: Carried) -> None:
    """A socket of version 6 has both ports, and answers over the one that was written to."""
    running = carried.start("serve", "::", "53", "2")
    for address in (LOCAL, LOCAL_6):
        with datagrams(address) as peer:
            peer.sendto(b"abc", (address, carried.ports[address]))
            got, whom = peer.recvfrom(100)
            assert (got, whom[:2]) == (b"ABC", (address, carried.ports[address]))
    assert end(running) == ""


def test_sockets_for_single_peers(carried: Carried) -> None:
    """Two sockets with one port, one of them connected to a peer: each gets its own."""
    running = carried.start("each", "0.0.0.0", "53", "3")
    with datagrams(LOCAL) as peer:
        peer.connect((LOCAL, carried.ports[LOCAL]))
        peer.send(b"first")
        assert peer.recv(100) == b"connected"
        for word in (b"second", b"third"):
            peer.send(word)
            assert peer.recv(100) == word.upper()
    assert end(running) == ""


@pytest.mark.parametrize("mode", ["connect", "sendto"])
def test_clients(carried: Carried, mode: str) -> None:
    """To endpoints, and where nobody is: the same as on Linux."""
    for to, port in (*carried.ends.items(), (LOCAL, carried.nobody)):
        if mode == "sendto" and port == carried.nobody:
            continue  # both wait for nothing
        for size in ("3", str(LARGEST)):
            guest = carried.client(mode, to, str(port), size)
            assert guest == carried.client(mode, to, str(port), size, native=True)
            refused = (1, "recvfrom: Connection refused\n")
            here = f"{size} bytes from {to} port {port}: {'A' * min(int(size), 9)}\n"
            assert guest == (refused if port == carried.nobody else (0, here))


ELSEWHERE = {
    "another port": (LOCAL_6, 1),
    "another host": ("192.0.2.1", 53),
    "metadata": ("169.254.169.254", 53),
    "mapped": ("::ffff:169.254.169.254", 53),
    "translated": ("64:ff9b::a9fe:a9fe", 53),
    "broadcast": ("255.255.255.255", 53),
    "multicast": ("224.0.0.251", 5353),
}


@pytest.mark.parametrize("which", ELSEWHERE)
def test_nowhere_else(carried: Carried, which: str) -> None:
    """No datagram goes anywhere else, from a client's socket or from one with a published port."""
    to, port = ELSEWHERE[which]
    guest = carried.client("sendto", to, str(port), "3")
    if to != LOCAL_6:  # that is the guest's own
        assert guest == (1, "sendto: Network unreachable\n")
    family = "::" if ":" in to else "0.0.0.0"
    running = carried.start("strange", family, "53", str(port), to)
    own = LOCAL_6 if ":" in to else LOCAL
    with datagrams(own) as peer:
        peer.sendto(b"abc", (own, carried.ports[own]))
        assert peer.recv(100) == b"abc"
    out, _ = running.communicate(timeout=20)
    assert out == ("sent\n" if to == LOCAL_6 else "Network unreachable\n")


def test_port_in_use(carried: Carried) -> None:
    """Two of one bundle: the second says so, and never starts."""
    running = carried.start("serve", "0.0.0.0", "53", "1")
    ran = carried.made.run("serve", "0.0.0.0", "53", "1")
    where = f"{LOCAL}:{carried.ports[LOCAL]}"
    line = f"limpet: cannot publish {where}: in use by another program\n"
    assert (ran.status, ran.stdout, ran.stderr.decode()) == (125, b"", line)
    with datagrams(LOCAL) as peer:
        peer.sendto(b"", (LOCAL, carried.ports[LOCAL]))
        assert peer.recv(10) == b""
    assert end(running) == ""


def test_audit_names_them(carried: Carried, tmp_path: Path) -> None:
    """From the bytes: each as one of UDP, which a policy can refuse."""
    found = audit(carried.made.path)
    assert found.findings == ()
    ports = (f"{LOCAL}:{carried.ports[LOCAL]}/udp", f"[{LOCAL_6}]:{carried.ports[LOCAL_6]}/udp")
    assert found.published == ports
    ends = {f"{LOCAL}:{carried.ends[LOCAL]}/udp", f"[{LOCAL_6}]:{carried.ends[LOCAL_6]}/udp"}
    assert set(found.endpoints) == ends | {f"{LOCAL}:{carried.nobody}/udp"}
    policy = tmp_path / "policy.toml"
    policy.write_text('published = ["127.*:*/udp"]\nendpoints = ["127.*:*"]\n')
    assert len(list(read_policy(policy).violations(found))) == 2


def test_what_it_costs(make: Maker) -> None:
    """explain: who may be answered, the process beside the guest, and the calls that it makes."""
    program = limpet.load(make.compile(PROGRAM.read_text(encoding="utf-8"), "datagrams"))
    options = limpet.Options(backends=("process",), publish=("53:53/udp",))
    text = as_text(limpet.plan(program, options))
    assert f"-p {LOCAL}:53:53/udp" in text and "who alone is answered" in text
    porter = text.partition("host system calls left to the porter")[2]
    assert "sends it from the port, to who has written to it" in porter
    porter = porter.partition("left to the process")[0]
    assert "  connect" not in porter and "  socket " not in porter
    hello = limpet.load(make.compile("int main(void) { return 0; }", "none"))
    for given in ({"publish": ("53:53/udp",)}, {"connect": ("192.0.2.1:53/udp",)}):
        with pytest.raises(PlanError, match="it cannot use"):
            limpet.plan(hello, limpet.Options(backends=("process",), **given))  # type: ignore[arg-type]


def refusals(log: Path) -> list[dict[str, object]]:
    """Each line of a log."""
    return [json.loads(line) for line in log.read_text().splitlines()]


FLOOD = r"""
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    to.sin_addr.s_addr = htonl(0xc0000209);
    for (int i = 0; i < 300; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        connect(fd, (void *)&to, sizeof to);
        close(fd);
    }
    return 0;
}
"""


COUNTS = r"""
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(53)}, from;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), size = -1;
    char bytes[10];
    bind(fd, (void *)&at, sizeof at);
    puts("listening");
    fflush(stdout);
    for (int i = 0; i < 3; i++) {
        struct pollfd one = {fd, POLLIN, 0};
        socklen_t length = sizeof from;
        if (!i)
            poll(&one, 1, 10000), usleep(200000);
        ioctl(fd, FIONREAD, &size);
        printf("%d bytes\n", size);
        recvfrom(fd, bytes, sizeof bytes, 0, (void *)&from, &length);
    }
    return sendto(fd, "end", 3, 0, (void *)&from, sizeof from) - 3;
}
"""


def test_bytes_that_wait(make: Maker, backend: Backend) -> None:
    """FIONREAD of a port tells of the datagram that comes next, also behind another one."""
    port = free_port(LOCAL, socket.SOCK_DGRAM)
    made = make(make.compile(COUNTS, "counts"), backend, publish=(f"{LOCAL}:{port}:53/udp",))
    running = subprocess.Popen([made.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout and running.stdout.readline() == b"listening\n"
    with datagrams(LOCAL) as peer:
        for size in (3, 4, 5):
            peer.sendto(b"x" * size, (LOCAL, port))
        assert peer.recv(10) == b"end"
    out, error = running.communicate(timeout=20)
    assert (running.returncode, error) == (0, b"")
    assert out.decode().split() == ["3", "bytes", "4", "bytes", "5", "bytes"]


@pytest.mark.parametrize("to", [f"{LOCAL}:9", "api.test:443"])
def test_what_was_left_out(make: Maker, backend: Backend, tmp_path: Path, to: str) -> None:
    """A guest that is refused more often than is logged: its end says how often."""
    made = make(make.compile(FLOOD, "flood"), backend, connect=(to,), log="log")
    log, until = tmp_path / "log", time.monotonic() + 10
    done = subprocess.run([made.path], cwd=tmp_path, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0
    while "left_out" not in log.read_text() and time.monotonic() < until:
        time.sleep(0.01)  # who writes it ends after the guest
    *lines, last = map(json.loads, log.read_text().splitlines())
    assert len(lines) >= 256 and len(lines) + last["left_out"] == 300
    log.unlink()
    log.mkdir()
    done = subprocess.run([made.path], cwd=tmp_path, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (125, b"limpet: --log log: a folder\n")


def test_log(carried: Carried) -> None:
    """Each that was refused: what a client sent elsewhere, what a server told a stranger."""
    hosts = ("192.0.2.1", "169.254.169.254", "224.0.0.251", "255.255.255.255")
    for host in hosts:
        carried.client("sendto", host, "53", "3")
    told = {(each.get("address"), each.get("protocol")) for each in refusals(carried.log)}
    assert {(host, "udp") for host in hosts} <= told
