"""Snapshots of guests with ways out: a start has ports and folders of its own, and no connection
of the moment's."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import limpet
from limpet.audit.verify import verify
from limpet.cli.options import backends
from limpet.errors import RunError
from limpet.running.learned import Learned
from limpet.running.snapshot import snapshot
from tests.support import SUPPORT
from tests.support.bundles import Maker
from tests.support.without_kvm import without_kvm

PROGRAM = SUPPORT / "programs" / "away.c"

BEHIND = """\
told 1 1 1
-1 Connection reset by peer, then 0
send: Connection reset by peer
ended
send: Broken pipe
ended
got d
got e
came f
file 7
"""


def _answer(listening: socket.socket) -> None:
    while True:
        try:
            accepted, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=[accepted], daemon=True).start()


def _echo(accepted: socket.socket) -> None:
    with accepted:
        while data := accepted.recv(100):
            accepted.sendall(data)


def _echo_datagrams(bound: socket.socket) -> None:
    while True:
        try:
            data, who = bound.recvfrom(100)
        except OSError:
            return
        bound.sendto(data, who)


@contextmanager
def servers() -> Iterator[tuple[int, int]]:
    """Ports of TCP and UDP where what comes is sent back."""
    with (
        socket.create_server(("127.0.0.1", 0)) as stream,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", 0))
        for serve, on in ((_answer, stream), (_echo_datagrams, datagrams)):
            threading.Thread(target=serve, args=[on], daemon=True).start()
        yield stream.getsockname()[1], datagrams.getsockname()[1]


def _is_made(command: list[str | Path]) -> list[str | Path]:
    return command


STARTS = {"kvm": [_is_made] * 2, "process": [_is_made] * 2, "both": [_is_made, without_kvm]}
"""How two starts of a bundle of these are made."""


KVM = pytest.mark.kvm
KINDS = [pytest.param("kvm", marks=KVM), "process", pytest.param("both", marks=KVM)]


@pytest.mark.parametrize("kind", KINDS)
def test_away(make: Maker, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are dead and say so, a port and a folder are those of the start; the host's port
    is nobody's while the snapshot is taken; verify makes it again."""
    monkeypatch.setattr("limpet.running.snapshot._LEARNING", 0.5)  # it waits for a client
    (tmp_path / "data").mkdir(0o755)
    (tmp_path / "data/in").write_text("7")
    with servers() as (tcp, udp), socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # in use until a start wants it
        options = limpet.Options(
            backends=backends(kind),
            snapshot=True,
            devices=("volume:/data:ro",),
            publish=(f"{port}:80",),
            connect=(f"127.0.0.1:{tcp}", f"127.0.0.1:{udp}/udp"),
        )
        program = make.compile(PROGRAM.read_text(encoding="utf-8"), "away")
        plan = limpet.plan(limpet.load(program), options)
        with pytest.raises(RunError, match="looked into a folder of the host's before its moment"):
            snapshot(plan, [str(tcp), str(udp), "early"])
        found = snapshot(plan, [str(tcp), str(udp)])
        assert found.stdout == b"got a\ngot b\n"
        found.bundle.write(tmp_path / "again")
        taken.close()
        words: list[str | Path] = [tmp_path / "again", f"--volume:/data={tmp_path / 'data'}", "--"]
        for start in STARTS[kind]:
            with subprocess.Popen(
                start(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as ran:
                assert ran.stdin and ran.stdout
                ran.stdin.write(b"\n")
                ran.stdin.close()
                first = ran.stdout.readline()
                with socket.create_connection(("127.0.0.1", port)) as client:
                    client.sendall(b"f")
                    rest = ran.stdout.read()
                assert ((first + rest).decode(), ran.wait()) == (BEHIND, 0)
    assert verify(tmp_path / "again").same


def test_nothing_learned(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that was too slow to show which pages it touches is as good as any."""
    monkeypatch.setattr("limpet.running.snapshot._learned", lambda *_: Learned())
    text = "#include <stdio.h>\nint main(void) { return getchar() != EOF; }\n"
    program = make.compile(text, "asking")
    options = limpet.Options(backends=("process",), snapshot=True)
    memory = snapshot(limpet.plan(limpet.load(program), options)).bundle.plan.guest.memory
    assert memory and not memory.hot
