"""Block devices of Linux programs beside a plain ``pread`` of the same file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import limpet
from bench.rows import Row, backends, program

TURNS = 5
DISK_MIB = 256
MOST = {"process": 1.4, "kvm": 40}
"""The filter is a fifth of a short read; kvm pays for an exit with each, dear on a nested host."""


def rows(folder: Path) -> list[Row]:
    """4 KiB at random and 1 MiB in order, on each backend."""
    disk = folder / "disk"
    disk.write_bytes(os.urandom(1 << 20) * DISK_MIB)  # more than caches hold
    plain = program("pread", folder)
    found = []
    for backend in backends():
        options = limpet.Options(backends=(backend,), devices=("block:data",))
        path = folder / f"pread.{backend}"
        limpet.build(limpet.plan(limpet.load(plain), options)).write(path)
        for how, size in (("random", 4 << 10), ("sequential", 1 << 20)):
            ours: list[str | Path] = [path, f"--block:data={disk}", how, "/dev/data", str(size)]
            theirs: list[str | Path] = [plain, how, disk, str(size)]
            best = [min(_number(argv) for _ in range(TURNS)) for argv in (ours, theirs)]
            name = f"block, {how} {size >> 10} KiB, {backend}"
            found.append(Row(name, best[0], best[1], MOST[backend], "ns"))
    return found


def _number(argv: list[str | Path]) -> float:
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])
