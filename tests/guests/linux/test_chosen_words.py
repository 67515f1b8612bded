"""Words that a start may choose by, in thousands of spellings, against Python's own addresses."""

from __future__ import annotations

import ctypes
import mmap
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from limpet.arch.x86_64.host import host_numbers_h
from limpet.formats.ports import Endpoint, Port, endpoint, port
from limpet.planning.choices import table
from limpet.planning.outside import packed
from limpet.sources import MONITOR_INCLUDES
from tests.support.native import PAGE, PTR, Library

BOUNDS: tuple[Endpoint | Port, ...] = (
    *map(endpoint, ("a=10.0.0.0/7:443", "a=0.0.0.0/0:1-65535", "a=192.0.2.1:80", "a=8.0.0.0/5:9")),
    *map(endpoint, ("a=[::/0]:1-65535", "a=[2001:db8::/33]:443", "a=[fe00::/7]:1-9", "a=[::1]:1")),
    *map(port, ("a=127.0.0.0/8:1024-65535:1", "a=0.0.0.0/0:80:1", "a=[::/0]:8000-8010:1")),
)
"""At most, of each version, of endpoints and of ports; prefixes that end within a byte, too."""

EACH = 500
_WORD = re.compile(r"(?:([0-9.]+)|\[([0-9A-Fa-f:]+)\]):(0|[1-9][0-9]*)")
_PORT_ALONE = re.compile(r"0|[1-9][0-9]{0,4}")
NOWHERE = [
    *map(ip_network, ("0.0.0.0/8", "224.0.0.0/3")),
    *map(ip_network, ("::/96", "::ffff:0:0/96", "fe80::/10", "ff00::/8")),
]


def read(each: Endpoint | Port, value: str) -> tuple[IPv4Address | IPv6Address, int] | None:
    """The address and port of a word, as Python reads it; ``None``: it is none for this bound."""
    assert each.bound
    version_6 = ":" in each.bound.net.address
    alone = isinstance(each, Port) and not version_6 and _PORT_ALONE.fullmatch(value)
    match = _WORD.fullmatch(f"127.0.0.1:{value}" if alone else value)
    if not match or bool(match[2]) != version_6:
        return None
    try:
        host = ip_address(match[1] or match[2])
    except ValueError:
        return None
    return (host, int(match[3])) if 0 < int(match[3]) < 1 << 16 else None


def expected(each: Endpoint | Port, value: str) -> bytes | str:
    """What comes of it: the address as a socket's, or how the refusal begins."""
    known = read(each, value)
    if known is None:
        return ": no address and port"
    assert each.bound
    (host, number), net = known, each.bound.net
    if host not in ip_network(f"{net.address}/{net.prefix}"):
        return ": the bundle can be given at most "
    if not net.ports.low <= number <= net.ports.high:
        return ": the bundle can be given at most "
    nowhere = any(host in each for each in NOWHERE) and host != IPv6Address("::1")
    if nowhere and (isinstance(each, Endpoint) or not host.is_unspecified):
        return ": no address of one host"
    return packed(str(host), number, net.ports.udp)


@dataclass(frozen=True)
class Spellings:
    """Words near a bound: right ones, such as are nearly right, and others."""

    draw: random.Random
    each: Endpoint | Port

    def __iter__(self) -> Iterator[str]:
        for _ in range(EACH):
            word = f"{self._host()}:{self._number()}"
            for _ in range(self.draw.choice((0, 0, 1, 2))):
                word = self._changed(word)
            yield word

    def _number(self) -> str:
        assert self.each.bound
        ports, pick = self.each.bound.net.ports, self.draw.random()
        if pick < 0.6:
            return str(self.draw.randint(ports.low, ports.high))
        near = (0, 1, ports.low - 1, ports.high + 1, 65535, 65536, 1 << 32 | ports.low, 1 << 64)
        return str(self.draw.choice(near)) if pick < 0.9 else f"0{ports.low}"

    def _host(self) -> str:
        assert self.each.bound
        net, draw = self.each.bound.net, self.draw
        bits = 128 if ":" in net.address else 32
        pick = draw.random()
        base = int(ip_address(net.address))
        if pick < 0.2:
            base = int(draw.choice([one for one in NOWHERE if one.max_prefixlen == bits])[0])
        value = base ^ draw.getrandbits(bits) >> draw.choice((net.prefix, net.prefix, 64, 8, bits))
        value = (value ^ 1 << draw.randrange(bits)) if 0.2 < pick < 0.3 else value
        value &= (1 << bits) - 1
        return str(IPv4Address(value)) if bits == 32 else f"[{self._of_6(IPv6Address(value))}]"

    def _of_6(self, host: IPv6Address) -> str:
        """One of its spellings; some have two gaps, which are none."""
        draw, groups = self.draw, host.exploded.split(":")
        if draw.random() < 0.3:
            return str(host)
        groups = [draw.choice((one, f"{int(one, 16):x}", f"{int(one, 16):X}")) for one in groups]
        for _ in range(draw.choice((0, 1, 1, 2))):
            zeros = [i for i, one in enumerate(groups) if one and not int(one, 16)]
            if zeros:
                first = draw.choice(zeros)
                last = first + 1
                while last in zeros and draw.random() < 0.8:
                    last += 1
                groups[first:last] = [""]
        return ":" * (not groups[0]) + ":".join(groups) + ":" * (not groups[-1])

    def _changed(self, word: str) -> str:
        at = self.draw.randrange(len(word) + 1)
        new = self.draw.choice("0123456789abfgF:.[]%/-+x \xff")
        return word[:at] + self.draw.choice(("", new)) + word[at + self.draw.choice((0, 1)) :]


@pytest.fixture(scope="module")
def choose(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The monitor's own code, as a library."""
    folder = tmp_path_factory.mktemp("choose")
    (folder / "host_numbers.h").write_text(host_numbers_h((), ()))
    return Library("chosen", folder, MONITOR_INCLUDES)


def test_spellings(choose: Library) -> None:
    """Each comes to what Python reads; nothing behind a word's end is looked at."""
    fill = choose("fill", PTR, PTR, PTR)
    room = mmap.mmap(-1, 2 * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(room))
    assert not ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + PAGE), PAGE, 0)
    draw, taken = random.Random(7), 0
    for each in BOUNDS:
        place = table((), (each,))[-150:]
        for value in Spellings(draw, each):
            option = "--connect:" if isinstance(each, Endpoint) else "-p:"
            word = f"{option}a={value}".encode("latin-1") + b"\0"
            room[PAGE - len(word) : PAGE] = word
            filled = ctypes.create_string_buffer(place, len(place))
            why = fill(filled, start + PAGE - len(word))
            want = expected(each, value)
            got = ctypes.string_at(why).decode() if why else filled.raw[:32]
            assert got[: len(want)] == want, (str(each), value)
            assert filled.raw[32:] == place[32:]
            taken += not why
    assert EACH * len(BOUNDS) > 3 * taken > EACH * len(BOUNDS) // 2
