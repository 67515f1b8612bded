"""One, a hundred and a thousand idle instances of busybox that wait for input, on each backend.

Start is from the spawn until the instance has written a line, beside the same of what the host's
kernel costs alone: the program itself, or a virtual machine that does nothing.  Memory of one
instance is what the host has less (``MemAvailable``) by their number, and the proportional set
size.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.rows import Row, backends, bundle, program

BUSYBOX = Path("/bin/busybox")
COUNTS = (1, 100, 1000)
WORDS = ["sh", "-c", "echo; read line"]
MOST = {"kvm": 1.2, "process": 0.5}
"""MiB of one instance among a thousand."""

_EDGE = 20
"""How many of the first and of the last starts a figure is the least of: the rest is other work."""


@dataclass(frozen=True)
class _Seen:
    """Milliseconds of the first and the last starts and of an end, and MiB of an instance."""

    first: float
    last: float
    end: float
    available: float
    proportional: float


def _available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1])
    raise AssertionError("the host says what memory is available")


def _proportional(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _started(
    argv: Sequence[str | Path], running: ExitStack
) -> tuple[subprocess.Popen[bytes], float]:
    before = time.perf_counter()
    made = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    running.enter_context(made)
    running.callback(made.kill)
    assert made.stdout and made.stdout.read(1) == b"\n", argv
    return made, time.perf_counter() - before


def _ended(made: subprocess.Popen[bytes]) -> float:
    assert made.stdin
    before = time.perf_counter()
    made.stdin.close()
    made.wait()
    return time.perf_counter() - before


def idle(argv: Sequence[str | Path], count: int) -> _Seen:
    """So many at a time."""
    with ExitStack() as running:
        os.sync()
        before = _available()
        made, took = zip(*(_started(argv, running) for _ in range(count)), strict=True)
        time.sleep(0.5)
        available = (before - _available()) / 1024 / count
        sample = [_proportional(each.pid) for each in made[:: max(1, count // _EDGE)]]
        ends = [_ended(each) for each in made]
    edge = min(_EDGE, count)
    first, last, end = (each * 1000 for each in (min(took[:edge]), min(took[-edge:]), median(ends)))
    return _Seen(first, last, end, available, median(sample))


def _rows(backend: str, count: int, mine: _Seen, least: _Seen) -> Iterator[Row]:
    name = f"{count} of busybox, {backend}:"
    yield Row(f"{name} the first's start", mine.first, least.first, 3, "ms")
    yield Row(f"{name} an end", mine.end, least.end, 3, "ms")
    if count > 1:
        yield Row(f"{name} the last's start beside the first's", mine.last, mine.first, 2, "ms")
        yield Row(f"{name} the host's memory", mine.available, None, MOST[backend], "MiB")
        yield Row(f"{name} PSS", mine.proportional, None, MOST[backend], "MiB")
        print(
            f"{count} of the least, {backend}: start {least.first:.2f} ms, of the last "
            f"{least.last:.2f} ms; {least.available:.2f} MiB of the host's, PSS "
            f"{least.proportional:.2f} MiB"
        )


def rows(folder: Path) -> list[Row]:
    """Each backend, beside what the kernel itself costs."""
    if not BUSYBOX.exists():
        print(f"*** {BUSYBOX} is not installed: no rows ***")
        return []
    found: list[Row] = []
    for backend in backends():
        ours: list[str | Path] = [bundle(BUSYBOX, backend, folder), *WORDS]
        alone: list[str | Path] = [BUSYBOX, *WORDS]
        if backend == "kvm":
            alone = [program("idle_kvm", folder)]
        for count in COUNTS:
            found += _rows(backend, count, idle(ours, count), idle(alone, count))
    return found
