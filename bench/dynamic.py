"""Dynamic programs, of this host's own compiler: start, calls from libc.so, threads, memory.

Baselines are the same files on Linux; threads are held to one processor there, as they are here.
What a program times itself is the least of a few turns, one way to run it after the other: what
other tenants of the machine do only ever adds time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.calls import NAMES
from bench.memory import idle_of
from bench.rows import HELLO, HERE, Row, backends, bundle
from bench.start import times_of

TURNS = 9
MOST = {"process": 1.3, "kvm": 4.0}
MOST_IDLE = {"process": 0.6, "kvm": 3.5}
THREADS = {"uncontended mutex": 1.1, "turn of two threads": 1}
"""The first is the same code of the C library on both sides, so noise alone."""


def _compiled(source: Path, folder: Path) -> Path:
    path = folder / f"{source.stem}-dynamic"
    argv = ["gcc", "-O2", "-w", "-pthread", "-o", str(path), str(source)]
    subprocess.run(argv, check=True)
    return path


def _numbers(commands: Mapping[str, Sequence[str | Path]]) -> Mapping[str, list[float]]:
    """The least of each number that a program prints, held to one processor."""
    one = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    turns: dict[str, list[list[float]]] = {name: [] for name in commands}
    for _ in range(TURNS):
        for name, argv in commands.items():
            said = subprocess.run([*one, *argv], capture_output=True, check=True).stdout
            turns[name].append([float(each) for each in said.split()])
    return {name: [*map(min, zip(*each, strict=True))] for name, each in turns.items()}


def _calls(folder: Path) -> list[Row]:
    program = _compiled(HERE / "c" / "calls.c", folder)
    data = folder / "data"
    data.write_bytes(bytes(range(256)) * 64)
    commands: dict[str, Sequence[str | Path]] = {"native": [program, data]}
    for each in backends():
        commands[each] = [bundle(program, each, folder, data=data), "/data"]
    found = _numbers(commands)
    return [
        Row(f"{name} from libc.so, {backend}", mine, theirs, 0.2, "ns")
        for backend in backends()
        for name, mine, theirs in zip(NAMES, found[backend], found["native"], strict=True)
    ]


def _threads(folder: Path) -> list[Row]:
    program = _compiled(HERE / "c" / "threads.c", folder)
    commands: dict[str, Sequence[str | Path]] = {"native": [program]}
    for each in backends():
        commands[each] = [bundle(program, each, folder)]
    found = _numbers(commands)
    return [
        Row(f"{name}, {backend}", mine, theirs, THREADS[name], "ns")
        for backend in backends()
        for name, mine, theirs in zip(THREADS, found[backend], found["native"], strict=True)
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
