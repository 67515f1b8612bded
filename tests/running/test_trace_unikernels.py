"""``limpet trace`` of unikernels: what they ask of their monitor, or of the host."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import limpet
from tests.support import network, unikernels
from tests.support.solo5 import with_devices

TARGETS = [pytest.param("hvt", marks=pytest.mark.kvm), "spt"]


@pytest.fixture(scope="module", params=TARGETS)
def kernel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A unikernel of each kind."""
    return unikernels.build(tmp_path_factory.mktemp("kernels"), request.param)


def _traced(*words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "limpet", "-q", "trace", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def test_lines(kernel: Path) -> None:
    """Each call with what it names; the guest runs as ever, and ends with its own status."""
    done = _traced(kernel, "exit7")
    assert (done.returncode, done.stdout) == (7, "hello exit7\n")
    *lines, last = done.stderr.splitlines()
    assert last == "+++ exited with 7 +++"
    if kernel.suffix == ".hvt":
        put, end = r'hvt_puts\(data="exit7", len=5\) = 0', r"hvt_halt\(.*exit_status=7\) = \?"
    else:
        put, end = r'write\(1, "exit7", 5\) = 5', r"exit_group\(7\) = \?"
    assert any(re.match(rf" +\d+\.\d{{6}} {put} <\d+\.\d{{6}}>", each) for each in lines)
    assert re.match(rf" +\d+\.\d{{6}} {end}", lines[-1])
    assert all(each.isascii() and each.isprintable() for each in lines)


def test_json(kernel: Path) -> None:
    """Calls in their order, none of them served inside; one sleeps."""
    done = _traced("--json", kernel, "sleep")
    found = [json.loads(each) for each in done.stderr.splitlines()]
    assert {"hvt_poll", "epoll_pwait"} & {each["call"] for each in found}
    assert [each["at"] for each in found] == sorted(each["at"] for each in found)
    assert not any(each["inside"] for each in found)


def test_its_bundle(kernel: Path, tmp_path: Path) -> None:
    """A bundle of it has nothing that tells, and is traced as it is."""
    bundle = tmp_path / "bundle"
    limpet.build(limpet.plan(limpet.load(kernel))).write(bundle)
    done = _traced("-c", bundle, "--", "exit7")
    assert (done.returncode, done.stdout) == (7, "hello exit7\n")
    name = "hvt_puts" if kernel.suffix == ".hvt" else "write"
    (row,) = (each.split() for each in done.stderr.splitlines() if each.endswith(f" {name}"))
    assert row[3:] == ["3", "0", name]


@pytest.mark.kvm
def test_frames(tmp_path: Path, tap: network.Tap) -> None:
    """Frames that the shim gathers are told too; one exit is enough for many."""
    guest = unikernels.build(tmp_path, "hvt", devices=True)
    bundle, disk = tmp_path / "bundle", tmp_path / "disk"
    limpet.build(limpet.plan(limpet.load(guest))).write(bundle)
    disk.write_bytes(bytes(4096))
    for _ in range(20):  # the time that frames may wait can be over before the guest goes on
        done = _traced("--json", *with_devices(bundle, disk, tap), "send 30")
        found = [json.loads(each) for each in done.stderr.splitlines()]
        sent = [each for each in found if each["call"] == "hvt_net_write"]
        assert len(sent) == 30
        assert "len=60" in str(sent[-1])
        if any(each["inside"] for each in sent):
            return
    raise AssertionError("no frame was gathered")


def test_only_some_calls(kernel: Path) -> None:
    """``-e`` shows those that it names, or all others."""
    end = "hvt_halt" if kernel.suffix == ".hvt" else "exit_group"
    only = _traced("-e", f"{end},sysinfo", kernel, "x").stderr.splitlines()
    assert [f"{end}(" in each for each in only] == [True, False]
    others = _traced("-e", f"!{end}", kernel, "x").stderr.splitlines()
    assert len(others) > 2 and not any(f"{end}(" in each for each in others)
    for text in ("sysinfos", "!sysinfos", "read,sysinfos"):
        done = _traced("-e", text, kernel, "x")
        assert done.stderr.splitlines()[0] == f"limpet: -e {text}: there is no call 'sysinfos'"
        assert (done.returncode, done.stdout) == (125, "")
