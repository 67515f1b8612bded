"""What a program finds at fixed paths: /proc, /sys, /dev, the least of /etc."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import BUSYBOX, Maker, need

pytestmark = pytest.mark.slow


def test_as_natively(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """Links, reading in pieces, names, words, memory: the same lines as on Linux."""
    source = (SUPPORT / "programs" / "world.c").read_text(encoding="utf-8")
    program = make.compile(source, "world")
    native = subprocess.run(
        [program, "x", "y"], cwd=tmp_path, env={"A": "b"}, capture_output=True, check=True
    )
    ours = make(program, backend, environment=("A=b",)).run("x", "y")
    assert (ours.stdout.decode(), ours.status) == (native.stdout.decode(), 0)


def test_threads(make: Maker, backend: Backend) -> None:
    """/proc/self/task and /proc/thread-self follow the threads."""
    source = (SUPPORT / "programs" / "tasks.c").read_text(encoding="utf-8")
    program = make.compile(source, "tasks")
    native = subprocess.run([program], capture_output=True, check=True)
    ours = make(program, backend).run()
    assert (ours.stdout.decode(), ours.status) == (native.stdout.decode(), 0)


def busybox(make: Maker, backend: Backend, *words: str, root: Path | None = None) -> str:
    """What an applet says."""
    made = make(need(BUSYBOX, "busybox-static"), backend, root=root, name="busybox")
    return made.run(*words).stdout.decode()


def test_applets(make: Maker, backend: Backend) -> None:
    """Programs that live on /proc find what they need."""
    assert "busybox" in busybox(make, backend, "ps")
    assert busybox(make, backend, "nproc") == "1\n"
    assert "/proc type proc" in busybox(make, backend, "mount")
    assert busybox(make, backend, "whoami") == "root\n"
    assert busybox(make, backend, "hostname") == "limpet\n"
    named = make(need(BUSYBOX, "busybox-static"), backend, name="busybox").run("hostname", "other")
    assert named.stderr == b"hostname: sethostname: Operation not permitted\n"
    assert "Mem:" in busybox(make, backend, "free")
    assert "load average: 0.00" in busybox(make, backend, "uptime")
    assert busybox(make, backend, "cat", "/etc/localtime").startswith("TZif2")
    assert busybox(make, backend, "readlink", "/proc/self/exe") == "/bin/busybox\n"


def test_what_the_tree_has_wins(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """A packed file stays as it is, and what its folder lacks is there as well."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("me:x:0:0::/:/bin/sh\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/version").write_text("mine\n")
    (tmp_path / "sys").write_text("a file")
    assert busybox(make, backend, "whoami", root=tmp_path) == "me\n"
    assert busybox(make, backend, "cat", "/proc/version", root=tmp_path) == "mine\n"
    assert busybox(make, backend, "cat", "/sys", root=tmp_path) == "a file"
    assert "limpet" in busybox(make, backend, "cat", "/etc/hosts", root=tmp_path)
    names = busybox(make, backend, "ls", "/etc", "/", root=tmp_path).split()
    assert names.count("passwd") == names.count("etc") == names.count("sys") == 1


def test_nothing_of_the_host(make: Maker, backend: Backend) -> None:
    """All that can be read below /proc, /sys and /etc names neither the host nor its processor."""
    texts = busybox(make, backend, "find", "/proc", "/sys", "/etc", "-type", "f").split()
    assert len(texts) > 100
    wanted = [each for each in texts if "/task/" not in each and "auxv" not in each]
    said = busybox(make, backend, "cat", *wanted)
    models = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    }
    secrets = {platform.node(), platform.release(), *models} - {""}
    boot = Path("/proc/sys/kernel/random/boot_id")
    secrets |= {boot.read_text().strip()} if boot.exists() else set()
    found = {each for each in secrets if len(each) > 5 and each in said}
    assert not found
