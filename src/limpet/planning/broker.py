"""The broker of a guest that may connect to names and networks: its policy, and its own filter.

``c/broker/broker.h`` has the policy as structures.  Addresses of version 4 stand as
``::ffff:a.b.c.d``, names as DNS packets have them.
"""

from __future__ import annotations

import socket
import struct
import tomllib
from collections.abc import Sequence
from functools import cache
from ipaddress import ip_address

from limpet.arch.x86_64.host import host_numbers_h
from limpet.contract import HostCall
from limpet.contract.hypercall import host_call
from limpet.contract.limits import DESTINATIONS_MOST, number
from limpet.errors import PlanError
from limpet.formats.destinations import Destination, Name, Net, Ports
from limpet.planning.regions import BROKER_BASE, MONITOR_BASE
from limpet.planning.seccomp import KILL_PROCESS, Filter, Rule
from limpet.sources import C_ROOT

_HEAD = struct.Struct("<II")
_RULE = struct.Struct("<HHBBBB16sI")
_NAME, _BELOW, _NET = range(3)
_MAPPED = bytes(10) + b"\xff\xff"


@cache
def host_calls() -> tuple[HostCall, ...]:
    """What a broker asks of its host, as ``c/broker/broker.toml`` has it."""
    table = tomllib.loads((C_ROOT / "broker" / "broker.toml").read_text(encoding="utf-8"))
    return tuple(host_call(each, _number) for each in table["host"])


def _number(given: int | str) -> int:
    return MONITOR_BASE if given == "MONITOR_AT" else number(given)


def host_numbers() -> str:
    """``host_numbers.h`` of a broker's own C: the calls that it declares, and no more."""
    text = host_numbers_h((each.call for each in host_calls()), ())
    return text + f"#define MONITOR_AT {MONITOR_BASE:#x}L\n"


def broker_filter() -> Filter:
    """What a broker may ask of its host; everything else ends it."""
    rules = (Rule(each.call, each.why, each.pins, origin=BROKER_BASE) for each in host_calls())
    return Filter(tuple(rules), KILL_PROCESS, (0, 0))


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


def read_policy(data: bytes) -> list[Destination]:
    """The destinations of a policy as it lies in a bundle, with whatever follows it.

    Raises:
        ValueError: it is none.
    """
    if len(data) < _HEAD.size:
        raise ValueError("a policy without its head")
    count, pad = _HEAD.unpack_from(data)
    names = _HEAD.size + count * _RULE.size
    if pad or not 0 < count <= DESTINATIONS_MOST or names > len(data):
        raise ValueError("a policy with too many rules")
    rules = (_RULE.unpack_from(data, _HEAD.size + i * _RULE.size) for i in range(count))
    found = [_destination(rule, data[names:]) for rule in rules]
    if not data.startswith(policy(found)):
        raise ValueError("a policy in another form than Limpet's")
    return found


def _destination(
    rule: tuple[int, int, int, int, int, int, bytes, int], names: bytes
) -> Destination:
    low, high, kind, udp, prefix, size, net, at = rule
    ports = Ports(low, high, bool(udp))
    if kind == _NET:
        mapped = net.startswith(_MAPPED) and prefix >= 96
        address = str(ip_address(net[12:] if mapped else net))
        return Net(address, prefix - 96 if mapped else prefix, ports)
    return Name(_dotted(names[at : at + size]), kind == _BELOW, ports)


def _dotted(packed: bytes) -> str:
    labels, at = [], 0
    while at < len(packed) and packed[at]:
        labels.append(packed[at + 1 : at + 1 + packed[at]].decode("ascii"))
        at += 1 + packed[at]
    return ".".join(labels)


def packed_name(name: str) -> bytes:
    """A name as DNS packets have it (RFC 1035)."""
    labels = (label.encode("ascii") for label in name.split(".") if name)
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def packed_address(address: str) -> bytes:
    """``struct broker_address``."""
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address)
    return _MAPPED + socket.inet_aton(address)


def _packed_net(address: str, prefix: int) -> tuple[bytes, int]:
    return packed_address(address), prefix if ":" in address else 96 + prefix
