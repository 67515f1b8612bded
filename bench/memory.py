"""Memory of one idle instance that it shares with no other, its guest's pages included.

With a memory control group (v1) at hand that is everything charged to twelve instances, kernel
structures and page tables too, by twelve; without, the private pages of one.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.rows import Row, backends, bundle, program

GROUP = Path("/sys/fs/cgroup/memory/limpet-bench")
FIRST, MORE = 4, 12
MOST = {"process": 0.5, "kvm": 1.5}


@contextmanager
def _group() -> Iterator[Path | None]:
    try:
        GROUP.mkdir()
    except OSError:
        print("*** no memory control group: only private pages are counted ***")
        yield None
        return
    try:
        yield GROUP
    finally:
        GROUP.rmdir()


def _start(path: Path, group: Path | None) -> subprocess.Popen[bytes]:
    join = f"echo $$ > {group}/cgroup.procs; " if group else ""
    argv = ["sh", "-c", f'{join}exec "$0"', str(path)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE)


def _private(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private")) / 1024


def idle_of(path: Path) -> float:
    """MiB of one instance."""
    with _group() as group:
        running = []
        try:
            running = [_start(path, group) for _ in range(FIRST)]
            time.sleep(0.5)
            before = int((group / "memory.usage_in_bytes").read_text()) if group else 0
            running += [_start(path, group) for _ in range(MORE)]
            time.sleep(0.5)
            if not group:
                return _private(running[-1].pid)
            after = int((group / "memory.usage_in_bytes").read_text())
            return (after - before) / MORE / (1 << 20)
        finally:
            for each in running:
                each.kill()
                each.wait()
                assert each.stdin
                each.stdin.close()
            os.sync()


def rows(folder: Path) -> list[Row]:
    """One idle instance on each backend."""
    idle = program("idle", folder)
    return [
        Row(f"idle, {each}", idle_of(bundle(idle, each, folder)), None, MOST[each], "MiB")
        for each in backends()
    ]
