"""What the host sees of a bundle while its guest runs, whatever started it."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.contract.limits import DEVICE_FD, EPOLL_FD, STDOUT, TIMER_FD, VCPU_FD
from limpet.errors import CANNOT_START
from limpet.planning.regions import MONITOR_BASE, MONITOR_SIZE
from tests.hostile.guest import JUMPED, READ, Hostile
from tests.support import network, unikernels
from tests.support.bundles import Made, Maker
from tests.support.seen import seen
from tests.support.solo5 import with_devices

KINDS = [
    pytest.param("kvm", marks=pytest.mark.kvm),
    "process",
    pytest.param("kvm with a disk", marks=pytest.mark.kvm),
    "process with a disk",
    pytest.param("hvt", marks=pytest.mark.kvm),
    "spt",
]
OWN: dict[str, set[int]] = {
    "kvm": {VCPU_FD},
    "hvt": {VCPU_FD},
    "process": set(),
    "spt": {EPOLL_FD, TIMER_FD},
}
"""Descriptors behind the standard ones that a guest's monitor keeps."""


@dataclass(frozen=True)
class Subject:
    """A bundle whose guest goes on until it is ended."""

    argv: Sequence[str]
    plan: limpet.Plan
    descriptors: set[int]


@pytest.fixture(params=KINDS)
def subject(make: Maker, tmp_path: Path, request: pytest.FixtureRequest) -> Subject:
    """Each kind of guest, with and without a disk."""
    kind, _, disk = str(request.param).partition(" with ")
    own = {0, 1, 2} | OWN[kind]
    if kind in ("hvt", "spt"):
        plan, bundle = limpet.plan(limpet.load(unikernels.build(tmp_path, kind))), tmp_path / "it"
        limpet.build(plan).write(bundle)
        return Subject((str(bundle), "bad loop"), plan, own)
    backend: Backend = "kvm" if kind == "kvm" else "process"
    hostile = Hostile(make, backend, ("block:data",) if disk else ())
    if not disk:
        return Subject((str(hostile.made().path), "spin", "0"), hostile.plan, own)
    image = tmp_path / "disk"
    image.write_bytes(bytes(4096))
    argv = (str(hostile.made().path), f"--block:data={image}", "--", "spin", "0")
    return Subject(argv, hostile.plan, own | {DEVICE_FD + 1})


def test_descriptors_of_the_parent(subject: Subject) -> None:
    """Those of the plan, whatever the starter left open: low, where devices wait, and beyond."""
    last = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1
    opened = "; ".join(f"exec {fd}</dev/null" for fd in (3, 4, 6, 17, 40, 128, 130, last))
    with seen(["/bin/bash", "-c", f'{opened}; exec "$@"', "bash", *subject.argv]) as found:
        assert found.descriptors == subject.descriptors


HOWS = {
    "as usual": "",
    "compat": "setarch -L",
    "fixed": "setarch -R",
    "fixed compat": "setarch -R -L",
    "endless stack": "ulimit -s unlimited;",
    "huge stack": "ulimit -s 100000000000;",
    "fixed, endless stack": "ulimit -s unlimited; setarch -R",
}
"""What moves the kernel's own mappings: by default above the monitor, else anywhere below it."""


def started(how: str, argv: Sequence[str]) -> list[str]:
    """``argv`` behind that piece of shell, in the same process."""
    before, _, arch = how.rpartition(";")
    return ["/bin/sh", "-c", f'{before or ":"}; exec {arch} "$@"', "sh", *argv]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("subject", ["process", "process with a disk", "spt"], indirect=True)
def test_memory(subject: Subject, how: str) -> None:
    """A process has what the plan maps and nothing else: no vDSO, no stack of the host's."""
    own = [(each.address, each.end) for each in subject.plan.regions]
    own.append((MONITOR_BASE, MONITOR_BASE + MONITOR_SIZE))
    with seen(started(HOWS[how], subject.argv)) as found:
        strange = [
            (hex(low), hex(high))
            for low, high in found.memory
            if not any(first <= low and high <= end for first, end in _joined(own))
        ]
    assert strange == []


def _joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for low, high in sorted(runs):
        start = joined.pop()[0] if joined and joined[-1][1] == low else low
        joined.append((start, high))
    return joined


def test_vdso_where_it_was(make: Maker) -> None:
    """Where a fixed layout has the vDSO and the kernel's clock pages, the guest finds nothing."""
    hostile = Hostile(make, "process")
    how = started(HOWS["fixed compat"], ["/bin/cat", "/proc/self/maps"])
    text = subprocess.run(how, capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in text.splitlines()]
    pages = [int(row[0].split("-")[0], 16) for row in rows if row[-1].startswith(("[vv", "[vd"))]
    assert len(pages) >= 2
    first = 0x2AAAAAAAB000  # where the mappings of a file without a loader start
    for address in (*pages, *range(first, first + 0x8000, 0x1000)):
        for attack, what in (("peek", READ), ("run", JUMPED)):
            argv = started(HOWS["fixed compat"], [str(hostile.made().path), attack, str(address)])
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            assert done.returncode == 139, (address, done)
            assert f"{what} ({address:#x})" in done.stderr, done


def test_page_at_zero(make: Maker) -> None:
    """Who starts it can have the kernel map the first page, and a kernel may keep that there."""
    hostile = Hostile(make, "process")
    argv = ["/usr/bin/setarch", "-Z", str(hostile.made().path), "peek", "0"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    refused = done.returncode == CANNOT_START and "refuses to take rights" in done.stderr
    assert refused or (done.returncode == 139 and f"{READ} (0x0)" in done.stderr), done


CLOSED = list(chain.from_iterable(combinations((0, 1, 2), size) for size in (1, 2, 3)))

WRITES = """
#include <fcntl.h>
#include <unistd.h>
static char many[300000];
int main(void) {
    int told = read(0, many, 1) >= 0;
    for (int fd = 1; fd < 3; fd++)
        told |= (write(fd, many, sizeof many) > 0) << fd;
    return open("/dev/data", O_RDWR) < 0 ? 99 : told;
}
"""
"""The status has a bit for each standard descriptor that can be used."""


def without(
    closed: Sequence[int], argv: Sequence[str | Path]
) -> subprocess.CompletedProcess[bytes]:
    """Run ``argv`` with descriptors closed, those left being ``/dev/null`` and pipes."""
    how = "".join(f"; exec {fd}>&-" for fd in closed)
    shell = ["/bin/sh", "-c", f'exec </dev/null{how}; exec "$@"', "sh", *argv]
    return subprocess.run(shell, capture_output=True, timeout=30, check=False)


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_closed_standard_descriptors(
    make: Maker, backend: Backend, tmp_path: Path, closed: tuple[int, ...]
) -> None:
    """A disk never becomes a standard descriptor; the guest's output is refused, as natively."""
    program = make.compile(WRITES, "writes")
    made: Made = make(program, backend, devices=("block:data",))
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(range(256)) * 16)
    done = without(closed, [made.path, f"--block:data={disk}"])
    assert disk.read_bytes() == bytes(range(256)) * 16
    left = {0, 1, 2} - set(closed)
    assert done.returncode == sum(1 << fd for fd in left), done
    assert len(done.stdout) == (300000 if STDOUT in left else 0)


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_closed_standard_descriptors_of_plain_bundles(
    make: Maker, backend: Backend, closed: tuple[int, ...]
) -> None:
    """They start, end and are told what is closed as on Linux."""
    text = WRITES.replace('open("/dev/data", O_RDWR)', "0")
    program = make.compile(text, "writes_only")
    mine, native = (without(closed, [path]) for path in (make(program, backend).path, program))
    assert (mine.returncode, mine.stdout) == (native.returncode, native.stdout)


@pytest.mark.parametrize("target", [pytest.param("hvt", marks=pytest.mark.kvm), "spt"])
def test_closed_standard_descriptors_of_unikernels(
    tmp_path: Path, tap: network.Tap, target: str
) -> None:
    """The console of a unikernel is not its disk."""
    bundle, disk = tmp_path / "bundle", tmp_path / "disk"
    plan = limpet.plan(limpet.load(unikernels.build(tmp_path, target, devices=True)))
    limpet.build(plan).write(bundle)
    for closed in CLOSED:
        disk.write_bytes(bytes(64 << 10))
        done = without(closed, [*with_devices(bundle, disk, tap), "memory"])
        assert disk.read_bytes() == bytes(64 << 10), closed
        lost = target == "hvt" and STDOUT in closed  # its monitor says so, and ends
        assert done.returncode == (1 if lost else 0), (closed, done)


def test_no_network_on_a_standard_descriptor(make: Maker, backend: Backend) -> None:
    """Where the console is, no frames go."""
    program = make.compile(WRITES, "writes")
    ran = make(program, backend, devices=("net:wire",)).run("--net:wire=@1")
    assert ran.status == 125
    assert b"limpet: @1: not the number of a descriptor behind the standard ones\n" in ran.stderr
