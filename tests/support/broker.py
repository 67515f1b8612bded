"""A broker as a process of its own, and the guest's side of it."""

from __future__ import annotations

import array
import json
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from limpet import contract
from limpet.arch.x86_64.host import host_numbers_h
from limpet.contract.limits import BROKER_RESOLVER, BROKER_TCP, BROKER_UDP
from limpet.formats.destinations import destinations
from limpet.planning.broker import packed_address, policy
from limpet.sources import MONITOR_INCLUDES
from tests.support import ROOT
from tests.support.internet import Internet
from tests.support.names import A, addresses, query

CALLS = (
    *(
        "clock_gettime",
        "close",
        "connect",
        "dup2",
        "exit_group",
        "getrandom",
        "getsockname",
        "openat",
    ),
    *(
        "poll",
        "read",
        "recvfrom",
        "sendmsg",
        "sendto",
        "setsockopt",
        "socket",
        "socketpair",
        "write",
    ),
)
_REQUEST, _REPLY = struct.Struct("<II16s"), struct.Struct("<q")


def build(folder: Path) -> Path:
    """The program ``tests/support/native/broker.c``."""
    if not shutil.which("clang"):
        pytest.skip("*** no clang here: apt-get install clang ***")
    (folder / "contract.h").write_text(contract.c_header())
    (folder / "host_numbers.h").write_text(host_numbers_h(CALLS, ()))
    flags = ["-DLIMPET_MONITOR=1", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]
    flags += ["-Wno-unused-function", "-fsanitize=undefined", "-fno-sanitize-recover=all"]
    source, output = ROOT / "tests" / "support" / "native" / "broker.c", folder / "broker"
    argv = ["clang", *flags, f"-I{folder}", *MONITOR_INCLUDES, str(source), "-o", str(output)]
    subprocess.run(argv, check=True)
    return output


@dataclass
class Broker:
    """A broker that runs, and the guest's end of it."""

    process: subprocess.Popen[str]
    requests: socket.socket

    def ask(self, packet: bytes) -> tuple[int, int]:
        """A request as bytes: its result, and the descriptor that came, or -1."""
        self.requests.send(packet)
        reply, control, _, _ = self.requests.recvmsg(100, 100)
        (result,) = _REPLY.unpack(reply)
        fds = array.array("i")
        for _, _, data in control:
            fds.frombytes(data)
        assert len(fds) <= 1
        return result, fds[0] if fds else -1

    def resolver(self) -> socket.socket:
        """A socket that takes queries."""
        result, fd = self.ask(_REQUEST.pack(BROKER_RESOLVER, 0, bytes(16)))
        assert result == 0
        made = socket.socket(fileno=fd)
        made.settimeout(10)
        return made

    def names(self, name: str, kind: int = A) -> tuple[int, list[str], int]:
        """What a name leads to: code, addresses, seconds."""
        with self.resolver() as channel:
            channel.send(query(name, kind))
            reply = channel.recv(2000)
        assert len(reply) <= 512
        assert reply[:2] == query(name, kind)[:2]
        return addresses(reply)

    def connect(self, address: str, port: int, *, udp: bool = False) -> socket.socket | int:
        """A connection, or the error with which it is refused."""
        what = BROKER_UDP if udp else BROKER_TCP
        result, fd = self.ask(_REQUEST.pack(what, port, packed_address(address)))
        if result:
            assert fd == -1
            return result
        made = socket.socket(fileno=fd)
        made.settimeout(10)
        return made

    def hears(self, address: str, port: int) -> bytes:
        """What is said at the other end of a connection."""
        made = self.connect(address, port)
        assert isinstance(made, socket.socket), (address, port, made)
        with made:
            made.settimeout(10)
            made.sendall(b"hello")
            return made.recv(100)

    def end(self) -> list[dict[str, Any]]:
        """The guest is gone: the lines of the log."""
        self.requests.close()
        _, errors = self.process.communicate(timeout=10)
        assert self.process.returncode == 0, errors
        return [json.loads(line) for line in errors.splitlines()]


@contextmanager
def broker(
    program: Path, world: Internet, connect: Sequence[str], *, speed: int = 1
) -> Iterator[Broker]:
    """A broker on the host of ``world`` with the policy of ``--connect``.

    Args:
        speed: how many seconds pass for it in one.
    """
    given = program.parent / "policy"
    given.write_bytes(policy([found for each in connect for found in destinations(each)]))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(10)
    argv = world.inside(str(program), str(given), str(theirs.fileno()), str(speed))
    process = subprocess.Popen(
        argv,
        pass_fds=[theirs.fileno()],
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    theirs.close()
    try:
        yield Broker(process, ours)
    finally:
        ours.close()
        process.kill()
        process.wait()
