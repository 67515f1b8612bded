"""``--report``: a guest's end as data, written whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import limpet
from limpet.contract import Backend
from limpet.planning.regions import COUNTS_AT, GUEST_COUNTS_AT
from limpet.running.snapshot import snapshot
from tests.support import unikernels
from tests.support.bundles import Maker

WORKS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int n, char **a) {
    volatile char *at = malloc(24 << 20);
    for (int i = 0; i < 24 << 20; i += 4096)
        at[i] = 1;
    for (volatile long i = 0; i < 30000000; i++)
        ;
    printf("%d %s\n", n, n > 1 ? a[1] : "");
    fflush(stdout);
    for (; n > 1 && !strcmp(a[1], "spin");)
        ;
    return n > 1 && !strcmp(a[1], "trap") ? *(volatile int *)8 : 5;
}
"""
WORD = "this bundle writes a report of its guest's end: give --report=FILE as its first word"


@pytest.fixture(scope="module")
def works(make: Maker, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Bundles of that program, by backend and time limit."""
    guest = limpet.load(make.compile(WORKS, "works"))
    folder = tmp_path_factory.mktemp("works")

    def get(backend: Backend, timeout: int = 0) -> Path:
        path = folder / f"{backend}-{timeout}"
        if not path.exists():
            options = limpet.Options(backends=(backend,), timeout=timeout, features=("report",))
            limpet.build(limpet.plan(guest, options)).write(path)
        return path

    return get


def _ended(bundle: Path, report: Path, *words: str) -> tuple[int, str, dict[str, Any]]:
    argv: list[str | Path] = [bundle, f"--report={report}", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    said = json.loads(report.read_bytes()) if report.exists() else {}
    return done.returncode, done.stdout + done.stderr, said


def test_report(works: Any, tmp_path: Path, backend: Backend) -> None:
    """Status, reason, times and memory; the program sees nothing of the word."""
    report = tmp_path / "report.json"
    status, said, found = _ended(works(backend), report, "word")
    assert (status, said) == (5, "2 word\n")
    assert (found["status"], found["reason"], found["signal"]) == (5, "exit", 0)
    assert abs(found["started"] - time.time()) < 120
    assert 0 < found["user_seconds"] + found["system_seconds"] < 60
    # the kernel counts pages in steps
    assert 0.001 < found["seconds"] < 60
    assert 20 << 20 <= found["peak_memory"] < 128 << 20
    assert report.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["report.json"]


ENDS = {
    ("trap", 0): (139, "exit", 0),
    ("spin", 300): (124, "timeout, or the guest's own status", 0),
}


@pytest.mark.parametrize("end", ENDS)
def test_reasons(works: Any, tmp_path: Path, end: tuple[str, int]) -> None:
    """Each way to end."""
    word, timeout = end
    status, _, found = _ended(works("process", timeout), tmp_path / "report", word)
    assert status == found["status"]
    assert (found["status"], found["reason"], found["signal"]) == ENDS[end]


COUNTED = r"""
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int n, char **a) {
    char bytes[100];
    for (int i = 0; i < 3; i++)
        write(i % 2 + 1, bytes, (size_t)read(0, bytes, sizeof bytes) / 2);
    if (n > 1)
        memset((void *)strtoul(a[1], 0, 0), 0xff, 1048);
    return 0;
}
"""


@pytest.fixture(scope="module")
def counted(make: Maker, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A bundle of that program, by backend."""
    guest = limpet.load(make.compile(COUNTED, "counted"))
    folder = tmp_path_factory.mktemp("counted")

    def get(*backends: Backend) -> Path:
        path = folder / "-".join(backends)
        if not path.exists():
            options = limpet.Options(backends=backends, features=("report",))
            limpet.build(limpet.plan(guest, options)).write(path)
        return path

    return get


def test_counts(counted: Any, backend: Backend) -> None:
    """Hypercalls by kind, and bytes: what came in and what went out, on both descriptors."""
    done = limpet.run(counted(backend), stdin=b"x" * 250)
    assert (len(done.stdout), len(done.stderr)) == (50 + 25, 50)
    assert (done.bytes_in, done.bytes_out) == (250, 125)
    assert done.counted_by == {"kvm": "monitor", "process": "guest"}[backend]
    assert done.hypercalls == {"console_in": 3, "console_out": 3, "exit": 1}


def test_a_bundle_in_this_folder(counted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path without a slash is one, and no command."""
    path = counted("process")
    monkeypatch.chdir(path.parent)
    assert limpet.run(Path(path.name)).reason == "exit"


ALL_ONES = (1 << 64) - 1


@pytest.mark.parametrize("backends", [("process",), ("kvm",), ("kvm", "process")], ids="-".join)
def test_a_guest_lies(counted: Any, backends: tuple[Backend, ...]) -> None:
    """It can change numbers that it counted itself, which the report says; never its monitor's."""
    both = limpet.run(counted(*backends), [hex(COUNTS_AT)], stdin=b"x" * 250)
    assert both.status == 139 and both.bytes_in == 250
    own = limpet.run(counted(*backends), [hex(GUEST_COUNTS_AT)], stdin=b"x" * 250)
    if "kvm" in backends:
        assert (own.status, own.bytes_in, own.counted_by) == (139, 250, "monitor")
        return
    assert (own.status, own.counted_by, own.bytes_in) == (0, "guest", ALL_ONES)
    assert own.hypercalls and own.hypercalls["console_in"] == ALL_ONES
    assert both.counted_by == "guest"


ASKS_NAMES = r"""
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
    char c;
    connect(socket(AF_INET, SOCK_STREAM, 0), 0, 0);
    write(1, "up\n", 3);
    return read(0, &c, 1) != 1;
}
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks into a monitor")
def test_who_is_beside_a_guest_cannot_count(make: Maker, tmp_path: Path, backend: Backend) -> None:
    """A broker, which a guest may have broken, does not have the page of its monitor."""
    path, guest = tmp_path / "bundle", limpet.load(make.compile(ASKS_NAMES, "asks_names"))
    options = limpet.Options(backends=(backend,), features=("report",), connect=("a.example:1",))
    limpet.build(limpet.plan(guest, options)).write(path)
    argv: list[str | Path] = [path, f"--report={tmp_path / 'report'}"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout and process.stdout.readline() == b"up\n"
        (monitor,) = _children(process.pid)
        (broker,) = _children(monitor)
        assert _has(monitor, COUNTS_AT) == (backend == "kvm")
        assert not _has(broker, COUNTS_AT)
        process.stdin.close()


def _children(pid: int) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


def _has(pid: int, address: int) -> bool:
    return f"\n{address:x}-" in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize("target", [pytest.param("hvt", marks=pytest.mark.kvm), "spt"])
def test_counts_of_a_unikernel(tmp_path: Path, target: str) -> None:
    """The monitor of hvt counts; of spt, which calls the host's kernel by itself, that one does."""
    plain = limpet.load(unikernels.build(tmp_path, target, devices=False))
    bundle, report = tmp_path / "bundle", tmp_path / "report"
    limpet.build(limpet.plan(plain, limpet.Options(features=("report",)))).write(bundle)
    status, said, found = _ended(bundle, report, "world")
    assert (status, said) == (0, "hello world\n")
    assert (found["bytes_in"], found["bytes_out"]) == (0, len(said))
    kinds = {"hvt": {"hvt_puts": 3, "hvt_halt": 1}, "spt": {"reads": 0, "writes": 3}}
    assert (found["counted_by"], found["hypercalls"]) == (
        {"hvt": "monitor", "spt": "kernel"}[target],
        kinds[target],
    )


def _spinning(works: Any, report: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [works("process"), f"--report={report}", "spin"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout and parent.stdout.readline() == "2 spin\n"
        yield parent
        parent.kill()


def test_a_signal_is_the_guests(works: Any, tmp_path: Path) -> None:
    """What is sent to the bundle reaches the guest, and the report says so."""
    for parent in _spinning(works, tmp_path / "report"):
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(30) == 128 + signal.SIGTERM
        found = json.loads((tmp_path / "report").read_bytes())
        assert (found["status"], found["reason"], found["signal"]) == (143, "signal", 15)


def test_no_guest_without_its_parent(works: Any, tmp_path: Path) -> None:
    """A parent that is killed takes the guest with it: there is no report then."""
    for parent in _spinning(works, tmp_path / "report"):
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        (child,) = children
        parent.kill()
        parent.wait(30)
        for _ in range(200):
            if not Path("/proc", child).exists():
                break
            time.sleep(0.02)
        assert not Path("/proc", child).exists()
    assert not os.listdir(tmp_path)


def test_links_are_not_followed(works: Any, tmp_path: Path) -> None:
    """A link with the report's name is replaced; what it led to stays."""
    victim, report = tmp_path / "victim", tmp_path / "report"
    victim.write_text("precious")
    report.symlink_to(victim)
    assert _ended(works("process"), report)[2]["status"] == 5
    assert victim.read_text() == "precious" and not report.is_symlink()


def test_whole_or_not_at_all(works: Any, tmp_path: Path) -> None:
    """No room, no folder, a folder with that name: an error, and nothing is left there."""
    (tmp_path / "taken").mkdir()
    for report in (tmp_path / "none" / "report", tmp_path / "taken"):
        argv = [works("process"), f"--report={report}"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert "the report of the guest's end cannot be written" in done.stderr
        assert done.returncode == 125
    assert os.listdir(tmp_path) == ["taken"]
    if os.geteuid():
        pytest.skip("only root can mount a file system without room")
    full = tmp_path / "taken"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", full], check=True)
    try:
        (full / "filler").write_bytes(bytes(4096))
        assert _ended(works("process"), full / "r")[0] == 125
        assert os.listdir(full) == ["filler"]
    finally:
        subprocess.run(["umount", full], check=True)


def test_words(works: Any, tmp_path: Path) -> None:
    """A bundle that has the feature wants the word, and a name in it."""
    for words in ((), ("x", "--report=r"), ("--report=",), (f"--report={'x' * 5000}",)):
        done = subprocess.run(
            [works("process"), *words], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert (done.stderr, done.returncode) == (f"limpet: {WORD}\n", 125)
    assert not os.listdir(tmp_path)


def test_without(make: Maker, tmp_path: Path) -> None:
    """A bundle that was not asked for it has nothing of it: the word is the program's."""
    options = limpet.Options(backends=("process",))
    plan = limpet.plan(limpet.load(make.compile(WORKS, "works")), options)
    assert "report" not in "".join(plan.sources.values())
    done = limpet.run(limpet.build(plan), ["--report=x"])
    assert done.stdout == b"2 --report=x\n"
    assert (done.status, done.bytes_out, done.bytes_in) == (5, len(done.stdout), 0)
    assert done.reason is None and done.peak_memory is None
    asked = limpet.plan(plan.guest, replace(options, features=("report",)))
    done = limpet.run(limpet.build(asked), ["a"], stdin=b"123")
    assert (done.stdout, done.status, done.reason, done.bytes_in) == (b"2 a\n", 5, "exit", 0)
    assert done.peak_memory and done.peak_memory >= 20 << 20
    assert (done.bytes_out, done.counted_by) == (4, "guest")
    assert done.hypercalls and done.hypercalls["console_out"] == 2  # text, line end


def test_run(make: Maker, tmp_path: Path) -> None:
    """``limpet run --report``, and audit that shows what it adds."""
    program, report = make.compile(WORKS, "works"), tmp_path / "report"
    limpet_: list[str | Path] = [sys.executable, "-m", "limpet", "-q"]
    run: list[str | Path] = [
        *limpet_,
        "run",
        "--backend",
        "process",
        "--report",
        report,
        program,
        "a",
    ]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("2 a\n", "", 5)
    assert json.loads(report.read_bytes())["status"] == 5
    build: list[str | Path] = [
        *limpet_,
        "build",
        "--backend",
        "process",
        "--feature",
        "report",
        program,
    ]
    subprocess.run([*build, "-o", tmp_path / "bundle"], check=True)
    audit = subprocess.run(
        [*limpet_, "audit", tmp_path / "bundle"], capture_output=True, text=True, check=False
    )
    assert "\nrecord    agrees with the bytes\n" in audit.stdout
    assert " rename, before the filter\n" in audit.stdout
    assert "\n  what the command line names\n" in audit.stdout
    lacking = audit.stdout.partition("\nabsent")[2]
    assert "\n  no memory shared with a parent" in lacking
    assert audit.returncode == 0


WAITS = r"""
#include <unistd.h>
int main(void) {
    char got[9];
    return read(0, got, 9) + write(1, "end", 3);
}
"""


@pytest.mark.parametrize("backend", ["kvm", "process"])
def test_of_a_snapshot(make: Maker, tmp_path: Path, backend: Backend) -> None:
    options = limpet.Options(backends=(backend,), features=("report",), snapshot=True)
    plan = limpet.plan(limpet.load(make.compile(WAITS, "waits")), options)
    snapshot(plan).bundle.write(tmp_path / "moment")
    words: list[str | Path] = [tmp_path / "moment", f"--report={tmp_path / 'end'}"]
    assert subprocess.run(words, input=b"four", capture_output=True, check=False).returncode == 7
    said = json.loads((tmp_path / "end").read_bytes())
    assert (said["status"], said["bytes_in"], said["bytes_out"]) == (7, 4, 3)
    assert not list(tmp_path.glob("end.*"))
