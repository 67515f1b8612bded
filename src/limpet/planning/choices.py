"""What a start chooses, in the table that its monitor fills and closes before the guest runs.

Each place has the address that is chosen, zeros in the file, and beside it at most what it can be.
The filter knows the place by its address, as it knows the constants of what is fixed.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from limpet.contract.limits import CHOICE_NAME_SIZE, CHOICE_TEXT_SIZE, SOCKET_ADDRESS_SIZE
from limpet.contract.pages import align_up
from limpet.formats import manifest
from limpet.formats.bounds import Bound
from limpet.formats.destinations import Net, Ports
from limpet.formats.manifest import Device
from limpet.formats.ports import Endpoint, Port
from limpet.plain import plain

HOW = struct.Struct("<BBBB")
"""``struct outside_address`` behind the address: its size, whether it is one of IPv6 and of UDP,
and the number that a starter gives its socket at."""

ADDRESS_SIZE = SOCKET_ADDRESS_SIZE + HOW.size
UDP_AT = SOCKET_ADDRESS_SIZE + 2
"""Where in it stands whether it is one of UDP."""

_ALIGNMENT = 8
CHOICE = struct.Struct(f"<{ADDRESS_SIZE}sHHBB16s{CHOICE_NAME_SIZE}s{CHOICE_TEXT_SIZE}s")
"""``struct choice``: where it leads, the bound's ports and prefix, whether it is an endpoint, the
bound's network, the name, and the bound in words."""

_PREFIXES = {False: (socket.AF_INET, 4, 32), True: (socket.AF_INET6, 16, 128)}


def table(devices: Sequence[Device], chosen: Sequence[Port | Endpoint]) -> bytes:
    """What a start fills in: the devices, and behind them what it chooses; nothing without both."""
    if not devices and not chosen:
        return b""
    named = manifest.pack(devices)
    if not chosen:
        return named
    return named.ljust(align_up(len(named), _ALIGNMENT), b"\0") + b"".join(map(_packed, chosen))


def choices_at(table_at: int, devices: Sequence[Device]) -> int:
    """Where the first is."""
    return table_at + align_up(len(manifest.pack(devices)), _ALIGNMENT)


def _packed(each: Port | Endpoint) -> bytes:
    bound = each.bound
    assert bound
    net, version_6 = bound.net, ":" in bound.net.address
    family, _, _ = _PREFIXES[version_6]
    return CHOICE.pack(
        bytes(SOCKET_ADDRESS_SIZE) + HOW.pack(0, version_6, net.ports.udp, 0),
        net.ports.low,
        net.ports.high,
        net.prefix,
        isinstance(each, Endpoint),
        socket.inet_pton(family, net.address),
        bound.name.encode(),
        bound.at_most.encode(),
    )


def read_choice(data: bytes) -> str:
    """A place in words.

    Raises:
        ValueError: it is none.
    """
    if len(data) != CHOICE.size:
        raise ValueError("it is cut off")
    at, low, high, prefix, _, network, name, _ = CHOICE.unpack(data)
    _, version_6, udp, _ = HOW.unpack_from(at, SOCKET_ADDRESS_SIZE)
    if version_6 > 1 or udp > 1 or any(at[:SOCKET_ADDRESS_SIZE]):
        raise ValueError("it is not empty")
    family, size, most = _PREFIXES[bool(version_6)]
    if prefix > most:
        raise ValueError("it has no such network")
    net = Net(socket.inet_ntop(family, network[:size]), prefix, Ports(low, high, bool(udp)))
    text = plain(name.split(b"\0")[0].decode("ascii", "replace"))
    return f"{words(Bound(text, net))}{'/udp' * udp}"


def given_word(data: bytes) -> str:
    """What a start was given for a place, as its command line had it.

    Raises:
        ValueError: it is not filled in.
    """
    if len(data) != CHOICE.size:
        raise ValueError("it is cut off")
    at, _, _, _, connects, _, name, _ = CHOICE.unpack(data)
    size, version_6, _, _ = HOW.unpack_from(at, SOCKET_ADDRESS_SIZE)
    if not size or version_6 > 1:
        raise ValueError("it is empty")
    (port,) = struct.unpack_from(">H", at, 2)
    family, length, _ = _PREFIXES[bool(version_6)]
    start = 8 if version_6 else 4
    host = socket.inet_ntop(family, at[start : start + length])
    place = f"[{host}]:{port}" if version_6 else f"{host}:{port}"
    text = plain(name.split(b"\0")[0].decode("ascii", "replace"))
    return f"{'--connect' if connects else '-p'}:{text}={place}"


def words(bound: Bound) -> str:
    """For audits and policies: no pattern for addresses fits."""
    return f"chosen at start as {bound.name}, at most {bound.at_most}"
