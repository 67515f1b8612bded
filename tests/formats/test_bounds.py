"""``NAME=WHERE:PORTS``: what it takes, its one spelling, and an error for everything else."""

from __future__ import annotations

import pytest

from limpet.errors import PlanError
from limpet.formats.ports import anywhere, endpoint, port

ENDS = {
    "api=10.0.0.0/8:443": "api=10.0.0.0/8:443/tcp",
    "a=192.0.2.1:1-65535/udp": "a=192.0.2.1:1-65535/udp",
    "Data-base_2=[2001:DB8::/32]:443": "Data-base_2=[2001:db8::/32]:443/tcp",
    "x=0.0.0.0/0:443": "x=0.0.0.0/0:443/tcp",
    "x=127.0.0.1:80": "x=127.0.0.1:80/tcp",
}
PORTS = {
    "web=8080:80": "web=127.0.0.1:8080:80/tcp",
    "web=8000-8010:80/udp": "web=127.0.0.1:8000-8010:80/udp",
    "web=0.0.0.0:8080:80": "web=0.0.0.0:8080:80/tcp",
    "web=0.0.0.0/0:8080:80": "web=0.0.0.0/0:8080:80/tcp",
    "web=10.0.0.0/8:1-65535:80": "web=10.0.0.0/8:1-65535:80/tcp",
    "web=[::/0]:8080:80": "web=[::/0]:8080:80/tcp",
    "web=[::]:8080:80": "web=[::]:8080:80/tcp",
}


def test_good() -> None:
    """It has one spelling, which is read as the same."""
    for given, words in ENDS.items():
        assert str(endpoint(given)) == words and endpoint(words) == endpoint(given)
    for given, words in PORTS.items():
        assert str(port(given)) == words and port(words) == port(given)


NAMES = ("", "1a", "a b", "a:b", "a.b", "-a", "a" * 32, "ä", "a\x1b", "a/b", "--a")
ENDS_BAD = {
    **dict.fromkeys([f"{name}=10.0.0.0/8:443" for name in NAMES], "no name for what a start"),
    **dict.fromkeys(["a=b.test:443", "a=*.test:443"], "an address, and no name"),
    **dict.fromkeys(["a=", "a=10.0.0.0/8", "a=any", "a=10.0.0.0/8:443:80"], "not WHERE:PORT"),
    **dict.fromkeys(["a=10.0.0.0/8:0", "a=10.0.0.0/8:2-1", "a=10.0.0.0/8:65536"], "no such ports"),
    **dict.fromkeys(["a=10.0.0.1/8:443", "a=010.0.0.0/8:443", "a=10.0.0.0/33:443"], "no network"),
    **dict.fromkeys(["a=[::ffff:0:0/96]:443", "a=[::7f00:1]:443"], "in other words"),
    **dict.fromkeys(["a=0.0.0.0:443", "a=224.0.0.0/4:443", "a=[ff00::/8]:443"], "no |of no host"),
}
PORTS_BAD = {
    **dict.fromkeys([f"{name}=8080:80" for name in NAMES], "no name for what a start"),
    **dict.fromkeys(["a=8080", "a=fd:3:80", "a=80:80:80", "a=b.test:80:80"], r"not NAME=\["),
    **dict.fromkeys(["a=0:80", "a=9-8:80", "a=8080:0", "a=65536:80", "a=8080:80-81"], "not NAME="),
    **dict.fromkeys(["a=10.0.0.1/8:80:80", "a=1.2.3:80:80", "a=0177.0.0.1:80:80"], "-p a="),
    **dict.fromkeys(["a=0.0.0.0/8:80:80", "a=[::/96]:80:80"], "stands for every interface"),
    "a=[::ffff:127.0.0.1]:80:80": "in other words",
}


def test_bad() -> None:
    """The error names what was given and says what to write."""
    for given, what in ENDS_BAD.items():
        with pytest.raises(PlanError, match=what):
            endpoint(given)
    for given, what in PORTS_BAD.items():
        with pytest.raises(PlanError, match=what):
            port(given)
    with pytest.raises(PlanError, match="its starts choose nothing"):
        anywhere("a=8080:80")
