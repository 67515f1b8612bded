"""User networks through a real passt: what a guest reaches of the host, and who reaches it."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from limpet.contract.limits import FRAME_MOST
from limpet.errors import PlanError
from limpet.formats.ports import port as published
from limpet.running import usernet
from limpet.running.frames import Gate, whole
from tests.support.ends import LOCAL, free_port

pytestmark = pytest.mark.slow

OURS = b"\x02\x00\x00\x00\x00\x01"
ADDRESS = socket.inet_aton(usernet.ADDRESS)
SYN, SYN_ACK, SYN_FIN = 0x02, 0x12, 0x03
LOOPBACK = ["10.0.2.2", "127.0.0.1", "0.0.0.0"]


@pytest.fixture(autouse=True)
def passt() -> None:
    """Needed by all of these."""
    if not shutil.which("passt"):
        pytest.skip("*** passt is missing: apt-get install passt ***")


def _sum(data: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def _ipv4(target: bytes, protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol)
    return head + _sum(head + ADDRESS + target) + ADDRESS + target + payload


def _tcp(target: bytes, ports: tuple[int, int], flags: int) -> bytes:
    head = struct.pack("!HHIIBBH", *ports, 1, 0, 0x50, flags, 64240)
    pseudo = ADDRESS + target + struct.pack("!HH", 6, 20)
    return head + _sum(pseudo + head) + b"\0\0"


class Guest:
    """A guest that makes its own frames."""

    def __init__(self, *ports: str) -> None:
        self.socket = socket.socket(fileno=usernet.start([published(each) for each in ports]))
        self.socket.settimeout(0.4)
        self.gateway = self._resolved()

    def _resolved(self) -> bytes:
        asked = struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + OURS + ADDRESS + bytes(6)
        self.socket.send(b"\xff" * 6 + OURS + b"\x08\x06" + asked + socket.inet_aton("10.0.2.2"))
        return self.answer(b"\x08\x06")[6:12]

    def answer(self, kind: bytes, protocol: int | None = None) -> bytes:
        """The next frame of a kind, empty when there is none soon."""
        ends = time.monotonic() + 0.4
        while time.monotonic() < ends:
            try:
                frame = self.socket.recv(65536)
            except TimeoutError:
                break
            if frame[12:14] == kind and protocol in (None, frame[23]):
                return frame
        return b""

    def connect(self, to: str, port: int, flags: int = SYN) -> bytes:
        """Ask for a TCP connection; the flags of the answer."""
        target = socket.inet_aton(to)
        segment = _tcp(target, (40000 + flags, port), flags)
        self.socket.send(self.gateway + OURS + b"\x08\x00" + _ipv4(target, 6, segment))
        return self.answer(b"\x08\x00", 6)[47:48]

    def datagram(self, to: str, port: int, source: int = 40000) -> None:
        """Send one over UDP."""
        payload = struct.pack("!HHHH", source, port, 12, 0) + b"evil"
        packet = _ipv4(socket.inet_aton(to), 17, payload)
        self.socket.send(self.gateway + OURS + b"\x08\x00" + packet)


class Service:
    """What listens on the host's loopback alone, one port for TCP and UDP."""

    def __init__(self) -> None:
        self.tcp = socket.socket()
        self.tcp.bind(("127.0.0.1", 0))
        self.tcp.listen()
        self.tcp.settimeout(0.2)
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.udp.settimeout(0.2)

    def reached(self) -> set[str]:
        """How somebody reached it since."""
        found = set()
        for name, take in (("tcp", self.tcp.accept), ("udp", lambda: self.udp.recv(100))):
            try:
                take()
                found.add(name)
            except OSError:
                pass
        return found


@pytest.fixture
def service() -> Iterator[Service]:
    """Never meant for a guest."""
    made = Service()
    yield made
    made.tcp.close()
    made.udp.close()


@pytest.mark.parametrize("forwards", [False, True], ids=["nothing forwarded", "udp forwarded"])
def test_loopback(service: Service, forwards: bool) -> None:
    """Neither by the gateway's address nor by the host's own does a guest reach the loopback."""
    guest = Guest(*([f"{free_port(LOCAL)}:7/udp"] if forwards else []))
    assert guest.gateway
    for to in LOOPBACK:
        for flags in (SYN, SYN_FIN, SYN_ACK):
            assert guest.connect(to, service.port, flags)[:1] not in (b"\x12", b"\x1a")
        guest.datagram(to, service.port)
    assert service.reached() == set()


@pytest.mark.parametrize("to", LOOPBACK)
def test_loopback_without_the_gate(
    service: Service, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passt alone does: the same frames arrive."""
    monkeypatch.setattr(Gate, "lets_out", lambda _gate, _frame: True)
    guest = Guest(f"{free_port(LOCAL)}:7/udp")
    assert guest.connect(to, service.port) == bytes([SYN_ACK])
    guest.datagram(to, service.port)
    assert service.reached() == {"tcp", "udp"}


def test_gateway_without_the_gate(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no port is forwarded, passt itself does not take the gateway for the host."""
    monkeypatch.setattr(Gate, "lets_out", lambda _gate, _frame: True)
    guest = Guest()
    assert guest.connect(usernet.GATEWAY, service.port) != bytes([SYN_ACK])
    guest.datagram(usernet.GATEWAY, service.port)
    assert service.reached() == set()


def test_replies_only_to_who_asked(service: Service) -> None:
    """A datagram of the host's lets the guest answer it, and nobody else."""
    port = free_port(LOCAL)
    guest = Guest(f"{port}:7/udp")
    with socket.socket(type=socket.SOCK_DGRAM) as asks:
        asks.bind(("127.0.0.1", 0))
        asks.settimeout(2)
        asks.sendto(b"hello", ("127.0.0.1", port))
        assert guest.answer(b"\x08\x00", 17)[-5:] == b"hello"
        guest.datagram("10.0.2.2", service.port, source=7)
        guest.datagram("10.0.2.2", asks.getsockname()[1], source=7)
        assert asks.recv(100) == b"evil"
    assert service.reached() == set()


@pytest.mark.parametrize("address", ["", "127.0.0.2:"])
def test_published_to_this_host_alone(address: str) -> None:
    """``-p`` listens on 127.0.0.1, or on the address that it names."""
    port = free_port(LOCAL)
    guest = Guest(f"{address}{port}:7")
    open_at = set()
    for at in ("127.0.0.1", "127.0.0.2"):
        try:
            socket.create_connection((at, port), 1).close()
            open_at.add(at)
        except OSError:
            pass
    guest.socket.close()
    assert open_at == {address.rstrip(":") or "127.0.0.1"}


def test_truncated_frames() -> None:
    """Frames that end anywhere are judged, not failed on."""
    gate = Gate(usernet.GATEWAY)
    frame_of_all = (
        OURS + OURS + b"\x08\x00" + _ipv4(socket.inet_aton(usernet.GATEWAY), 6, bytes(20))
    )
    for size in range(len(frame_of_all)):
        for head in (0x45, 0x40, 0x4F):
            frame = frame_of_all[:size]
            if size > 14:
                frame = frame[:14] + bytes([head]) + frame[15:]
            gate.comes_in(frame)
            assert not gate.lets_out(frame) or size > 47
    assert not gate.lets_out(OURS + OURS + b"\x86\xdd" + bytes(60))
    assert not gate.lets_out(os.urandom(12) + b"\x81\x00\x00\x01\x08\x00" + bytes(60))


def test_what_passt_sends() -> None:
    """Frames come in pieces; behind a size that no frame has there is nothing to be told apart."""
    assert whole(b"\0\0\0\2ab\0\0\0\1c\0\0\0\3de") == ([b"ab", b"c"], b"\0\0\0\3de")
    assert whole(b"\0\0\0") == ([], b"\0\0\0")
    for size in (0, FRAME_MOST + 1, 0xFFFFFFFF):
        with pytest.raises(ConnectionError):
            whole(size.to_bytes(4, "big"))


@pytest.mark.parametrize("port", ["300.1.1.1:80:80", "1.2.3:80:80", "::1:80:80", "localhost:80:80"])
def test_bad_addresses(port: str) -> None:
    """Addresses that are none: said with an example."""
    with pytest.raises(PlanError) as caught:
        published(port)
    assert caught.value.hint and caught.value.message.startswith(f"-p {port}: ")
