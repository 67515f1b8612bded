"""On which processors the threads of a virtual machine's process are."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.bundles import Maker

WAITS = """
#include <stdio.h>
#include <unistd.h>

int main(void) {
    write(1, "ready\\n", 6);
    return getchar() != EOF;
}
"""


def processors(thread: Path) -> str:
    """The ones that it may run on, as the host says it."""
    lines = (thread / "status").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("Cpus_allowed_list"))


@pytest.mark.kvm
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor")
def test_the_thread_of_kvm(make: Maker) -> None:
    """KVM's own thread stays where it was made; the guest may be on all that its starter may."""
    bundle = make(make.compile(WAITS, "says_ready"), "kvm").path
    pipe = subprocess.PIPE
    with subprocess.Popen([bundle], stdin=pipe, stdout=pipe) as running:
        assert running.stdin and running.stdout and running.stdout.readline() == b"ready\n"
        threads = {int(each.name): each for each in Path(f"/proc/{running.pid}/task").iterdir()}
        where = {number: processors(each) for number, each in threads.items()}
        running.stdin.close()
        assert running.wait(10) == 0
    assert where.pop(running.pid) == processors(Path("/proc/thread-self"))
    assert all(text.split(":\t")[1].isdecimal() for text in where.values())
