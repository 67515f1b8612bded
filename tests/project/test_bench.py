"""What the benchmarks take for a server that is up."""

from __future__ import annotations

import socket
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from bench import served

LATE, BROKEN = TimeoutError(), ConnectionResetError()


@pytest.mark.parametrize(
    ("answer", "up"), [(b"x", True), (LATE, True), (b"", False), (BROKEN, False)]
)
def test_who_is_up(monkeypatch: pytest.MonkeyPatch, answer: bytes | OSError, up: bool) -> None:
    """Who keeps a connection: pasta takes any, and ends it while nobody listens behind it."""

    def recv(_: int) -> bytes:
        if isinstance(answer, OSError):
            raise answer
        return answer

    taken = SimpleNamespace(recv=recv, settimeout=lambda _: None)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: nullcontext(taken))
    assert served._takes(1) == up
