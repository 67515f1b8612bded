"""Clients as Debian and PyPI have them, led by ``--connect`` to a server of the host's.

Each is run as a user would, and says what it says on Linux.  They take minutes, so they run where
LIMPET_LARGE is set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from limpet.contract import BACKENDS, Backend
from tests.guests.linux.test_go import built
from tests.guests.linux.test_real_servers import Server, repository, running
from tests.running.test_volumes import fill_rights
from tests.support.ends import LOCAL
from tests.support.large import large

pytestmark = large

REQUESTS = """\
import sys, requests
with requests.Session() as session:
    for _ in range(3):
        answer = session.get(sys.argv[1] + "/word", timeout=20)
        print(answer.status_code, answer.text, end="")
    print(len(session.get(sys.argv[1] + "/large", timeout=20).content))
    print(session.get(sys.argv[1] + "/none", timeout=20).status_code)
try:
    requests.get("http://127.0.0.1:9/", timeout=20)
except requests.exceptions.ConnectionError:
    print("not there")
"""
ASYNCIO = """\
import asyncio, sys, urllib.parse
at = urllib.parse.urlparse(sys.argv[1])
async def ask(name):
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(f"GET /{name} HTTP/1.0\\r\\n\\r\\n".encode())
    body = (await reader.read()).partition(b"\\r\\n\\r\\n")[2]
    writer.close()
    return len(body)
async def main():
    print(await asyncio.gather(*[ask(each) for each in ["word", "large"] * 8]))
asyncio.run(main())
"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and keeps connections."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Of a folder with a word, a large file, and a repository."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "word").write_text("a word\n")
    (served / "large").write_bytes(os.urandom(3 << 20))
    with ThreadingHTTPServer((LOCAL, 0), partial(Quiet, directory=str(served))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{LOCAL}:{server.server_port}"
        server.shutdown()


def led(backend: Backend, url: str) -> list[str]:
    """The command for a guest that may connect to the server."""
    argv = [sys.executable, "-m", "limpet", "-q", "run", "--backend", backend]
    return [*argv, "--connect", url.removeprefix("http://")]


def same(backend: Backend, url: str, words: Sequence[str]) -> str:
    """What a program prints, natively and in a guest."""
    native = subprocess.run(words, capture_output=True, text=True, check=False)
    guest = subprocess.run(
        [*led(backend, url), *words], capture_output=True, text=True, timeout=300, check=False
    )
    assert (guest.returncode, guest.stdout) == (native.returncode, native.stdout), guest.stderr
    return guest.stdout


def found(name: str) -> str:
    """The path of a program."""
    path = shutil.which(name)
    return path or pytest.skip(f"*** no {name} here: apt-get install {name} ***")


def test_curl(backend: Backend, url: str) -> None:
    """Several files on one connection, a part of one, and one that is not there."""
    words = ["-sS", f"{url}/word", f"{url}/word", "-r", "2-4", "-w", "%{http_code}\n"]
    assert "200" in same(backend, url, [found("curl"), *words, f"{url}/none"])


def test_wget(backend: Backend, url: str) -> None:
    """A file, to its output."""
    assert same(backend, url, [found("wget"), "-q", "-O", "-", f"{url}/word"]) == "a word\n"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of an environment with requests, as PyPI has it."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run(["/usr/bin/python3", "-m", "venv", str(folder)], check=True)
    subprocess.run([f"{folder}/bin/pip", "install", "-q", "requests"], check=True)
    return f"{folder}/bin/python"


def test_requests(backend: Backend, url: str, python: str, tmp_path: Path) -> None:
    """A session, and a port that was not given."""
    (tmp_path / "ask.py").write_text(REQUESTS)
    said = same(backend, url, [python, str(tmp_path / "ask.py"), url])
    assert said == "200 a word\n" * 3 + f"{3 << 20}\n404\nnot there\n"


def test_asyncio(backend: Backend, url: str, tmp_path: Path) -> None:
    """Sixteen connections at a time."""
    (tmp_path / "ask.py").write_text(ASYNCIO)
    assert same(backend, url, ["/usr/bin/python3", str(tmp_path / "ask.py"), url])


def test_git(backend: Backend, url: str, tmp_path: Path) -> None:
    """All objects of a repository by git's own client of HTTP, which starts no other program."""
    git = found("git")
    work, bare = tmp_path / "work", tmp_path / "served" / "it.git"
    repository(git, work, bare)
    head = subprocess.check_output([git, "-C", str(work), "rev-parse", "HEAD"], text=True).strip()
    fetch = Path(subprocess.check_output([git, "--exec-path"], text=True).strip(), "git-http-fetch")
    mine = tmp_path / "mine.git"
    subprocess.run([git, "init", "-q", "--bare", str(mine)], check=True)
    fill_rights(mine)
    for each in (mine, *mine.rglob("*")):
        each.chmod(0o777)
    argv = [*led(backend, url), "--volume", f"{mine}:{mine}", "--env", f"GIT_DIR={mine}"]
    subprocess.run([*argv, str(fetch), "-a", head, f"{url}/it.git"], check=True, timeout=300)
    subprocess.run([git, "-C", str(mine), "fsck", "--full", "--strict", head], check=True)
    listed = [git, "-C", str(mine), "ls-tree", "-r", "--name-only", head]
    assert subprocess.check_output(listed, text=True).split() == [f"file{n}" for n in range(5)]


def test_go(url: str, tmp_path: Path) -> None:
    """Go's HTTP client and server, each in a bundle of its own on either backend."""
    web = str(built(tmp_path, "web"))
    for backend in BACKENDS:
        said = same(backend, url, [web, "get", f"{url}/word", f"{url}/word", f"{url}/none"])
        assert said.startswith("a word\n200 7 <nil>\n" * 2)
        server = Server(web, ["serve", "0.0.0.0:80"], pages=False)
        with running(server, backend, tmp_path) as port:
            urls = [f"http://{LOCAL}:{port}/{each}" for each in range(3)]
            text = subprocess.check_output([web, "get", *urls], text=True)
            assert text == "".join(f"GET /{each} 0200 8 <nil>\n" for each in range(3))
