"""The broker: what it answers, what it connects, and every way around it that it refuses."""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Broker, broker, build
from tests.support.internet import HOST, Internet, internet
from tests.support.names import (
    AAAA,
    CNAME,
    NO_ERROR,
    NO_SUCH_NAME,
    SERVER_FAILURE,
    TXT,
    A,
    Record,
    query,
)

GOOD, OTHER, GOOD_6 = "203.0.113.10", "203.0.113.11", "2001:db8:1::10"
HOSTS = "127.0.0.1 localhost\n203.0.113.20 Hosted.test alias.test # a comment\n10.9.9.9 bad.test\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The broker."""
    return build(tmp_path_factory.mktemp("broker"))


@pytest.fixture(scope="module")
def far() -> Iterator[Internet]:
    """The Internet."""
    with internet(HOSTS) as made:
        for version in (4, 6):
            made.listen(443, version=version)
            made.listen(80, version=version)
        yield made


@pytest.fixture
def world(far: Internet) -> Internet:
    """The same, with one good name."""
    far.names.says.clear()
    far.names.asked.clear()
    far.names.raw.clear()
    far.names.wrong_first = False
    far.names.tell("api.test", GOOD)
    far.names.tell("api.test", GOOD_6, kind=AAAA)
    return far


@pytest.fixture
def ours(program: Path, world: Internet) -> Iterator[Broker]:
    """A broker that allows that name."""
    with broker(program, world, ["api.test:443", "*.wild.test:443"]) as made:
        yield made


def refused(made: Broker, address: str, port: int = 443) -> None:
    """It cannot be connected to."""
    assert made.connect(address, port) == -errno.EACCES


def why(made: Broker) -> list[str]:
    """The reasons of the log."""
    return [line.get("why", str(line)) for line in made.end()]


def test_a_name_is_connected_to(ours: Broker) -> None:
    """Its addresses, of both families, and nothing is logged."""
    assert ours.names("api.test") == (NO_ERROR, [GOOD], 300)
    assert ours.names("api.test", AAAA) == (NO_ERROR, [GOOD_6], 300)
    assert ours.hears(GOOD, 443) == ours.hears(GOOD_6, 443) == b"far: hello"
    assert ours.end() == []


def test_a_name_has_one_spelling(ours: Broker, world: Internet) -> None:
    """Letters are the same in both cases, here and for the name server: none carries a message."""
    with ours.resolver() as channel:
        channel.send(query("aPI.tEst"))
        assert b"aPI" in channel.recv(600)
    assert world.names.asked == [("api.test", A)]


def test_what_reaches_a_name_server_is_made_by_the_broker(ours: Broker, world: Internet) -> None:
    """Bytes behind the question, flags and numbers of the guest's do not."""
    with ours.resolver() as channel:
        for number in (7, 7, 7):
            channel.send(query(f"n{number}.wild.test", number=number) + b"secret" * 20)
            channel.recv(600)
    assert not any(b"secret" in packet for packet in world.names.raw)
    assert len({packet[:2] for packet in world.names.raw}) > 1


@pytest.mark.parametrize(
    "name",
    ["secret.api.test", "api.test.evil.test", "xapi.test", "test", "wild.test", "xwild.test"],
)
def test_other_names_are_refused(ours: Broker, world: Internet, name: str) -> None:
    """A tunnel by labels reaches nobody: no question leaves."""
    assert ours.names(name) == (NO_SUCH_NAME, [], 0)
    assert world.names.asked == []
    (line,) = ours.end()
    assert line["refused"] == "name"
    assert line["name"] == name
    assert line["why"] == "no --connect allows this name"


def test_names_below_are_allowed(ours: Broker, world: Internet) -> None:
    """As many labels as there are, but not the name itself."""
    world.names.tell("a.b.wild.test", OTHER)
    assert ours.names("a.b.wild.test")[1] == [OTHER]
    assert ours.hears(OTHER, 443)


def test_other_questions_have_no_answer(ours: Broker, world: Internet) -> None:
    """TXT of an allowed name would be a way in and out: it is not asked."""
    assert ours.names("api.test", TXT) == (NO_ERROR, [], 0)
    assert world.names.asked == []


def test_an_address_without_its_name(ours: Broker) -> None:
    """It is connected to only after a name has led there."""
    refused(ours, GOOD)
    ours.names("api.test")
    assert ours.hears(GOOD, 443)
    assert why(ours) == ["no --connect allows this address, or no name leads to it now"]


def test_other_ports_and_protocols(ours: Broker) -> None:
    """Of an allowed host: refused."""
    ours.names("api.test")
    refused(ours, GOOD, 80)
    assert ours.connect(GOOD, 443, udp=True) == -errno.EACCES
    assert why(ours) == ["another port of an address that is allowed"] * 2


def test_a_redirect_to_another_host(ours: Broker, world: Internet) -> None:
    """What an answer over the connection names is neither found nor connected to."""
    world.names.tell("other.test", OTHER)
    ours.names("api.test")
    assert ours.names("other.test")[0] == NO_SUCH_NAME
    refused(ours, OTHER)


def test_rebinding(ours: Broker, world: Internet) -> None:
    """The first answer is good, for no time, and the second bad: nobody asks for that one."""
    world.names.tell("api.test", GOOD, OTHER, seconds=0)
    for _ in range(3):
        code, found, seconds = ours.names("api.test")
        assert (code, found) == (NO_ERROR, [GOOD])
        assert 50 < seconds <= 60
    assert world.names.asked == [("api.test", A)]
    refused(ours, OTHER)


def test_an_answer_ends(program: Path, world: Internet) -> None:
    """After its time the name is asked for again, and what it was before is refused."""
    world.names.tell("api.test", GOOD, OTHER, seconds=70)
    with broker(program, world, ["api.test:443"], speed=100) as made:
        made.names("api.test")
        for _ in range(100):
            got = made.connect(GOOD, 443)
            if isinstance(got, int):
                break
            got.close()
            time.sleep(0.02)
        assert got == -errno.EACCES
        assert made.names("api.test")[1] == [OTHER]
        assert made.hears(OTHER, 443)


BAD = {
    "169.254.169.254": "a link-local address, as of metadata services",
    "168.63.129.16": "an address of a metadata service",
    "127.0.0.1": "the host's loopback",
    "0.0.0.0": "an address of no host",
    "10.0.0.5": "a private address",
    "192.168.1.1": "a private address",
    "100.100.100.200": "a private address",
    "224.0.0.1": "a multicast address",
    "255.255.255.255": "a broadcast or reserved address",
}
BAD_6 = {
    "::1": "the host's loopback",
    "::": "an address of no host",
    "fe80::1": "a link-local address, as of metadata services",
    "fd00:ec2::254": "a private address",
    "::169.254.169.254": "an IPv4 address in other words",
    "64:ff9b::169.254.169.254": "a link-local address, as of metadata services",
    "64:ff9b::10.0.0.5": "a private address",
    "64:ff9b:1::1": "a private address (NAT64)",
    "2002:a9fe:a9fe::1": "a link-local address, as of metadata services",
    "2002:7f00:1::": "the host's loopback",
    "2001:0:1234::1": "an IPv4 address in other words (Teredo)",
    "2001:db8:1::5efe:10.0.0.5": "a private address",
    "ff02::1": "a multicast address",
}


def test_names_that_lead_inside(ours: Broker, world: Internet) -> None:
    """Rebinding at once: no such address is in an answer, nor connected to, and each is logged."""
    words = "an IPv4 address in other words"
    mapped = {"::ffff:169.254.169.254": words, "::ffff:203.0.113.10": words}
    for kind, bad in ((A, BAD), (AAAA, BAD_6 | mapped)):
        good = GOOD if kind == A else GOOD_6
        for number, address in enumerate(bad):
            name = f"n{number}.wild.test"
            world.names.tell(
                name, [Record(name, kind, each) for each in (address, good)], kind=kind
            )
            assert ours.names(name, kind)[1] == [good], address
    found = {line["name"]: None for line in ours.end() if line["refused"] == "answer"}
    assert len(found) == len(BAD_6) + len(mapped)


@pytest.mark.parametrize("address", [*BAD, *BAD_6, "::ffff:169.254.169.254", "::ffff:127.0.0.1"])
def test_addresses_in_every_spelling(ours: Broker, address: str) -> None:
    """As the guest gives them, without a name: each is refused, and the line says what it is."""
    refused(ours, address)
    (line,) = ours.end()
    known = BAD | BAD_6 | {"::ffff:169.254.169.254": BAD["169.254.169.254"]}
    assert line["why"] == known.get(address, BAD["127.0.0.1"])
    assert line["port"] == 443


def test_everything_is_not_everything(program: Path, world: Internet) -> None:
    """A network that holds such addresses allows none of them; one that lies within them does."""
    world.names.tell("metadata.test", "169.254.169.254")
    nets = ["0.0.0.0/0:443", "[::/0]:443"]
    for given, answers in ((nets, []), (["any"], [GOOD])):
        with broker(program, world, given) as made:
            for address in (*BAD, *BAD_6):
                refused(made, address)
            assert made.names("metadata.test")[1] == []
            assert made.names("api.test")[1] == answers
            assert made.hears(GOOD, 443)
            assert made.hears(GOOD_6, 443)
    with broker(program, world, ["10.0.0.0/7:443"]) as made:
        refused(made, "10.0.0.5")
    with broker(program, world, ["10.0.0.0/8:80-443", "169.254.169.254:80-81"]) as made:
        assert made.hears("10.0.0.5", 443)
        assert made.hears("169.254.169.254", 80)
        refused(made, "169.254.169.254", 443)
        refused(made, "10.0.0.5", 444)
        refused(made, "169.254.1.1", 80)


def test_a_name_of_a_private_network(program: Path, world: Internet) -> None:
    """It may lead there where the network is allowed as well."""
    world.names.tell("db.test", "10.0.0.5")
    with broker(program, world, ["db.test:443", "10.0.0.0/24:443"]) as made:
        assert made.names("db.test")[1] == ["10.0.0.5"]
        assert made.hears("10.0.0.5", 443)
        refused(made, "10.0.1.5")


def test_the_hosts_own_addresses(program: Path, world: Internet) -> None:
    """A service of the host's is not the Internet, by a name or in a network."""
    world.names.tell("api.test", HOST)
    listening = world.make(world.host, socket.AF_INET, socket.SOCK_STREAM)
    listening.bind((HOST, 443))
    listening.listen()
    with broker(program, world, ["api.test:443", "198.51.100.0/24:443"]) as made:
        made.names("api.test")
        refused(made, HOST)
        assert why(made) == ["an address of the host's own"]
    with broker(program, world, [f"{HOST}:443-444"]) as made:
        assert isinstance(made.connect(HOST, 443), socket.socket)
    listening.close()


def test_the_hosts_file(program: Path, world: Internet) -> None:
    """Its names are known, within the same policy."""
    with broker(program, world, ["hosted.test:443", "alias.test:443", "bad.test:443"]) as made:
        assert made.names("hosted.test") == (NO_ERROR, ["203.0.113.20"], 60)
        assert made.names("alias.test")[1] == ["203.0.113.20"]
        assert made.names("hosted.test", AAAA) == (NO_ERROR, [], 0)
        assert made.names("bad.test") == (NO_ERROR, [], 0)
        assert made.hears("203.0.113.20", 443)
        assert why(made) == ["a private address"]
    assert world.names.asked == []


def test_other_names_for_it(ours: Broker, world: Internet) -> None:
    """An allowed name may be another's; what else the answer holds is not used."""
    chain = [
        *(Record("api.test", CNAME, "x.far"), Record("stray.test", A, OTHER)),
        *(Record("x.far", CNAME, "y.far", 20), Record("y.far", A, GOOD, 4000)),
    ]
    world.names.tell("api.test", chain)
    assert ours.names("api.test") == (NO_ERROR, [GOOD], 60)
    refused(ours, OTHER)


def test_answers_of_strangers(ours: Broker, world: Internet) -> None:
    """Another number, another question, a question, and a piece: none is the answer."""
    world.names.wrong_first = True
    assert ours.names("api.test")[1] == [GOOD]


def test_servers_that_fail(program: Path, world: Internet) -> None:
    """Asked twice, and then the guest is told; one that says nothing takes its time."""
    world.names.tell("api.test", SERVER_FAILURE)
    world.names.tell("mute.wild.test", None)
    with broker(program, world, ["api.test:443", "*.wild.test:443"], speed=20) as made:
        assert made.names("api.test")[0] == SERVER_FAILURE
        assert made.names("mute.wild.test")[0] == SERVER_FAILURE
        assert made.names("none.wild.test")[0] == NO_SUCH_NAME
    assert world.names.asked.count(("api.test", A)) == 2
    assert world.names.asked.count(("mute.wild.test", A)) == 2


def test_a_flood_is_bounded(ours: Broker) -> None:
    """A guest that is refused without end does not fill the operator's disk."""
    for _ in range(1000):
        refused(ours, "127.0.0.1")
    lines = ours.end()
    assert 256 <= len(lines) < 300


def test_words_of_the_guest_are_quoted(ours: Broker) -> None:
    """No byte of a name ends a line or reaches a terminal."""
    with ours.resolver() as channel:
        name = b'\x04a"\n\x1b\x03b.c\x00'
        channel.send(query("x")[:12] + name + struct.pack(">HH", A, 1))
        assert channel.recv(600)[3] & 15 == NO_SUCH_NAME
    (line,) = ours.end()
    assert line["name"] == 'a"\n\x1b.b.c'


@pytest.mark.parametrize("size", [1, 23, 25, 4000])
def test_requests_of_another_size(ours: Broker, size: int) -> None:
    """Each is refused, and the next is served."""
    assert ours.ask(bytes(size))[0] == -errno.EINVAL
    assert ours.names("api.test")[1] == [GOOD]


def test_queries_that_are_none(ours: Broker) -> None:
    """They have no answer but a line of the log, and what comes behind them has."""
    good = query("api.test")
    with ours.resolver() as channel:
        for packet in (
            *(good[:11], good[:-1], good[:12], b"\0" * 12, bytes(512), b"\xff" * 512),
            *(good[:4] + b"\0\2" + good[6:], good[:2] + b"\x80" + good[3:]),
            *(good[:12] + b"\xc0\x0c" + good[-4:], good[:12] + b"\x3f" * 300),
            *(good[:12] + b"\0" + good[-4:], good[:-2] + b"\0\3"),
        ):
            channel.send(packet)
        channel.send(good)
        assert channel.recv(600)[:2] == good[:2]
        channel.settimeout(0.05)
        with pytest.raises(TimeoutError):
            channel.recv(600)
    assert [each["why"] for each in ours.end()] == ["no question for a name"] * 12


def test_sockets_that_ask_are_bounded(ours: Broker) -> None:
    """As many as there are places; closed ones make room."""
    held = [ours.resolver() for _ in range(64)]
    assert ours.ask(bytes(24))[0] == -errno.ENOBUFS
    held.pop().close()
    assert ours.names("api.test")[1] == [GOOD]
    for each in held:
        each.close()


def test_a_connection_comes_at_once(ours: Broker, world: Internet) -> None:
    """The guest waits for it by itself: a host that never answers keeps nobody."""
    world.names.tell("mute.wild.test", "203.0.113.99")
    ours.names("mute.wild.test")
    assert isinstance(ours.connect("203.0.113.99", 443), socket.socket)


def test_replies_that_nobody_takes(ours: Broker) -> None:
    """Few descriptors are on their way at once, since all brokers share how many there may be."""
    ours.requests.setblocking(False)
    for _ in range(2000):
        try:
            ours.requests.send(bytes(24))
        except BlockingIOError:
            time.sleep(0.001)
    time.sleep(0.2)
    taken = 0
    with pytest.raises(BlockingIOError):
        while True:
            _, control, _, _ = ours.requests.recvmsg(100, 100)
            for _, _, data in control:
                os.close(int.from_bytes(data[:4], "little"))
            taken += bool(control)
    assert 1 <= taken < 20
