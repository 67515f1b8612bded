"""``limpet ps``, ``limpet top``: which processes are bundles, and what a terminal gets to see."""

from __future__ import annotations

import json
import os
import pty
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import limpet
from limpet.contract import Backend
from limpet.running.instances import Finder, Instance
from tests.support.bundles import Maker
from tests.support.ends import LOCAL, free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a monitor is seen by root only")

WAITS = "#include <stdio.h>\nint main(void) { return getchar() != EOF; }\n"
SPINS = "int main(void) { for (;;) ; }\n"
EVIL = "evil\x1b[31m\n[red]\u202e"


@contextmanager
def running(bundle: Path, name: str = "it") -> Iterator[int]:
    """A process of ``bundle`` that waits for input, by its number."""
    with subprocess.Popen([name], executable=bundle, stdin=subprocess.PIPE) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def seen(pid: int, finder: Finder | None = None) -> Instance | None:
    """What is said of a process, waited for: it may not have become the bundle yet."""
    for _ in range(50):
        for each in (finder or Finder()).look().instances:
            if each.pid == pid and each.memory is not None:
                return each
        time.sleep(0.02)
    return None


def built(make: Maker, folder: Path, backend: Backend, name: str, source: str = WAITS) -> Path:
    """A bundle of a program that is called ``name``."""
    guest = folder / name
    shutil.copy(make.compile(source, "waits" if source == WAITS else "spins"), guest)
    path = folder / "bundle"
    options = limpet.Options(backends=(backend,), max_output=4096 if name == "bounded" else 0)
    limpet.build(limpet.plan(limpet.load(guest), options)).write(path)
    return path


MAPS = """
#include <stdio.h>
#include <sys/mman.h>
int main(void) {
    char *page = mmap(0, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *page = 1;
    puts("mapped");
    fflush(stdout);
    return getchar() != EOF;
}
"""


@pytest.mark.kvm
def test_little_memory(make: Maker, tmp_path: Path) -> None:
    """A program that maps a little has no huge page for it, which it would hardly touch."""
    path = tmp_path / "bundle"
    guest = limpet.load(make.compile(MAPS, "maps"))
    limpet.build(limpet.plan(guest, limpet.Options(backends=("kvm",)))).write(path)
    with subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == b"mapped\n"
        rolled = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        process.stdin.close()
    used = {line.split(":")[0]: int(line.split()[1]) for line in rolled.splitlines()[1:]}
    assert used["AnonHugePages"] == 0
    assert used["Anonymous"] < 1024


def test_a_bundle_is_seen(make: Maker, tmp_path: Path, backend: Backend) -> None:
    """Guest, backend, memory, processor time and age; and nothing when it has ended."""
    bundle, finder = built(make, tmp_path, backend, "waits"), Finder()
    with running(bundle, "something else") as pid:
        found = seen(pid, finder)
        assert found
        assert (found.guest, found.backend) == ("waits", backend)
        assert found.memory and 0 < found.memory < 64 << 20
        assert 0 <= found.cpu < 5 and 0 <= found.age < 60
        done = _limpet("ps", "--json")
        listed = json.loads(done.stdout)["instances"]
        assert [each["guest"] for each in listed if each["pid"] == pid] == ["waits"]
    assert all(each.pid != pid for each in finder.look().instances)


CALLS = (
    "#include <unistd.h>\nint main(void) { char c; while (read(0, &c, 1) > 0) write(1, &c, 1); }\n"
)


def test_hypercalls_are_seen(make: Maker, tmp_path: Path, backend: Backend) -> None:
    """As far as a monitor has counted them: on kvm, where a report was asked for."""
    path = tmp_path / "bundle"
    options = limpet.Options(backends=(backend,), features=("report",))
    limpet.build(limpet.plan(limpet.load(make.compile(CALLS, "calls")), options)).write(path)
    argv = ["it", f"--report={tmp_path / 'report'}"]
    with subprocess.Popen(
        argv, executable=path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"abc")
        process.stdin.flush()
        assert process.stdout.read(3) == b"abc"
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        expected, until = {"kvm": 7, "process": None}[backend], time.monotonic() + 20
        while (found := seen(int(child))) and found.hypercalls != expected:
            assert time.monotonic() < until, found  # it has written, and asks for more just now
        assert found
        (line,) = (e for e in _limpet("ps").stdout.splitlines() if e.startswith(f"{child} "))
        assert f" {'7' if backend == 'kvm' else '-'} " in line
        process.stdin.close()


def test_a_command_line_is_shown(make: Maker, tmp_path: Path) -> None:
    """Of a process, where it is asked for: its words and nothing of its environment."""
    path, guest = tmp_path / "bundle", limpet.load(make.compile(MAPS, "maps"))
    for features, shown in (((), b""), (("shown",), b"it\0one\0two three\0")):
        options = limpet.Options(backends=("process",), features=features)
        limpet.build(limpet.plan(guest, options)).write(path)
        with subprocess.Popen(
            ["it", "one", "two three"],
            executable=path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"SECRET": "1"},
        ) as process:
            assert process.stdin and process.stdout and process.stdout.readline() == b"mapped\n"
            folder = Path("/proc", str(process.pid))
            assert (folder / "cmdline").read_bytes() == shown
            assert (folder / "environ").read_bytes() == b""
            process.stdin.close()
        path.unlink()


def test_a_supervised_one_is_seen_once(make: Maker, tmp_path: Path) -> None:
    """Of a monitor and the parent that counts its output, the monitor."""
    bundle = built(make, tmp_path, "process", "bounded")
    with running(bundle) as pid:
        for _ in range(100):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if children:
                break
            time.sleep(0.02)
        found = seen(int(children[0]))
        assert found and found.guest == "bounded"
        assert all(each.pid != pid for each in Finder().look().instances)


BESIDE = r"""
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
int main(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(53)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    bind(fd, (void *)&at, sizeof at);
    connect(socket(AF_INET, SOCK_STREAM, 0), 0, 0);
    mkdir("/w/a", 0700);
    fopen("/w/b", "w");
    puts("there");
    fflush(stdout);
    return getchar() + recvfrom(fd, &at, 1, MSG_DONTWAIT, 0, 0);
}
"""


@pytest.mark.parametrize("who", ["namer", "broker", "porter"])
def test_what_stands_beside_one_is_not_seen(make: Maker, tmp_path: Path, who: str) -> None:
    """Of a process with a volume and its namer the guest, and so with what asks for endpoints or
    carries datagrams."""
    port = f"{LOCAL}:{free_port(LOCAL, socket.SOCK_DGRAM)}:53/udp"
    options: dict[str, dict[str, Any]] = {
        "namer": {"devices": ("volume:/w",)},
        "broker": {"connect": ("192.0.2.0/24:443/tcp",)},
        "porter": {"publish": (port,)},
    }
    path = make(make.compile(BESIDE, "beside"), "process", **options[who]).path
    argv = ["it", *[f"--volume:/w={tmp_path}"] * (who == "namer")]
    with subprocess.Popen(
        argv, executable=path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stdout.readline() == b"there\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        family, until = {process.pid, *map(int, children)}, time.monotonic() + 20
        while (shown := family & _pids()) != {process.pid} and time.monotonic() < until:
            time.sleep(0.02)  # that one has forked, but does not lead its session yet
        process.kill()
    assert len(children) == 1 and shown == {process.pid}


def _pids() -> set[int]:
    return {each.pid for each in Finder().look().instances}


def test_what_only_looks_like_one(make: Maker, tmp_path: Path) -> None:
    """Names prove nothing, and a byte behind a bundle makes it none, though Linux runs it."""
    bundle = built(make, tmp_path, "process", "waits")
    longer = tmp_path / "longer"
    longer.write_bytes(bundle.read_bytes() + b"\0")
    longer.chmod(0o755)
    cat = shutil.which("cat")
    assert cat
    with running(longer) as one, running(Path(cat), str(bundle)) as other, running(bundle) as third:
        assert seen(third)
        assert not {one, other} & _pids()


def test_a_name_cannot_touch_the_terminal(make: Maker, tmp_path: Path) -> None:
    """Escapes, line ends and markup of a guest's name are shown as text, by ps and by top."""
    bundle = built(make, tmp_path, "process", EVIL)
    with running(bundle) as pid:
        assert seen(pid)
        said = _limpet("ps").stdout
        (line,) = (each for each in said.splitlines() if each.startswith(f"{pid} "))
        assert "evil\\x1b[31m\\n[red]\\u202e" in line
        assert said.isascii()
        live = _on_a_terminal("top", "--interval", "0.2")
        assert b"evil\\x1b[31m\\n[red]\\u202e" in live.replace(b"\r\n", b"")


def test_top(make: Maker, tmp_path: Path) -> None:
    """It needs a terminal, or says once what ps says."""
    done = _limpet("top")
    assert done.stderr.startswith("limpet: limpet top needs a terminal\nlimpet: try: limpet ps")
    assert done.returncode == 2
    bundle = built(make, tmp_path, "process", "spins", SPINS)
    with running(bundle) as pid:
        assert seen(pid)
        listed = json.loads(_limpet("top", "--json").stdout)["instances"]
        assert pid in [each["pid"] for each in listed]


def _limpet(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "limpet", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def _on_a_terminal(*words: str) -> bytes:
    """What is written to a terminal of 200 columns until a second table has come."""
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "limpet", *words]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
    said = b""
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as top:
        os.close(theirs)
        while said.count(b"BACKEND") < 2:
            said += os.read(ours, 65536)
        top.send_signal(2)
        try:
            while more := os.read(ours, 65536):
                said += more
        except OSError:  # the terminal is gone with its last user
            pass
        assert top.wait(60) == 0
    os.close(ours)
    return said


CONNECTS = """
#include <stdio.h>
#include <sys/socket.h>
int main(void) {
    int got = connect(socket(AF_INET, SOCK_STREAM, 0), 0, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    listen(fd, got);
    puts("there");
    fflush(stdout);
    return getchar() + accept(fd, 0, 0);
}
"""


def test_what_its_start_chose_is_seen(make: Maker, tmp_path: Path, backend: Backend) -> None:
    """From the table that its guest cannot write, whatever its command line looks like."""
    path = tmp_path / "bundle"
    ways = ("web=1024-65535:80/tcp",), ("api=10.0.0.0/8:443/tcp", "six=[2001:db8::/32]:1-9/tcp")
    options = limpet.Options(backends=(backend,), publish=ways[0], connect=ways[1])
    limpet.build(limpet.plan(limpet.load(make.compile(CONNECTS, "connects")), options)).write(path)
    port = free_port(LOCAL)
    argv = ["it", f"-p:web={port}", "--connect:api=10.1.2.3:443", "--connect:six=[2001:db8::2]:5"]
    with subprocess.Popen(
        argv, executable=path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stdout.readline() == b"there\n"
        found = seen(process.pid)
        assert found and found.chosen == (f"-p:web={LOCAL}:{port}", *argv[2:])
        process.kill()
