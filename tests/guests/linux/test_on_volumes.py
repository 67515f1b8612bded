"""Databases whose files are on a volume: several bundles at once, and one that is killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.running.test_volumes import fill_rights
from tests.support.bundles import Made, Maker, need
from tests.support.ends import free_port
from tests.support.large import large

ROWS = 25


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty one for everybody."""
    made = tmp_path / "data"
    made.mkdir()
    made.chmod(0o777)
    fill_rights(made)
    return made


@pytest.mark.kvm
def test_sqlite_by_two(make: Maker, folder: Path) -> None:
    """Two bundles, one of each backend, write to one database at once: no row is lost."""
    sqlite = need(Path("/usr/bin/sqlite3"), "sqlite3")
    running = []
    for backend in ("kvm", "process"):
        made = make(sqlite, backend, devices=("volume:/data",))
        words = [made.name, f"--volume:/data={folder}", "--", "-bail", "/data/base"]
        script = ".timeout 60000\ncreate table if not exists t(who, n);\n" + "".join(
            f"insert into t values('{backend}', {n});\n" for n in range(ROWS)
        )
        pipe = subprocess.PIPE
        started = subprocess.Popen(words, executable=made.path, stdin=pipe, stderr=pipe, env={})
        assert started.stdin
        started.stdin.write(script.encode())
        running.append(started)
    for each in running:
        assert each.communicate(timeout=120)[1] == b"" and each.returncode == 0
    with sqlite3.connect(folder / "base") as base:
        found = base.execute("select who, count(*) from t group by who order by who").fetchall()
        assert found == [("kvm", ROWS), ("process", ROWS)]
        assert base.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert os.listdir(folder) == ["base"]


@large
@pytest.mark.kvm
def test_sqlite_with_a_log(make: Maker, folder: Path) -> None:
    """WAL shares memory between processes, which a volume does not give: without it for one bundle
    alone, which others are kept from; else an error, and nothing of the database is lost."""
    sqlite = need(Path("/usr/bin/sqlite3"), "sqlite3")
    places = {each: make(sqlite, each, devices=("volume:/data",)) for each in ("kvm", "process")}

    def started(backend: str, *script: str) -> subprocess.Popen[str]:
        made, pipe = places[backend], subprocess.PIPE
        words = [made.name, f"--volume:/data={folder}", "--", "-bail", "/data/base", *script]
        return subprocess.Popen(
            words, executable=made.path, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env={}
        )

    alone = "pragma locking_mode=exclusive; pragma journal_mode=wal;"
    for backend in places:
        shared = (
            "create table if not exists t(n); pragma journal_mode=wal; insert into t values(1);"
        )
        out, error = started(backend, shared).communicate(timeout=60)
        assert out in ("wal\n", "") and "disk I/O error" in error  # who comes later, at once
        first = started(backend)
        assert first.stdin and first.stdout
        first.stdin.write(f"{alone} insert into t values(2); select max(n) from t;\n")
        first.stdin.flush()
        assert [first.stdout.readline() for _ in range(3)] == ["exclusive\n", "wal\n", "2\n"]
        other = started("process", f"{alone} select * from t;")
        assert "database is locked" in other.communicate(timeout=60)[1]
        assert first.communicate(timeout=60) == ("", "")
    with sqlite3.connect(folder / "base") as base:
        assert base.execute("select count(*) from t").fetchall() == [(2,)]
        assert base.execute("pragma integrity_check").fetchall() == [("ok",)]


class Asked:
    """A connection to a Redis."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = self._connected()
        self.lines = self.socket.makefile("rb")

    def _connected(self) -> socket.socket:
        for _ in range(200):
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=20)
            except ConnectionError:
                time.sleep(0.05)
        raise AssertionError("no Redis answers")

    def __call__(self, *words: str) -> bytes:
        """The answer to a command."""
        self.socket.sendall((" ".join(words) + "\r\n").encode())
        line = self.lines.readline()
        if line.startswith(b"$") and line != b"$-1\r\n":
            line = self.lines.readline()
        return line.strip()


@contextmanager
def redis(made: Made, folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], Asked]]:
    """One that is running; nothing waits for it."""
    words = [made.name, f"--volume:/data={folder}", "--", "--dir", "/data", "--save", "''"]
    words += ["--appendonly", "yes", "--appendfsync", "always"]
    out = subprocess.DEVNULL
    with subprocess.Popen(words, executable=made.path, stdout=out, env={}) as running:
        try:
            asked = Asked(port)
            while asked("PING") != b"+PONG":  # it reads its files
                time.sleep(0.05)
            yield running, asked
        finally:
            running.kill()


@large
def test_redis_killed(make: Maker, backend: Backend, folder: Path) -> None:
    """What a Redis on a volume acknowledged with ``appendfsync always`` is there after SIGKILL."""
    server = need(Path("/usr/bin/redis-server"), "redis-server")
    port = free_port("127.0.0.1")
    made = make(server, backend, devices=("volume:/data",), publish=(f"{port}:6379",))
    kept = 0
    for _ in range(3):
        with redis(made, folder, port) as (running, asked):
            for n in range(kept):
                assert asked("GET", f"k{n}") == str(n).encode(), n
            for n in range(kept, kept + 40):
                assert asked("SET", f"k{n}", str(n)) == b"+OK"
            kept += 40
            running.send_signal(signal.SIGKILL)


@large
def test_redis_benchmark(make: Maker, backend: Backend, folder: Path) -> None:
    """Its own benchmark, pipelined and not, goes through all of its commands."""
    server = need(Path("/usr/bin/redis-server"), "redis-server")
    bench = shutil.which("redis-benchmark")
    assert bench
    port = free_port("127.0.0.1")
    made = make(server, backend, devices=("volume:/data",), publish=(f"{port}:6379",))
    with redis(made, folder, port):
        for more in (("-n", "300"), ("-n", "2000", "-P", "16")):
            words = [bench, "-p", str(port), "-q", "-c", "20", *more]
            done = subprocess.run(words, capture_output=True, timeout=300, check=True)
            assert done.stdout.count(b"requests per second") >= 15
            assert b"rror" not in done.stdout + done.stderr
