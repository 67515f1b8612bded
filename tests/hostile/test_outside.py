"""What the host sees of a bundle, and what a bundle does on a host that refuses to help.

A guest's own view cannot show these: the library OS answers it before the host is asked.
"""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from tests.hostile.guest import Hostile
from tests.support.bundles import Maker
from tests.support.refusing import refusing

LEFT_OPEN = (3, 4, 5, 6, 17, 18, 19, 100, 127, 128, 200, 299, 300, 301, 900)
"""Descriptors of the starter's: fixed ones of a monitor, those of devices, and far ones."""


@pytest.fixture
def hostile(make: Maker, backend: Backend) -> Hostile:
    """All attacks in one program, on each backend."""
    return Hostile(make, backend)


@pytest.fixture
def with_disk(make: Maker, backend: Backend, tmp_path: Path) -> Hostile:
    """With a disk."""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(4096))
    return Hostile(make, backend, ("block:data",), (f"--block:data={disk}",))


@pytest.fixture
def left_open(tmp_path: Path) -> Iterator[Path]:
    """A file that is open under each of :data:`LEFT_OPEN` in what a test starts."""
    path = tmp_path / "secret"
    path.write_bytes(b"secret")
    yield path


def opened(hostile: Hostile, secret: Path) -> dict[int, str]:
    """The descriptors of a bundle while its guest runs, and what they are."""
    handle = os.open(secret, os.O_RDWR | os.O_CLOEXEC)
    high = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, 1000)
    os.close(handle)

    def leave_open() -> None:
        for number in LEFT_OPEN:
            os.dup2(high, number)

    command = [str(hostile.made().path), *hostile.words, "ready"]
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            close_fds=False,
            preexec_fn=leave_open,  # noqa: PLW1509  no other threads here
        ) as running:
            assert running.stdin and running.stdout
            assert running.stdout.readline() == b"ready\n"
            folder = Path(f"/proc/{running.pid}/fd")
            found = {int(each.name): os.readlink(each) for each in folder.iterdir()}
            running.stdin.close()
            assert running.wait(10) == 0
    finally:
        os.close(high)
    return found


def test_descriptors_of_the_starter(hostile: Hostile, left_open: Path) -> None:
    """Whatever the starter left open, near or far: while the guest runs it is not there."""
    found = opened(hostile, left_open)
    own = {0, 1, 2, 5} if hostile.backend == "kvm" else {0, 1, 2}
    assert (set(found), str(left_open) in found.values()) == (own, False), found


def test_descriptors_beside_devices(with_disk: Hostile, left_open: Path) -> None:
    """With a disk, whose descriptor is 17, there is no other."""
    found = opened(with_disk, left_open)
    own = {0, 1, 2, 5, 17} if with_disk.backend == "kvm" else {0, 1, 2, 17}
    assert (set(found), str(left_open) in found.values()) == (own, False), found


def test_parent_that_counts_is_gone(hostile: Hostile) -> None:
    """Under --max-output the guest ends with its parent, also one that writes nothing more."""
    command = [str(hostile.made(max_output=1 << 20).path), "ready"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin and running.stdout
        assert running.stdout.readline() == b"ready\n"
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text()
        (child,) = children.split()
        running.kill()
        running.wait(10)
        assert any(_gone(int(child)) for _ in range(100)), "the guest lives on"


def _gone(pid: int) -> bool:
    time.sleep(0.05)
    return not Path(f"/proc/{pid}").exists()


def test_host_that_refuses_no_new_privileges(hostile: Hostile) -> None:
    """No guest runs where it could gain privileges; test_no_filter.py has that of the filter."""
    done = subprocess.run(
        [hostile.made().path, "ready"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        preexec_fn=refusing(NUMBERS["prctl"], errno.EPERM),
        check=False,
    )
    assert (done.returncode, done.stdout) == (125, b""), done
    assert b"limpet: the host refuses" in done.stderr


def test_host_that_refuses_a_read_only_table(with_disk: Hostile) -> None:
    """No guest runs where the table of devices could be written."""
    done = subprocess.run(
        [with_disk.made().path, *with_disk.words, "ready"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        preexec_fn=refusing(NUMBERS["mprotect"], errno.ENOMEM),
        check=False,
    )
    assert (done.returncode, done.stdout) == (125, b""), done
    assert done.stderr == b"limpet: the host refuses to protect the table of devices\n"
