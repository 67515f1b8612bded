"""Faults from outside: killed monitors, no memory, full disks; nothing is lost or left behind."""

from __future__ import annotations

import os
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from limpet.contract import Backend
from limpet.tools import upkeep
from limpet.tools.cache import Cache
from tests.support.bundles import Made, Maker
from tests.support.caches import seeded

pytestmark = pytest.mark.slow

MIB = 1 << 20


@pytest.mark.parametrize("turn", range(4))
def test_killed_while_writing(bundle: Made, tmp_path: Path, turn: int) -> None:
    """What the program was told is durable is on the disk, whenever the monitor is killed."""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(MIB))
    argv: list[str | Path] = [bundle.path, f"--block:data={disk}", "journal", "/dev/data"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as guest:
        assert guest.stdout
        first = guest.stdout.readline() + guest.stdout.readline()
        time.sleep(0.01 + 0.05 * turn)
        guest.kill()
        said = (first + guest.stdout.read()).split(b"\n")
        assert guest.wait(10) == -signal.SIGKILL
    last = int(said[-2] if not said[-1] else said[-1] or said[-2])
    content = disk.read_bytes()
    assert len(content) == MIB
    assert last > 1
    for number in range(max(1, last - 2000), last + 1):
        at = (number - 1) % 2048 * 512
        assert struct.unpack_from("<I", content, at)[0] in (number, number + 2048)


@pytest.fixture
def group() -> Iterator[Path]:
    """A memory cgroup of this test's own."""
    for base, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        made = base / f"limpet-test-{os.getpid()}"
        try:
            made.mkdir()
            (made / limit).write_text(str(48 * MIB))
        except OSError:
            continue
        yield made
        for _ in range(50):
            try:
                made.rmdir()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"{made} still has {(made / 'cgroup.procs').read_text()}")
    pytest.skip("*** no memory cgroup can be made here ***")


def _into(group: Path, *argv: str | Path) -> list[str | Path]:
    script = f'echo $$ > {group}/cgroup.procs && exec "$@"'
    return ["sh", "-c", script, "sh", *argv]


def test_out_of_memory_in_a_group(bundle: Made, tmp_path: Path, group: Path) -> None:
    """A guest that takes more than its cgroup has is killed, alone, and leaves nothing."""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(512))
    argv = _into(group, bundle.path, f"--block:data={disk}", "hog", "x")
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
    assert (group / "cgroup.procs").read_text() == ""


def test_out_of_its_own_memory(bundle: Made, tmp_path: Path) -> None:
    """Within its own limit the program is told, by malloc."""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(512))
    ran = bundle.run(f"--block:data={disk}", "hog", "x")
    assert (ran.stdout, ran.stderr, ran.status) == (b"none left\n", b"", 0)


def test_no_address_space(bundle: Made, tmp_path: Path) -> None:
    """ulimit -v below the guest's memory is an error with advice."""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(512))
    done = subprocess.run(
        [bundle.path, f"--block:data={disk}", "hog", "x"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (64 * MIB, 64 * MIB)),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 125
    assert done.stderr.startswith(b"limpet: the host has no room for the guest's memory: ")


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in text.split()]


def test_supervisor_killed(make: Maker, program: Path, backend: Backend, tmp_path: Path) -> None:
    """Under --max-output the guest is a child: it ends with its parent."""
    made = make(program, backend, devices=("block:data",), max_output=64 * MIB)
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(MIB))
    argv: list[str | Path] = [made.path, f"--block:data={disk}", "journal", "/dev/data"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as guest:
        assert guest.stdout
        guest.stdout.readline()
        (child,) = _children(guest.pid)
        guest.kill()
        guest.wait(10)
        for _ in range(100):
            if not Path(f"/proc/{child}").exists():
                return
            time.sleep(0.05)
        raise AssertionError("the guest lives on")


def test_killed_builds(tmp_path: Path) -> None:
    """A build that is killed at any moment leaves no half bundle, and the next one clears up."""
    cache = seeded(tmp_path / "cache")
    source = tmp_path / "hello.c"
    source.write_text("int main(void) { return 7; }\n")
    words = [sys.executable, "-m", "limpet", "-q", "run", "--backend", "process", str(source)]
    environment = {**os.environ, "LIMPET_CACHE": str(cache)}
    for turn in range(6):
        with subprocess.Popen(words, env=environment, start_new_session=True) as build:
            time.sleep(0.15 + 0.12 * turn)
            os.killpg(build.pid, signal.SIGKILL)
    source.write_text("int main(void) { return 8; }\n")
    assert subprocess.run(words, env=environment, timeout=60, check=False).returncode == 8
    for _ in range(60):  # compilers outlive a killed build for a moment, and write
        for left in cache.glob(".new-*"):
            os.utime(left, (1, 1))
        with upkeep.workspace(Cache(cache)) as own:
            if list(cache.glob(".new-*")) == [own]:
                break
        time.sleep(0.5)
    assert not list(cache.glob(".new-*"))
