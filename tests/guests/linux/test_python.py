"""Debian's Python as a user starts it: a program of several files, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support.bundles import need
from tests.support.caches import seeded
from tests.support.command import Cli

PYTHON = Path("/usr/bin/python3")

APP = """
#!/usr/bin/env python3
import ctypes, decimal, hashlib, json, lzma, queue, re, sqlite3, sys, threading, zlib
import helper
from inner import deeper

def work(at, results):
    results.put((at, hashlib.sha256(str(at).encode()).hexdigest()[:8]))

results = queue.Queue()
threads = [threading.Thread(target=work, args=(at, results)) for at in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(sorted(results.queue))
base = sqlite3.connect(":memory:")
base.execute("create table t (a, b)")
base.executemany("insert into t values (?, ?)", [(at, at * at) for at in range(100)])
print(base.execute("select sum(b) from t where a % 7 = 3").fetchone())
print(decimal.Decimal(2).sqrt(), zlib.crc32(lzma.compress(b"x" * 1000)))
print(ctypes.sizeof(ctypes.c_long))
print(json.dumps({"helper": helper.NAME, "deeper": deeper.VALUE, "argv": sys.argv}))
print(sys.executable, sys.prefix, sys.version, sys.path[1:4])
print(re.sub(r"(\\w+)", r"<\\1>", sys.stdin.read()))
sys.exit(len(sys.argv))
"""


InFolder = Callable[[Path], Cli]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> InFolder:
    """The command in a folder, with one cache for all."""
    home = tmp_path_factory.mktemp("home")
    seeded(home / "cache")
    return lambda folder: Cli(home, folder)


def _same(cli: Cli, backend: Backend, *words: str | Path, options: Sequence[str] = ()) -> None:
    native = subprocess.run(
        [*map(str, words)],
        cwd=cli.cwd,
        env={"PATH": os.environ["PATH"]},
        input="some text\n",
        capture_output=True,
        text=True,
        check=False,
    )
    guest = cli("-q", "run", "--backend", backend, *options, *words, input="some text\n")
    assert (guest.stdout, guest.stderr, guest.returncode) == (
        native.stdout,
        native.stderr,
        native.returncode,
    )


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with a program of several files."""
    folder = tmp_path / "app"
    (folder / "inner").mkdir(parents=True)
    (folder / "app.py").write_text(APP.lstrip())
    (folder / "app.py").chmod(0o755)
    (folder / "helper.py").write_text("NAME = __name__\n")
    (folder / "inner/__init__.py").write_text("")
    (folder / "inner/deeper.py").write_text("import helper\nVALUE = helper.NAME * 2\n")
    return folder


def test_app(app: Path, cli: InFolder, backend: Backend) -> None:
    """Its library, its text and the modules beside that are packed, with nothing said."""
    need(PYTHON, "python3")
    _same(cli(app), backend, PYTHON, "app.py", "a", "b c")


def test_environment(app: Path, tmp_path: Path, cli: InFolder, backend: Backend) -> None:
    """A script that is started by its first line, in an environment with something installed."""
    need(Path("/usr/lib/python3.11/venv"), "python3-venv")
    venv = tmp_path / "venv"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", venv], check=True)
    packages = venv / "lib/python3.11/site-packages"
    (packages / "installed.py").write_text("WHERE = __file__\n")
    script = app / "script"
    script.write_text(
        f"#!{venv}/bin/python3\nimport installed, sys\nprint(installed.WHERE, sys.argv)\n"
    )
    script.chmod(0o755)
    _same(cli(app), backend, script, "a")


SERVERS = """
import asyncio, http.server, socket, threading, urllib.request

async def main():
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    threading.Timer(0.05, lambda: loop.call_soon_threadsafe(done.set)).start()
    await asyncio.wait_for(done.wait(), 20)
    print(await asyncio.gather(*(asyncio.to_thread(pow, each, 2) for each in range(5))))
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(await asyncio.gather(*(ask(port, each) for each in range(20))))

async def answer(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
    writer.close()

async def ask(port, number):
    reader, writer = await asyncio.open_connection("localhost", port)
    writer.write(b"line %d\\n" % number)
    line = await reader.readline()
    writer.close()
    return line

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode() * 20000)
    def log_message(self, *words):
        pass

asyncio.run(main())
server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for each in range(3):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/{each}") as got:
        print(got.status, len(got.read()))
server.shutdown()
print(socket.getaddrinfo("localhost", 80, socket.AF_INET, socket.SOCK_STREAM))
"""


def test_servers(tmp_path: Path, cli: InFolder, backend: Backend) -> None:
    """Event loops woken by threads, and servers whose clients are threads of the same program."""
    (tmp_path / "serve.py").write_text(SERVERS)
    _same(cli(tmp_path), backend, need(PYTHON, "python3"), "serve.py")


SCIENCE = """
import numpy, pandas

random = numpy.random.default_rng(7)
square = random.standard_normal((120, 120))
print(numpy.round(numpy.linalg.eigvalsh(square @ square.T)[-3:], 6).tolist())
print(float(numpy.round(numpy.abs(numpy.fft.fft(square[0])).sum(), 9)))
times = pandas.date_range("2024-01-01", periods=500, freq="h", tz="Europe/Berlin")
frame = pandas.DataFrame({"k": random.integers(0, 5, 500), "v": square.ravel()[:500], "t": times})
print(frame.groupby("k").v.agg(["mean", "std", "count"]).round(6).to_string())
print(frame.set_index("t").v.resample("7D").sum().round(6).to_string())
print(frame.merge(frame, on="k").shape, frame.describe().round(5).to_string())
"""


@pytest.mark.slow
def test_science(tmp_path: Path, cli: InFolder, backend: Backend) -> None:
    """NumPy and pandas as PyPI has them, with threads of their own and much arithmetic."""
    named = os.environ.get("LIMPET_SCIENCE")
    if not named or not Path(named, "bin/python3").exists():
        pytest.skip(
            "*** no NumPy: python3 -m venv DIR && DIR/bin/pip install numpy pandas, then "
            "LIMPET_SCIENCE=DIR ***"
        )
    (tmp_path / "science.py").write_text(SCIENCE)
    python = Path(named, "bin/python3")
    _same(cli(tmp_path), backend, python, "science.py", options=("--memory", "512M"))
