"""Ports of the host, and a program's ways in and out by them, on both versions of the protocol."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

LOCAL, LOCAL_6 = "127.0.0.1", "::1"
_GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")


def bound(address: str, port: int = 0, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A socket at an address."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    made.bind((address, port))
    return made


def free_port(address: str, kind: int = socket.SOCK_STREAM) -> int:
    """A port that nobody has at the moment, and that the kernel gives to nobody who asks for any:
    ip(7), ``ip_local_port_range``."""
    low = int(_GIVEN.read_text("ascii").split()[0])
    while True:
        port = random.randrange(low // 2, low)
        with suppress(OSError), bound(address, port, kind):
            return port


class Words(TypedDict):
    """Of a bundle's options."""

    publish: tuple[str, ...]
    connect: tuple[str, ...]


def ways_in_and_out(
    protocol: str, inside: int, ports: Mapping[str, int], ends: Mapping[str, int], nobody: int
) -> Words:
    """Published ``ports`` of the host that lead to one of the guest's, and endpoints, of which the
    last is one where ``nobody`` is."""
    published = f"{LOCAL}:{ports[LOCAL]}", f"[{LOCAL_6}]:{ports[LOCAL_6]}"
    away = (f"{LOCAL}:{ends[LOCAL]}", f"[{LOCAL_6}]:{ends[LOCAL_6]}", f"{LOCAL}:{nobody}")
    return {
        "publish": tuple(f"{each}:{inside}/{protocol}" for each in published),
        "connect": tuple(f"{each}/{protocol}" for each in away),
    }
