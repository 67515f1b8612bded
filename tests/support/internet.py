"""A small Internet that a test makes and removes: a host's network, and a far one behind it.

The far one has every address of a few networks, with a name server and whatever listens there.
Nothing of it reaches the network of the machine.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from tests.support.names import Server

_COUNT = count()
_NEW_NET = 0x40000000
HOST, HOST_6 = "198.51.100.2", "2001:db8:ffff::2"
NAME_SERVER = "203.0.113.53"
_FAR = (
    *("203.0.113.0/24", "192.0.2.0/24", "10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"),
    *("100.64.0.0/10", "168.63.129.16/32"),
)
_FAR_6 = ("2001:db8:1::/48", "64:ff9b::/96", "2002::/16", "fd00::/8")


@dataclass
class Internet:
    """``host`` and ``far`` are the names of two network namespaces."""

    host: str
    far: str
    names: Server
    sockets: list[socket.socket] = field(default_factory=list)

    def inside(self, *words: str) -> list[str]:
        """A command that runs on the host."""
        return ["ip", "netns", "exec", self.host, *words]

    def listen(self, port: int, kind: int = socket.SOCK_STREAM, *, version: int = 4) -> None:
        """Every far address has an echo at ``port`` from now on."""
        family = socket.AF_INET6 if version == 6 else socket.AF_INET
        made = self.make(self.far, family, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if version == 6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(("::" if version == 6 else "0.0.0.0", port))
        self.sockets.append(made)
        if kind == socket.SOCK_STREAM:
            made.listen()
            threading.Thread(target=_echo, args=(made,), daemon=True).start()

    def make(self, namespace: str, family: int, kind: int) -> socket.socket:
        """A socket in a namespace; it stays there whoever uses it."""
        return within(namespace, lambda: socket.socket(family, kind))


def _echo(listening: socket.socket) -> None:
    with suppress(OSError):
        while True:
            one, _ = listening.accept()
            with one:
                one.settimeout(5)
                with suppress(OSError):
                    one.sendall(b"far: " + one.recv(100))


def within(namespace: str, call: Callable[[], socket.socket]) -> socket.socket:
    """What ``call`` gives in a thread that is in ``namespace``."""
    found: list[socket.socket] = []

    def run() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{namespace}", "rb") as handle:
            if libc.setns(handle.fileno(), _NEW_NET):
                raise OSError(ctypes.get_errno(), f"setns {namespace}")
        found.append(call())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _connect(host: str, far: str) -> None:
    """One cable between both, and each far network behind it."""
    _ip("link", "add", "up0", "netns", host, "type", "veth", "peer", "name", "up0", "netns", far)
    for space, end in ((host, "2"), (far, "1")):
        _ip("-n", space, "link", "set", "lo", "up")
        _ip("-n", space, "link", "set", "up0", "up")
        _ip("-n", space, "address", "add", f"198.51.100.{end}/24", "dev", "up0")
        _ip("-n", space, "address", "add", f"2001:db8:ffff::{end}/64", "dev", "up0", "nodad")
    _ip("-n", host, "route", "add", "default", "via", "198.51.100.1")
    _ip("-n", host, "-6", "route", "add", "default", "via", "2001:db8:ffff::1")
    for net in (*_FAR, *_FAR_6):
        family = "-6" if ":" in net else "-4"
        _ip("-n", far, family, "route", "add", "local", net, "dev", "lo")


@contextmanager
def internet(hosts: str = "127.0.0.1 localhost\n") -> Iterator[Internet]:
    """An Internet of this process's own; skips loudly where that is not allowed.

    Args:
        hosts: the host's /etc/hosts.
    """
    host, far = (f"lpt{os.getpid()}{side}{next(_COUNT)}" for side in "hf")
    spaces = [each for each in (host, far) if _add(each)]
    files = Path("/etc/netns") / host  # ip-netns(8) has them in the place of the machine's own
    try:
        if len(spaces) < 2:
            pytest.skip("*** NO NETWORK NAMESPACES HERE ***")
        _connect(host, far)
        files.mkdir(parents=True)
        (files / "resolv.conf").write_text(f"# the host's\nnameserver {NAME_SERVER}\n")
        (files / "hosts").write_text(hosts)
        names = within(far, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        names.bind((NAME_SERVER, 53))
        found = Internet(host, far, Server(names), [names])
        yield found
        for each in found.sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
    finally:
        shutil.rmtree(files, ignore_errors=True)
        for space in spaces:
            subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)


def _add(namespace: str) -> bool:
    done = subprocess.run(["ip", "netns", "add", namespace], check=False, capture_output=True)
    return done.returncode == 0
