"""What a bundle does when its parent is gone, and on a host that refuses to help."""

from __future__ import annotations

import errno
import subprocess
import time
from pathlib import Path

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from tests.hostile.guest import Hostile
from tests.support.bundles import Maker
from tests.support.refusing import refusing


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
