"""Servers: what a request costs beside the same binary natively, and beside what others have.

Each is asked by a client on this machine, one server after the other in many short turns, every
second one backwards.  What counts is the median of the turns' quotients: what other tenants do to
the machine is on both sides of each.  What is left of it shows in a second native server beside
the first, and the processor time of the server stands beside the time.  Floors are those of the
time; rows without one have ``inf``.
"""

from __future__ import annotations

import re
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.rows import Row, backends
from bench.served import behind_pasta, bundle, free_port, processor_time, started

SECONDS = 1
AGAIN = "native again"
NGINX, REDIS = Path("/usr/sbin/nginx"), Path("/usr/bin/redis-server")
NONE = float("inf")
IDLE = 10_000

_CONF = """\
daemon off; master_process off; error_log stderr crit; pid {folder}/nginx.pid;
worker_rlimit_nofile 16000; events {{ worker_connections 12000; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen {listen}; root {root}; }} }}
"""


@dataclass(frozen=True)
class Running:
    """One way to run a server."""

    name: str
    port: int
    pid: int


@dataclass(frozen=True)
class Asked:
    """How a client asks; the least shares of the native rate, in a process and on kvm."""

    name: str
    ask: Callable[[int], tuple[float, float]]  # of a port: requests, and how many a second
    process: float
    kvm: float = 0
    turns: int = 7


def wrk(connections: int, path: str, *words: str) -> Callable[[int], tuple[float, float]]:
    """wrk with one thread."""

    def ask(port: int) -> tuple[float, float]:
        argv = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", *words]
        done = subprocess.run(
            [*argv, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True
        )
        count = re.search(r"(\d+) requests in", done.stdout)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
        assert count and rate and "Non-2xx" not in done.stdout, done.stdout
        return float(count[1]), float(rate[1])

    return ask


def redis(command: str, count: int, *words: str) -> Callable[[int], tuple[float, float]]:
    """redis-benchmark with 50 connections."""

    def ask(port: int) -> tuple[float, float]:
        argv = ["redis-benchmark", "-p", str(port), "-t", command, "-n", str(count), "--csv"]
        done = subprocess.run([*argv, *words], capture_output=True, text=True, check=True)
        return float(count), float(done.stdout.splitlines()[-1].split(",")[1].strip('"'))

    return ask


PAGES = (
    Asked("keep-alive, 1 connection", wrk(1, "/page"), 0.95, turns=13),
    Asked("keep-alive, 64 connections", wrk(64, "/page"), 0.95),
    Asked("a new connection each", wrk(16, "/page", "-H", "Connection: close"), 0.85),
    Asked("1 MiB", wrk(4, "/large"), 0.95, 0.5),
)
KEYS = (
    Asked("GET", redis("get", 10_000), 0.95, turns=21),
    Asked("SET", redis("set", 10_000), 0.95, turns=21),
    Asked("GET, 16 at once", redis("get", 100_000, "-P", "16"), 0.95, turns=21),
    Asked("SET, 16 at once", redis("set", 100_000, "-P", "16"), 0.95, turns=21),
)


def _measured(
    asked: Asked, running: Sequence[Running], gone: set[str]
) -> dict[str, tuple[float, float]]:
    """Microseconds a request of each: time, and the server's processor time.

    Those of the native server are medians, all others what their quotients make of these.
    """
    found: dict[str, list[tuple[float, float]]] = {each.name: [] for each in running}
    for turn in range(asked.turns):
        for each in running[:: -1 if turn % 2 else 1]:
            if each.name in gone:
                continue
            before = processor_time(each.pid)
            try:
                count, rate = asked.ask(each.port)
            except subprocess.CalledProcessError as error:
                if each.name in ("native", AGAIN, *backends()):
                    raise
                print(f"*** {each.name} does not answer: {error.stderr.strip()[-200:]} ***")
                gone.add(each.name)
                continue
            found[each.name].append((1e6 / rate, (processor_time(each.pid) - before) * 1e6 / count))
    return {name: _beside(turns, found["native"]) for name, turns in found.items() if turns}


def _beside(
    turns: Sequence[tuple[float, float]], native: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    time, used = (
        median(each[index] for each in native)
        * median(ours[index] / theirs[index] for ours, theirs in zip(turns, native, strict=False))
        for index in range(2)
    )
    return time, used


def _rows(server: str, asked: Asked, running: Sequence[Running], gone: set[str]) -> Iterator[Row]:
    found = _measured(asked, running, gone)
    time, used = found["native"]
    for backend in (each for each in backends() if each in found):
        floor = asked.process if backend == "process" else asked.kvm
        most = 1 / floor if floor else NONE
        ours, own = found[backend]
        yield Row(f"{server}, {asked.name}, {backend}", ours, time, most, "us")
        yield Row(f"{server}, {asked.name}, {backend}: processor", own, used, NONE, "us")
    again, _ = found[AGAIN]
    yield Row(f"{server}, {asked.name}, {AGAIN}", again, time, NONE, "us")
    for other in set(found) - {"native", AGAIN, *backends()}:
        theirs = found[other][0]
        yield Row(
            f"{server}, {asked.name}, process beside {other}", found["process"][0], theirs, 1, "us"
        )


def _nginx_conf(folder: Path, name: str, listen: str, root: str, own: str) -> Path:
    path = folder / f"{name}.conf"
    path.write_text(_CONF.format(folder=own, listen=listen, root=root), encoding="ascii")
    return path


def _start(
    stack: ExitStack, name: str, argv: Sequence[str], port: int, folder: Path
) -> list[Running]:
    log = folder / (name.replace(" ", "-") + ".log")
    pid = stack.enter_context(started(argv, port, log))
    if pid is None:
        print(f"*** {name} does not run here: {log.read_text(errors='replace')[-300:].strip()} ***")
        return []
    return [Running(name, port, pid)]


def _neighbours(stack: ExitStack, folder: Path) -> Iterator[Running]:
    """nginx in what others have: each with the network that it gives without privilege."""
    port = free_port()
    native = _nginx_conf(folder, "bwrap", f"127.0.0.1:{port}", str(folder), str(folder))
    native.write_text(native.read_text().replace("127.0.0.1:", ""))
    argv = stack.enter_context(behind_pasta([str(NGINX), "-c", str(native)], port, folder))
    yield from _start(stack, "bwrap and pasta", argv, port, folder) if argv else ()
    port = free_port()
    conf = _nginx_conf(folder, "runsc", f"127.0.0.1:{port}", str(folder), str(folder))
    if shutil.which("runsc"):
        argv = ["runsc", "--rootless", "--network=host", "do", str(NGINX), "-c", str(conf)]
        yield from _start(stack, "runsc with the host's network", argv, port, folder)
    port = free_port()
    conf = _nginx_conf(folder, "podman", f"{port}", str(folder), str(folder))
    if shutil.which("podman"):
        inside = ["-v", f"{folder}:{folder}", "--rootfs", "/:O", str(NGINX), "-c", str(conf)]
        network = ["--cgroups=disabled", "--network=slirp4netns", "-p", f"127.0.0.1:{port}:{port}"]
        yield from _start(
            stack, "podman", ["podman", "run", "--rm", *network, *inside], port, folder
        )


def _exits(running: Running, asked: Asked) -> Iterator[Row]:
    """Exits a request, as perf counts the calls of KVM_RUN."""
    if not shutil.which("perf"):
        print("*** perf is not installed: exits are not counted ***")
        return
    counter = ["perf", "stat", "-x,", "-e", "syscalls:sys_enter_ioctl", "-p", str(running.pid)]
    with subprocess.Popen([*counter, "--", "sleep", "60"], stderr=subprocess.PIPE) as counting:
        count, _ = asked.ask(running.port)
        counting.send_signal(signal.SIGALRM)  # its own word for the end
        said = counting.communicate()[1].decode()
    number = said.split(",")[0]
    if number.isdigit():
        most = {"keep-alive, 1 connection": 2, "keep-alive, 64 connections": 1}.get(
            asked.name, NONE
        )
        yield Row(f"nginx, {asked.name}: exits", int(number) / count, None, most, "")


def _memory(running: Running) -> int:
    lines = Path(f"/proc/{running.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


def _idle(running: Running) -> Row:
    """Bytes of memory that an idle connection takes."""
    before = _memory(running)
    with ExitStack() as stack:
        for number in range(IDLE):
            each = socket.create_connection(("127.0.0.1", running.port), timeout=60)
            stack.enter_context(each)
            if number % 500 == 499:  # so that what has not been accepted stays few
                each.sendall(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
                assert each.recv(100).startswith(b"HTTP/1.1 200")
        taken = _memory(running) - before
    name = f"{IDLE} idle connections of nginx, each, {running.name}"
    return Row(name, taken / IDLE, None, 4096, "B")


def _nginx(folder: Path) -> Iterator[Row]:
    (folder / "page").write_bytes(b"a" * 612)
    (folder / "large").write_bytes(b"b" * (1 << 20))
    packed = _nginx_conf(folder, "packed", "80", "/www", "/tmp")
    with ExitStack() as stack:
        running = list[Running]()
        for name in ("native", AGAIN):
            port = free_port()
            listen = f"127.0.0.1:{port}"
            conf = _nginx_conf(folder, name.replace(" ", "-"), listen, str(folder), str(folder))
            running += _start(stack, name, [str(NGINX), "-c", str(conf)], port, folder)
        files = {"conf": packed, "www/page": folder / "page", "www/large": folder / "large"}
        for backend in backends():
            port = free_port()
            made = bundle(NGINX, backend, port, folder, **files)
            running += _start(stack, backend, [str(made), "-c", "/conf"], port, folder)
        others, gone = list(_neighbours(stack, folder)), set[str]()
        for asked in PAGES:
            yield from _rows("nginx", asked, [*running, *others], gone)
        for each in (each for each in running if each.name == "kvm"):
            for asked in PAGES:
                yield from _exits(each, asked)
        for each in (each for each in running if each.name in backends()):
            yield _idle(each)


def _redis(folder: Path) -> Iterator[Row]:
    common = ["--save", "", "--appendonly", "no", "--protected-mode", "no", "--port"]
    with ExitStack() as stack:
        running = list[Running]()
        for name in ("native", AGAIN):
            port = free_port()
            running += _start(stack, name, [str(REDIS), *common, str(port)], port, folder)
        for backend in backends():
            port = free_port()
            made = bundle(REDIS, backend, port, folder)
            running += _start(stack, backend, [str(made), *common, "80"], port, folder)
        for asked in KEYS:
            yield from _rows("redis", asked, running, set())


def rows(folder: Path) -> Iterator[Row]:
    """nginx and redis-server as Debian has them."""
    folder.chmod(0o755)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 2 * IDLE), most))
    for program, client, measure in ((NGINX, "wrk", _nginx), (REDIS, "redis-benchmark", _redis)):
        if not program.exists() or not shutil.which(client):
            print(f"*** {program} or {client} is not installed: no row ***")
            continue
        yield from measure(folder)
