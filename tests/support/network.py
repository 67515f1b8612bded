"""TAP interfaces that a test makes, uses and removes by itself."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import pytest

_COUNT = count()
BROADCAST = b"\xff" * 6
OURS = b"\x02\xaa\xaa\xaa\xaa\xaa"


@dataclass
class Tap:
    """A TAP interface that is up, and a socket that sees its frames."""

    name: str
    packets: socket.socket

    def send(self, payload: bytes) -> None:
        """Send a frame with an unknown EtherType to the guest."""
        self.packets.send(BROADCAST + OURS + b"\x88\xb5" + payload)

    def exchange(self, payload: bytes) -> bytes:
        """Send a frame and take the one that comes back.

        The kernel drops what is sent in the moment after the guest attaches, so it is repeated.
        """
        for _ in range(40):
            self.send(payload)
            try:
                while True:
                    frame, (_, _, kind, *_) = self.packets.recvfrom(65536)
                    same = frame[14 : 14 + len(payload)] == payload
                    if kind != socket.PACKET_OUTGOING and frame[:6] == OURS and same:
                        return frame
            except TimeoutError:
                continue
        raise TimeoutError(f"no answer to a frame on {self.name}")

    def remove(self) -> None:
        """Take the interface away."""
        subprocess.run(["ip", "link", "delete", self.name], check=False, capture_output=True)


@contextmanager
def tap(mtu: int = 1500) -> Iterator[Tap]:
    """A TAP interface of this process's own; skips loudly where that is not allowed."""
    name = f"lpt{os.getpid() % 100000}n{next(_COUNT)}"
    try:
        with open("/dev/net/tun", "r+b", buffering=0) as device:
            request = struct.pack("16sH22x", name.encode(), 0x1002)
            fcntl.ioctl(device, 0x400454CA, request)  # TUNSETIFF
            fcntl.ioctl(device, 0x400454CB, 1)  # TUNSETPERSIST
    except OSError as error:
        pytest.skip(f"*** NO TAP INTERFACES HERE ({error}) ***")
    try:
        subprocess.run(["ip", "link", "set", name, "mtu", str(mtu), "up"], check=True)
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        packets.bind((name, 0))
        packets.settimeout(0.5)
        made = Tap(name, packets)
        yield made
        packets.close()
    finally:
        subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)
