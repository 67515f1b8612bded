"""System calls: means over 200,000 calls, beside the same binary on Linux."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.rows import Row, backends, bundle, program

NAMES = ("getppid", "lseek", "pread 4 KiB")


def rows(folder: Path) -> list[Row]:
    """Each call on each backend."""
    calls = program("calls", folder)
    data = folder / "data"
    data.write_bytes(bytes(range(256)) * 64)
    baseline = subprocess.run([calls, data], capture_output=True, text=True, check=True)
    found = []
    for backend in backends():
        ours = bundle(calls, backend, folder, data=data)
        done = subprocess.run([ours, "/data"], capture_output=True, text=True, check=True)
        pairs = zip(done.stdout.split(), baseline.stdout.split(), strict=True)
        for name, (mine, theirs) in zip(NAMES, pairs, strict=True):
            found.append(Row(f"{name}, {backend}", float(mine), float(theirs), 0.2, "ns"))
    return found
