"""``Port``: a port of the host that leads to one of a guest with a user network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Port:
    """A port at an address of the host that leads to one of the guest's."""

    address: str
    host: int
    guest: int
    udp: bool = False
