"""``--connect``: what it takes, its one spelling, and one clear error for everything else."""

from __future__ import annotations

import pytest

from limpet.errors import PlanError
from limpet.formats.destinations import ANYTHING, destination, destinations, in_words
from limpet.planning.broker import packed_name, policy, read_policy

GOOD = {
    "api.example.com:443": "api.example.com:443/tcp",
    "API.Example.com.:443/tcp": "api.example.com:443/tcp",
    "_dns.x-y.test:53/udp": "_dns.x-y.test:53/udp",
    "db:5432": "db:5432/tcp",
    "*.example.com:8000-8010": "*.example.com:8000-8010/tcp",
    "10.0.0.0/8:5432": "10.0.0.0/8:5432/tcp",
    "192.0.2.1:8000-8010/udp": "192.0.2.1:8000-8010/udp",
    "0.0.0.0/0:443": "0.0.0.0/0:443/tcp",
    "127.0.0.1:80-81": "127.0.0.1:80-81/tcp",
    "[2001:DB8::/32]:443": "[2001:db8::/32]:443/tcp",
    "[::/0]:1-65535": "[::/0]:1-65535/tcp",
    "[::1]:80-81": "[::1]:80-81/tcp",
}


@pytest.mark.parametrize("given", GOOD)
def test_good(given: str) -> None:
    """It has one spelling, which is read as the same."""
    made = destination(given)
    assert str(made) == GOOD[given]
    assert destination(str(made)) == made


BAD = {
    **dict.fromkeys(
        ["", "api.test", ":443", "api.test:", "a:b:1", "2001:db8::1:443"], "not WHERE|no"
    ),
    **dict.fromkeys(["api.test:443/sctp", "api.test:443 ", "api.test:44x", "x:1-2-3"], "not WHERE"),
    **dict.fromkeys(["x:0", "x:65536", "x:9-8", "x:0-5"], "no such ports"),
    **dict.fromkeys(["a.*.b:443", "*.:443", "a..b:1", "-a.b:1", "a-:1"], "no name that"),
    **dict.fromkeys(
        ["a" * 64 + ".b:1", "a." * 127 + "b:1", "a\x1b:1", 'a"b:1', "foo/8:1"], "no name"
    ),
    **dict.fromkeys(["any:443", "*:443", "any:1-65535"], "has no ports"),
    **dict.fromkeys(["a.1:1", "a.0x7f:1"], "ends in a number"),
    **dict.fromkeys(["localhost:1", "*.localhost:1"], "the guest itself"),
    "b\xfccher.example:443": "ASCII letters only",
    **dict.fromkeys(
        ["10.0.0.1/8:1", "1.2.3:1", "127.1:1", "0177.0.0.1:1", "1.2.3.4/33:1"], "no network"
    ),
    **dict.fromkeys(
        ["[fe80::1%eth0]:1", "[1.2.3.4]:1", "[]:1", "[::1/64]:1"], "no network|IPv4|fe80"
    ),
    **dict.fromkeys(["224.0.0.1:1", "255.255.255.255:1", "[ff02::1]:1"], "no addresses of single"),
    **dict.fromkeys(
        ["[::ffff:10.0.0.1]:1", "[::10.0.0.1]:1", "[::ffff:0:0/96]:1"], "in other words"
    ),
    **dict.fromkeys(["0.0.0.0:1", "[::]:1"], "of no host"),
    "[fe80::/10]:1": "without an interface",
}


@pytest.mark.parametrize("given", BAD)
def test_bad(given: str) -> None:
    """One error, which says what was given and what to do; nothing of it moves a terminal."""
    with pytest.raises(PlanError, match=BAD[given]) as caught:
        destination(given)
    assert caught.value.message.startswith("--connect ")
    assert caught.value.hint
    assert "\x1b" not in caught.value.message


def test_any() -> None:
    """One word for every name and address; in a bundle's bytes, it is that word again."""
    more = destination("10.0.0.0/8:5432")
    given = [more, *destinations("any")]
    assert given[1:] == list(ANYTHING)
    assert in_words(read_policy(policy(given))) == ("any", "10.0.0.0/8:5432/tcp")
    assert in_words(given[:3]) == ("10.0.0.0/8:5432/tcp", "*:1-65535/tcp", "0.0.0.0/0:1-65535/tcp")
    assert destinations("10.0.0.0/8:5432") == (more,)


def test_packed() -> None:
    """Numbers and byte arrays: every rule has 28 bytes, names stand behind them."""
    given = ["api.test:443", "*.b.test:1-9/udp", "10.0.0.0/8:5"]
    made = policy([destination(each) for each in given])
    assert len(made) == 8 + 3 * 28 + 10 + 8
    assert made.endswith(packed_name("api.test") + packed_name("b.test"))
    with pytest.raises(PlanError, match="65 names and networks are too many"):
        policy([destination("a:1")] * 65)
