"""Work without system calls, timed by the guest itself.

The fastest of 15 turns, the same binary natively in between: what other tenants of the machine do
only ever adds time.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.rows import Row, backends, bundle, program

TURNS = 15
NAMES = ("computing", "sweeping 64 MiB", "chasing through 64 MiB", "first touch of 64 MiB")
MOST = (1.02, 1.02, 1.02, 1.5)


def _once(path: Path) -> list[float]:
    done = subprocess.run([path], capture_output=True, text=True, check=True)
    return [float(word) / 1e6 for word in done.stdout.split()]


def rows(folder: Path) -> list[Row]:
    """Each kind of work on each backend."""
    native = program("work", folder)
    paths = {"native": native}
    paths |= {each: bundle(native, each, folder, memory=128 << 20) for each in backends()}
    turns = [{name: _once(path) for name, path in paths.items()} for _ in range(TURNS)]
    best = {
        name: [min(times) for times in zip(*(t[name] for t in turns), strict=True)]
        for name in paths
    }
    return [
        Row(f"{name}, {backend}", best[backend][index], best["native"][index], most, "ms")
        for backend in backends()
        for index, (name, most) in enumerate(zip(NAMES, MOST, strict=True))
    ]
