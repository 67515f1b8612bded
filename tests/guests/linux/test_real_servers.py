"""Servers as Debian has them, published by ``-p`` and asked by clients of the host's.

Each is built and asked as a user would.  They take minutes, so they run where LIMPET_LARGE is set.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.running.test_volumes import fill_rights
from tests.support.ends import free_port
from tests.support.large import large

pytestmark = large

NGINX = """\
daemon off; master_process off; error_log stderr; pid /tmp/nginx.pid;
events { worker_connections 500; }
http { access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p;
  fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
  server { listen 80; root /www; } }
"""
LIGHTTPD = 'server.document-root = "/www"\nserver.port = 80\nindex-file.names = ("index.html")\n'
HAPROXY = """\
global
    nbthread 1
    maxconn 200
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
frontend all
    bind 0.0.0.0:80
    http-request return status 200 content-type text/plain string "hello\\n"
"""
MOSQUITTO = "listener 80 0.0.0.0\nallow_anonymous true\nuser root\n"
HTTP_SERVER = """\
import http.server, os
os.chdir("/www")
http.server.SimpleHTTPRequestHandler.protocol_version = "HTTP/1.1"
http.server.ThreadingHTTPServer(("", 80), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
ASYNCIO = """\
import asyncio
async def answer(reader, writer):
    while line := await reader.readline():
        if line == b"\\r\\n":
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n")
            await writer.drain()
    writer.close()
async def main():
    async with await asyncio.start_server(answer, "0.0.0.0", 80) as server:
        await server.serve_forever()
asyncio.run(main())
"""


def by_http(port: int) -> None:
    """A page, three times on one connection and once on others."""
    for _ in range(3):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as page:
            assert page.read() == b"hello\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as kept:
        for _ in range(3):
            kept.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            said = b""
            while not said.endswith(b"hello\n"):
                more = kept.recv(4096)
                assert more, said
                said += more


def by_memcached(port: int) -> None:
    """What is stored comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as cache:
        lines = cache.makefile("rb")
        for number in range(20):
            value = bytes([65 + number]) * 1000 * number
            cache.sendall(b"set k%d 0 0 %d\r\n%b\r\n" % (number, len(value), value))
            assert lines.readline() == b"STORED\r\n"
            cache.sendall(b"get k%d\r\n" % number)
            assert lines.readline() == b"VALUE k%d 0 %d\r\n" % (number, len(value))
            assert lines.read(len(value) + 7) == value + b"\r\nEND\r\n"


def by_mqtt(port: int) -> None:
    """Who has subscribed hears what another publishes (MQTT 3.1.1)."""

    def joined(name: bytes) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", port), timeout=20)
        body = b"\0\4MQTT\4\2\0\x3c" + bytes([0, len(name)]) + name
        made.sendall(bytes([0x10, len(body)]) + body)
        assert made.recv(4) == b"\x20\2\0\0"
        return made

    with joined(b"one") as one, joined(b"two") as two:
        one.sendall(b"\x82\6\0\1\0\1t\0")
        assert one.recv(5) == b"\x90\3\0\1\0"
        two.sendall(b"\x30\7\0\1tword")
        assert one.recv(9) == b"\x30\7\0\1tword"


@dataclass(frozen=True)
class Server:
    """A program, the files that it is packed with, its words, and a client."""

    program: str
    words: Sequence[str]
    file: tuple[str, str] = ("", "")  # its name and text
    ask: Callable[[int], None] = by_http
    pages: bool = True  # it serves what is at /www


SERVERS = {
    "nginx": Server("/usr/sbin/nginx", ["-c", "/conf"], ("conf", NGINX)),
    "lighttpd": Server("/usr/sbin/lighttpd", ["-D", "-f", "/conf"], ("conf", LIGHTTPD)),
    "haproxy": Server("/usr/sbin/haproxy", ["-db", "-f", "/conf"], ("conf", HAPROXY), pages=False),
    "memcached": Server(
        "/usr/bin/memcached",
        ["-u", "root", "-l", "0.0.0.0", "-p", "80", "-t", "1"],
        ask=by_memcached,
        pages=False,
    ),
    "mosquitto": Server(
        "/usr/sbin/mosquitto", ["-c", "/conf"], ("conf", MOSQUITTO), by_mqtt, pages=False
    ),
    "http.server": Server("/usr/bin/python3", ["/script.py"], ("script.py", HTTP_SERVER)),
    "asyncio": Server("/usr/bin/python3", ["/script.py"], ("script.py", ASYNCIO), pages=False),
}


@contextmanager
def running(server: Server, backend: Backend, folder: Path) -> Iterator[int]:
    """The server in a bundle, and its port on the host."""
    if not Path(server.program).exists():
        pytest.skip(f"{server.program} is not installed")
    port = free_port("127.0.0.1")
    name, text = server.file
    command = [sys.executable, "-m", "limpet", "-q", "build", "--backend", backend]
    command += ["-p", f"{port}:80", "-o", str(folder / "server")]
    if name:
        (folder / name).write_text(text)
        command += ["--file", f"{folder / name}:/{name}"]
    if server.pages:
        command += ["--volume", "/www:ro"]
    subprocess.run([*command, server.program], check=True, timeout=300, stdin=subprocess.DEVNULL)
    start = [str(folder / "server")]
    start += [f"--volume:/www={folder / 'www'}", "--"] if server.pages else []
    log = (folder / "log").open("wb")
    with log, subprocess.Popen([*start, *server.words], stdout=log, stderr=log, env={}) as process:
        try:
            time.sleep(1)  # the host listens from the start: what is asked now waits
            yield port
            assert process.poll() is None, (folder / "log").read_text()
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a page to serve."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("hello\n")
    fill_rights(tmp_path / "www" / "index.html")
    return tmp_path


@pytest.mark.parametrize("name", SERVERS)
def test_servers(name: str, backend: Backend, folder: Path) -> None:
    """It answers its clients, and is still there afterwards."""
    server = SERVERS[name]
    with running(server, backend, folder) as port:
        server.ask(port)


def repository(git: str, work: Path, bare: Path) -> None:
    """Five commits of a file each in ``work``, and in ``bare`` as HTTP alone can serve them."""
    me = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([git, "init", "-q", str(work)], check=True)
    for number in range(5):
        (work / f"file{number}").write_bytes(os.urandom(10_000))
        subprocess.run([git, "-C", str(work), "add", "-A"], check=True)
        subprocess.run([git, "-C", str(work), *me, "commit", "-qm", f"{number}"], check=True)
    subprocess.run([git, "clone", "-q", "--bare", str(work), str(bare)], check=True)
    subprocess.run([git, "-C", str(bare), "update-server-info"], check=True)


def test_clone(backend: Backend, folder: Path) -> None:
    """git clones from an nginx whose folder is a volume, and curl takes 8 MiB from it."""
    git, curl = shutil.which("git"), shutil.which("curl")
    assert git and curl
    work, large = folder / "work", folder / "www" / "large"
    large.write_bytes(os.urandom(8 << 20))
    bare = folder / "www" / "it.git"
    repository(git, work, bare)
    for each in bare.rglob("*"):
        each.chmod(each.stat().st_mode | 0o444)
    with running(SERVERS["nginx"], backend, folder) as port:
        clone, url = folder / "clone", f"http://127.0.0.1:{port}"
        subprocess.run([git, "clone", "-q", f"{url}/it.git", str(clone)], check=True, timeout=60)
        got = subprocess.check_output([curl, "-sS", f"{url}/large"], timeout=60)
    for number in range(5):
        assert (clone / f"file{number}").read_bytes() == (work / f"file{number}").read_bytes()
    assert got == large.read_bytes()
