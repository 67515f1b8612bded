"""A sandbox with ways out: where it may connect to, and folders of the host's; nothing else."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from limpet import Sandbox
from limpet.contract import Backend
from limpet.errors import PlanError
from tests.support.bundles import BACKENDS
from tests.support.large import large


def serve(listener: socket.socket) -> None:
    """Answer one connection."""
    connection, _ = listener.accept()
    with connection:
        connection.sendall(connection.recv(100).upper())


@pytest.mark.parametrize(
    "which", ["process", *(pytest.param(each, marks=large) for each in BACKENDS if each == "kvm")]
)
def test_ways_out(which: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given is there, and stays where the working folder was; it cannot be kept."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("of the host")
    (tmp_path / "out").mkdir(mode=0o777)
    (tmp_path / "out").chmod(0o777)
    for each in (tmp_path, *list(tmp_path.parents)[:2]):
        each.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with Sandbox(
            backend=which,
            timeout=60,
            connect=[where],
            volumes=["in:/in:ro", "out:/out"],
            warm="started = 1",
            files={"/own": b"1"},
        ) as sandbox:
            monkeypatch.chdir("/")
            result = sandbox.run(
                "import socket\n"
                f"line = socket.create_connection({tuple(where.split(':'))!r}, 20)\n"
                "line.sendall(b'hello'); answer = line.recv(100)\n"
                "open('/out/b', 'w').write('of the guest')\n"
                "import ssl; known = ssl.create_default_context().cert_store_stats()\n"
                "(answer, open('/in/a').read(), open('/own').read(), started, known)"
            )
            assert result.value, result.error
            known = ssl.create_default_context().cert_store_stats()
            assert result.value.data == (b"HELLO", "of the host", "1", 1, known)
            assert (tmp_path / "out" / "b").read_text() == "of the guest"
            moment = sandbox.run("open('/dev/limpet/snapshot').read()").value
            assert moment and moment.data == "1 connected\n"
            for code in ("open('/in/c', 'w')", "socket.create_connection(('192.0.2.1', 80), 5)"):
                error = sandbox.run(code).error
                assert error and error.type == "OSError", error
            with pytest.raises(PlanError, match="cannot be kept"):
                sandbox.snapshot()
            sandbox.reset()
            assert sandbox.listdir("/out") == ["b"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"volumes": "./a:/b"}, "volumes: './a:/b' is not a list"),
        ({"volumes": ["/nowhere/at/all:/b"]}, "no such folder"),
        ({"connect": "a.b:1"}, "connect: 'a.b:1' is not a list"),
        ({"connect": ["a.b"]}, "a.b"),
    ],
)
def test_not_given_well(given: dict[str, object], message: str) -> None:
    """One error that says what."""
    with pytest.raises(PlanError, match=message):
        Sandbox(backend="process", **given)  # type: ignore[arg-type]
