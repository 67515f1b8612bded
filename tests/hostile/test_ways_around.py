"""Ways out that no option gives: a program with as many ways as there are looks for more.

Names, addresses and ports are the broker's (``test_broker``), folders ``test_names``.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker
from tests.support.ends import free_port

NETLINK = 16
"""The one family more that there is: it tells of the guest's own loopback."""


@pytest.mark.parametrize("folder", [False, True], ids=["", "volume"])
def test_families(make: Maker, backend: Backend, tmp_path: Path, folder: bool) -> None:
    """No raw sockets, packets or other families, and no socket of the host's by name or path."""
    source = (SUPPORT / "programs" / "ways_around.c").read_text(encoding="utf-8")
    program = make.compile(source, "ways_around")
    devices = ("volume:/w",) if folder else ()
    made = make(program, backend, devices=devices, connect=("any",))
    name, path = f"limpet-{free_port('127.0.0.1')}", tmp_path / "socket"
    words = [f"--volume:/w={tmp_path}", "--", name, "/w/socket"] if folder else [name, str(path)]
    with (
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as by_path,
    ):
        abstract.bind(b"\0" + name.encode())
        by_path.bind(str(path))
        for each in (abstract, by_path):
            each.listen()
            each.setblocking(False)
        ran = made.run(*words)
        for each in (abstract, by_path):
            with pytest.raises(BlockingIOError):
                each.accept()
    assert ran.status == 0
    told = [json.loads(line) for line in ran.stderr.splitlines()]
    refused = {(each["family"], each["type"]) for each in told if each.get("refused") == "socket"}
    packets, vsock = (socket.AF_PACKET, "3"), (socket.AF_VSOCK, "1")
    assert {packets, vsock} <= refused  # 256 lines at once, and how many more there were
    assert all("refused" in each for each in told[:-1])
    for line in ran.stdout.decode().splitlines():
        what, _, result = line.partition(": ")
        assert result != "open" or what == f"family {NETLINK}", line
    assert ran.stdout.count(b"raw") == 20
