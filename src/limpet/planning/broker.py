"""What a broker is given: the destinations of a guest as numbers and byte arrays.

``c/monitor/features/broker/broker.h`` has the same as structures.  Addresses of version 4 stand as
``::ffff:a.b.c.d``, names as DNS packets have them.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from limpet.contract.limits import DESTINATIONS_MOST
from limpet.errors import PlanError
from limpet.formats.destinations import Destination, Name

_HEAD = struct.Struct("<II")
_RULE = struct.Struct("<HHBBBB16sI")
_NAME, _BELOW, _NET = range(3)
_MAPPED = bytes(10) + b"\xff\xff"


def policy(destinations: Sequence[Destination]) -> bytes:
    """``struct broker_policy`` and the names of its rules.

    Raises:
        PlanError: there are too many.
    """
    if len(destinations) > DESTINATIONS_MOST:
        raise PlanError(
            f"{len(destinations)} names and networks are too many for --connect",
            hint=f"at most {DESTINATIONS_MOST}; *.example.com has every name below it",
        )
    names, rules = b"", b""
    for each in destinations:
        ports = each.ports
        if isinstance(each, Name):
            name, kind, net, prefix = packed_name(each.name), int(each.below), bytes(16), 0
        else:
            name, kind, (net, prefix) = b"", _NET, _packed_net(each.address, each.prefix)
        size = len(name)
        fixed = (ports.low, ports.high, kind, int(ports.udp), prefix, size)
        rules += _RULE.pack(*fixed, net, len(names))
        names += name
    return _HEAD.pack(len(destinations), 0) + rules + names


def packed_name(name: str) -> bytes:
    """A name as DNS packets have it (RFC 1035)."""
    labels = (label.encode("ascii") for label in name.split("."))
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def packed_address(address: str) -> bytes:
    """``struct broker_address``."""
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address)
    return _MAPPED + socket.inet_aton(address)


def _packed_net(address: str, prefix: int) -> tuple[bytes, int]:
    return packed_address(address), prefix if ":" in address else 96 + prefix
