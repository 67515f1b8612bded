"""Where a guest may connect to, as ``--connect`` says it: names, networks, and ranges of ports.

Each has one spelling, which a bundle's record keeps: ``api.example.com:443/tcp``,
``*.example.com:8000-8010/tcp``, ``10.0.0.0/8:5432/tcp``, ``[2001:db8::/32]:443/udp``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from limpet.errors import PlanError
from limpet.plain import quoted

_WORD = re.compile(r"(\[[^\]]*\]|[^:\[\]]*):([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBERS = re.compile(r"[0-9./]+")
_PORTS = 1 << 16
NAME_MOST = 253
"""Letters of a name with its dots (RFC 1035)."""

_EXAMPLES = (
    "for example api.example.com:443, *.example.com:443, 10.0.0.0/8:5432, 192.0.2.1:8000-8010 or "
    "[2001:db8::/32]:443/udp; any"
)


@dataclass(frozen=True)
class Ports:
    """Ports from ``low`` to ``high``, both included."""

    low: int
    high: int
    udp: bool = False

    def __str__(self) -> str:
        ports = f"{self.low}" if self.low == self.high else f"{self.low}-{self.high}"
        return f"{ports}/{'udp' if self.udp else 'tcp'}"


@dataclass(frozen=True)
class Name:
    """A name, or every name ``below`` it and not itself."""

    name: str
    below: bool
    ports: Ports

    def __str__(self) -> str:
        return f"{'*.' if self.below and self.name else '*' * self.below}{self.name}:{self.ports}"


@dataclass(frozen=True)
class Net:
    """A network; one address has all bits of it in its ``prefix``."""

    address: str
    prefix: int
    ports: Ports

    @property
    def whole(self) -> bool:
        """Whether it is one address."""
        return self.prefix == (128 if ":" in self.address else 32)

    def __str__(self) -> str:
        net = self.address if self.whole else f"{self.address}/{self.prefix}"
        return f"[{net}]:{self.ports}" if ":" in net else f"{net}:{self.ports}"


Destination = Name | Net


ANY = "any"
"""All of :data:`ANYTHING` in one word."""

ANYTHING: tuple[Destination, ...] = (
    Name("", True, Ports(1, _PORTS - 1)),
    Net("0.0.0.0", 0, Ports(1, _PORTS - 1)),
    Net("::", 0, Ports(1, _PORTS - 1)),
)
"""Every name, and every address that no broker refuses."""


def destinations(given: str) -> tuple[Destination, ...]:
    """What stands behind ``--connect``; ``any`` is more than one.

    Raises:
        PlanError: as :func:`destination`.
    """
    return ANYTHING if given == ANY else (destination(given),)


def in_words(given: Iterable[Destination]) -> tuple[str, ...]:
    """Each in its spelling, and what is anything in one word, first."""
    found = tuple(given)
    if not set(ANYTHING) <= set(found):
        return tuple(map(str, found))
    return (ANY, *(str(each) for each in found if each not in ANYTHING))


def destination(given: str) -> Destination:
    """What stands behind ``--connect``.

    Raises:
        PlanError: it is not written as it should be, or nothing can be connected to there.
    """
    match = _WORD.fullmatch(given)
    if not match:
        raise _wrong(given, "not WHERE:PORT", _EXAMPLES)
    where, ports = match[1], _ports(given, match[2], match[3], match[4])
    if where.startswith("["):
        return _net(given, where[1:-1], ports, version=6)
    if _NUMBERS.fullmatch(where):
        return _net(given, where, ports, version=4)
    if where in (ANY, "*"):
        hint = f"any by itself, which is all ports; or a network, as 0.0.0.0/0:{ports}"
        raise _wrong(given, f"{quoted(where)} has no ports", hint)
    below = where.startswith("*.")
    return Name(_name(given, where[2:] if below else where), below, ports)


def _wrong(given: str, what: str, hint: str) -> PlanError:
    return PlanError(f"--connect {quoted(given)}: {what}", hint=hint)


def _ports(given: str, low: str, high: str | None, protocol: str | None) -> Ports:
    ports = Ports(int(low), int(high or low), protocol == "udp")
    if not 0 < ports.low <= ports.high < _PORTS:
        raise _wrong(given, "no such ports", "give 1 to 65535, or a range as 8000-8010")
    return ports


def _name(given: str, name: str) -> str:
    """Its one spelling: lower case, without the last dot."""
    if not name.isascii():
        hint = "write it in ASCII as name servers have it (xn--..., IDNA)"
        raise _wrong(given, "a name has ASCII letters only", hint)
    plain = name.lower().removesuffix(".")
    labels = plain.split(".")
    if len(plain) > NAME_MOST or not all(map(_LABEL.fullmatch, labels)):
        raise _wrong(given, "no name that a name server could know", _EXAMPLES)
    if labels[-1].isdecimal() or labels[-1].startswith("0x"):
        raise _wrong(given, "no name, since it ends in a number, and no address", _EXAMPLES)
    if labels[-1] == "localhost":
        hint = "leave it out, or name the host's by its address: 127.0.0.1 or [::1]"
        raise _wrong(given, "a guest's localhost is the guest itself", hint)
    return plain


def _net(given: str, where: str, ports: Ports, version: int) -> Net:
    from ipaddress import IPv4Network, IPv6Network

    kind = IPv4Network if version == 4 else IPv6Network
    try:
        net = kind(where)
    except ValueError as error:
        hint = f"give an address or the first address of a network; {_EXAMPLES}"
        raise _wrong(given, f"no network: {error}", hint) from error
    if why := _nobody(net):
        raise _wrong(given, why, "name what the guest has to reach")
    return Net(str(net.network_address), net.prefixlen, ports)


_NOBODY = {
    4: {"0.0.0.0/8": "addresses of no host", "224.0.0.0/3": "no addresses of single hosts"},
    6: {
        "::/128": "an address of no host",
        "::/96": "IPv4 addresses in other words: write them as such",
        "::ffff:0:0/96": "IPv4 addresses in other words: write them as such",
        "2001::/32": "IPv4 addresses in other words (Teredo)",
        "fe80::/10": "link-local addresses mean nothing without an interface",
        "ff00::/8": "no addresses of single hosts",
    },
}
"""Networks within which nothing can be connected to; the first that fits counts."""


def _nobody(net: object) -> str:
    from ipaddress import IPv4Network, IPv6Network

    if isinstance(net, IPv4Network):
        for within, why in _NOBODY[4].items():
            if net.prefixlen and net.subnet_of(IPv4Network(within)):
                return why
    elif isinstance(net, IPv6Network):
        for within, why in _NOBODY[6].items():
            if net.subnet_of(IPv6Network(within)) and str(net) != "::1/128":
                return why
    return ""
