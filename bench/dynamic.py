"""Dynamic programs, of this host's own compiler: start, calls from libc.so, threads, memory.

Baselines are the same files on Linux; threads are held to one processor there, as they are here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from statistics import median

from bench.calls import NAMES
from bench.memory import idle_of
from bench.rows import HELLO, HERE, Row, backends, bundle
from bench.start import times_of

TURNS = 5
MOST = {"process": 1.3, "kvm": 4.0}
MOST_IDLE = {"process": 0.6, "kvm": 3.5}
THREADS = {"uncontended mutex": 1.1, "turn of two threads": 1}
"""The first is the same code of the C library on both sides, so noise alone."""


def _compiled(source: Path, folder: Path) -> Path:
    path = folder / f"{source.stem}-dynamic"
    argv = ["gcc", "-O2", "-w", "-pthread", "-o", str(path), str(source)]
    subprocess.run(argv, check=True)
    return path


def _numbers(path: Path, *arguments: str) -> list[float]:
    """The medians of what a program prints, held to one processor."""
    one = str(min(os.sched_getaffinity(0)))
    argv = ["taskset", "-c", one, str(path), *arguments]
    turns = [subprocess.run(argv, capture_output=True, check=True).stdout for _ in range(TURNS)]
    return [
        median(column) for column in zip(*([*map(float, t.split())] for t in turns), strict=True)
    ]


def _calls(folder: Path) -> list[Row]:
    program = _compiled(HERE / "c" / "calls.c", folder)
    data = folder / "data"
    data.write_bytes(bytes(range(256)) * 64)
    baseline = _numbers(program, str(data))
    return [
        Row(f"{name} from libc.so, {backend}", mine, theirs, 0.2, "ns")
        for backend in backends()
        for name, mine, theirs in zip(
            NAMES,
            _numbers(bundle(program, backend, folder, data=data), "/data"),
            baseline,
            strict=True,
        )
    ]


def _threads(folder: Path) -> list[Row]:
    program = _compiled(HERE / "c" / "threads.c", folder)
    baseline = _numbers(program)
    return [
        Row(f"{name}, {backend}", mine, theirs, THREADS[name], "ns")
        for backend in backends()
        for name, mine, theirs in zip(
            THREADS, _numbers(bundle(program, backend, folder)), baseline, strict=True
        )
    ]


def rows(folder: Path) -> list[Row]:
    """Each of them on each backend."""
    if not shutil.which("gcc"):
        print("*** no gcc here: no rows of dynamic programs ***")
        return []
    hello, idle = (_compiled(each, folder) for each in (HELLO, HERE / "c" / "idle.c"))
    bundles = {each: bundle(hello, each, folder) for each in backends()}
    commands: dict[str, list[str | Path]] = {"native": [hello]}
    times = times_of(folder, commands | {name: [path] for name, path in bundles.items()})
    found = [
        Row(f"dynamic hello, {each}", times[each], times["native"], MOST[each], "us")
        for each in backends()
    ]
    found += [*_calls(folder), *_threads(folder)]
    return found + [
        Row(
            f"idle, dynamic, {each}",
            idle_of(bundle(idle, each, folder)),
            None,
            MOST_IDLE[each],
            "MiB",
        )
        for each in backends()
    ]
