"""--timeout, --max-output, signals from outside, and streams that close or fill up."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support.bundles import BUSYBOX, Made, Maker, need

pytestmark = pytest.mark.slow

SPIN = "while :; do :; done"


@pytest.fixture
def busybox(make: Maker, backend: Backend) -> Made:
    """Busybox without a tree."""
    return make(need(BUSYBOX, "busybox-static"), backend, name="busybox")


@pytest.mark.parametrize("command", [["sh", "-c", SPIN], ["sleep", "60"], ["cat"]])
def test_timeout(make: Maker, backend: Backend, command: list[str]) -> None:
    """A busy loop, a sleep and a wait for input all end in time, with their own status."""
    guest = make(need(BUSYBOX, "busybox-static"), backend, name="busybox", timeout=300)
    reading, writing = os.pipe()
    started = time.monotonic()
    done = subprocess.run(
        ["busybox", *command],
        executable=guest.path,
        stdin=reading,
        capture_output=True,
        timeout=20,
        check=False,
    )
    os.close(reading)
    os.close(writing)
    assert done.returncode == 124
    assert done.stderr == b"limpet: the guest ran longer than its --timeout\n"
    assert 0.25 < time.monotonic() - started < 10


@pytest.mark.kvm
def test_processor_time_of_the_host(make: Maker) -> None:
    """The limit of whoever starts it counts what the guest computes, in a virtual machine too."""
    guest = make(need(BUSYBOX, "busybox-static"), "kvm", name="busybox")
    done = subprocess.run(
        ["busybox", "sh", "-c", SPIN],
        executable=guest.path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (1, 1)),
        timeout=60,
        check=False,
    )
    assert -done.returncode in (signal.SIGKILL, signal.SIGXCPU)


def test_max_output(make: Maker, backend: Backend) -> None:
    """Not one byte more than allowed gets out, and below the limit nothing changes."""
    path = need(BUSYBOX, "busybox-static")
    guest = make(path, backend, name="busybox", max_output=1000)
    ran = guest.run("yes")
    assert (len(ran.stdout), ran.status) == (1000, 123)
    assert ran.stderr == b"limpet: the guest wrote more than its --max-output\n"
    ran = guest.run("sh", "-c", "echo fine; exit 7")
    assert (ran.stdout, ran.stderr, ran.status) == (b"fine\n", b"", 7)
    assert guest.run("sh", "-c", "kill -9 $$").status == 137
    done = subprocess.run(
        ["busybox", "sh", "-c", "exit 7"],
        executable=guest.path,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        check=False,
    )
    assert done.returncode == 7


OPENS = "#include <fcntl.h>\nint main(int n, char **a) { return n + (open(a[0], 0) > 99); }\n"


def test_max_output_with_a_network(make: Maker, backend: Backend) -> None:
    """A network that is a descriptor of the starter's is still there in the child."""
    program = make.compile(OPENS, "opens")
    guest = make(program, backend, name="opens", devices=("net:wire",), max_output=1000)
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine, theirs:
        done = subprocess.run(
            ["opens", f"--net:wire=@{theirs.fileno()}", "--", "one", "two"],
            executable=guest.path,
            pass_fds=[theirs.fileno()],
            capture_output=True,
            timeout=20,
            check=False,
        )
    assert (done.returncode, done.stderr) == (3, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it(busybox: Made, number: signal.Signals) -> None:
    """A signal from outside ends the whole bundle at once."""
    before = signal.signal(number, lambda *_: None)  # exec resets it, even where `&` ignored it
    process = subprocess.Popen(
        ["busybox", "sh", "-c", f"echo up; {SPIN}"],
        executable=busybox.path,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout and process.stdout.readline() == b"up\n"
        process.send_signal(number)
        assert process.wait(10) == -number
        process.stdout.close()
    finally:
        process.kill()
        signal.signal(number, before)


def test_closed_output_ends_it(busybox: Made) -> None:
    """A reader that goes away ends the writer."""
    process = subprocess.Popen(
        ["busybox", "yes"], executable=busybox.path, stdout=subprocess.PIPE, restore_signals=True
    )
    assert process.stdout and process.stdout.read(2) == b"y\n"
    process.stdout.close()
    assert process.wait(10) in (128 + signal.SIGPIPE, 1)


def test_full_disk_is_reported(busybox: Made) -> None:
    """ENOSPC reaches the program, which reports it."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            ["busybox", "echo", "hi"],
            executable=busybox.path,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr


def test_overlay_full(make: Maker, backend: Backend) -> None:
    """A guest that fills its memory with files gets ENOSPC, not more memory."""
    guest = make(need(BUSYBOX, "busybox-static"), backend, name="busybox", memory=16 << 20)
    ran = guest.run("dd", "if=/dev/zero", "of=/tmp/big", "bs=1M", "count=100")
    assert ran.status == 1
    assert b"No space left on device" in ran.stderr


def test_environment_is_empty_unless_given(make: Maker, backend: Backend) -> None:
    """Only what --env names gets in."""
    path = need(BUSYBOX, "busybox-static")
    guest = make(path, backend, name="busybox", environment=("A=1", "PASSED"))
    done = subprocess.run(
        ["busybox", "env"],
        executable=guest.path,
        env={"SECRET": "x", "PASSED": "2", "PASSEDNOT": "3"},
        capture_output=True,
        check=False,
    )
    assert sorted(done.stdout.split()) == [b"A=1", b"PASSED=2"]
