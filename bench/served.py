"""Servers that the measurements of servers start: natively, in bundles, in what others have."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import limpet
from limpet.contract import Backend


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        port: int = each.getsockname()[1]
        return port


def _takes(port: int) -> bool:
    """Whether a connection stays: pasta takes any, and ends it while nobody listens behind it."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as each:
            each.settimeout(0.2)
            return bool(each.recv(1))
    except TimeoutError:
        return True
    except OSError:
        return False


def _waited_for(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Whether a server takes a connection at ``port`` within ten seconds."""
    for _ in range(100):
        if process.poll() is not None:
            return False
        if _takes(port):
            return True
        time.sleep(0.1)
    return False


@contextmanager
def started(argv: Sequence[str], port: int, log: Path) -> Iterator[int | None]:
    """A server's process, or ``None`` where it does not come up; ``log`` says why."""
    with (
        log.open("wb") as out,
        subprocess.Popen(argv, stdout=out, stderr=out, start_new_session=True) as process,
    ):
        try:
            yield process.pid if _waited_for(port, process) else None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def processor_time(pid: int) -> float:
    """Seconds that a process and all below it have had."""
    times: dict[int, tuple[int, float]] = {}
    for each in Path("/proc").glob("[0-9]*"):
        try:
            words = (each / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            ran = sum(int(task.read_text().split()[0]) for task in each.glob("task/*/schedstat"))
        except OSError:
            continue
        times[int(each.name)] = int(words[1]), ran / 1e9

    def below(one: int) -> float:
        return times[one][1] + sum(below(pid) for pid in times if times[pid][0] == one)

    return below(pid)


def bundle(program: Path, backend: Backend, port: int, folder: Path, **files: Path) -> Path:
    """A bundle of a server that listens at port 80; ``files`` are packed by their names."""
    guest = limpet.load(program, files={f"/{name}": path for name, path in files.items()})
    published = (f"127.0.0.1:{port}:80/tcp",)
    options = limpet.Options(
        backends=(backend,), publish=published, memory=256 << 20, sockets=11_000
    )
    path = folder / f"{program.name}.{backend}"
    limpet.build(limpet.plan(guest, options)).write(path)
    return path


@contextmanager
def behind_pasta(argv: Sequence[str], port: int, folder: Path) -> Iterator[list[str] | None]:
    """``argv`` in bubblewrap behind pasta; ``None``, and why, where they do not run."""
    space, pid = f"limpet-bench-{os.getpid()}", folder / "pasta.pid"
    if not shutil.which("bwrap") or not shutil.which("pasta"):
        print("*** bubblewrap and passt are not installed: no row ***")
        yield None
        return
    made = subprocess.run(
        ["ip", "netns", "add", space], capture_output=True, text=True, check=False
    )
    if made.returncode:
        print(f"*** no network namespace for bwrap and pasta: {made.stderr.strip()} ***")
        yield None
        return
    forward = ["-t", f"127.0.0.1/{port}:{port}", "-u", "none", "-T", "none", "-U", "none"]
    pasta = ["pasta", "--runas", "0:0", "--config-net", *forward, "-P", str(pid)]
    try:
        done = subprocess.run(
            [*pasta, "--netns", f"/run/netns/{space}"], capture_output=True, check=False
        )
        if done.returncode:
            print(f"*** pasta does not run here: {done.stderr.decode()[-200:]} ***")
            yield None
            return
        apart = ["--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        tree = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        own = ["--bind", str(folder), str(folder)]
        yield ["ip", "netns", "exec", space, "bwrap", *apart, *tree, *own, *argv]
    finally:
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)
        subprocess.run(["ip", "netns", "delete", space], capture_output=True, check=False)
