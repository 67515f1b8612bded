"""Start-up: from ``posix_spawn`` to the end of the process.

Host set-up, guest and tear-down are inside.  Medians of 300, all candidates taking turns.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.rows import HELLO, Row, backends, bundle, program
from limpet.contract import Backend
from limpet.tools.toolchain import compile_program

_OCI = {
    "ociVersion": "1.0.0",
    "process": {"args": ["/hello"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
    "root": {"path": "rootfs", "readonly": True},
    "mounts": [],
    "linux": {"namespaces": [{"type": each} for each in ("pid", "mount", "ipc", "uts", "network")]},
}


_REMOUNT = "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup"
_HYBRID = Path("/sys/fs/cgroup/unified").exists()
WITH_CGROUP2 = ["unshare", "-m", "sh", "-c", f'{_REMOUNT}; exec "$@"', "sh"] if _HYBRID else []
"""crun wants the one hierarchy alone; a mount namespace gives it that."""


def _jails(hello: Path, folder: Path) -> Iterator[tuple[str, list[str | Path]]]:
    """The same program under the lightest container tools that are installed."""
    if crun := shutil.which("crun"):
        root = folder / "oci" / "rootfs"
        (root / "dev").mkdir(parents=True)
        shutil.copy(hello, root / "hello")
        (root.parent / "config.json").write_text(json.dumps(_OCI))
        yield "crun", [crun, "--cgroup-manager=disabled", "run", "-b", root.parent, "limpet-bench"]
    if bwrap := shutil.which("bwrap"):
        yield "bwrap", [bwrap, "--unshare-all", "--ro-bind", hello, "/hello", "/hello"]


def _works(command: list[str | Path]) -> bool:
    return (
        subprocess.run([*WITH_CGROUP2, *command], capture_output=True, check=False).returncode == 0
    )


def times_of(folder: Path, commands: dict[str, list[str | Path]]) -> dict[str, float]:
    arguments = [word for command in commands.values() for word in (*command, "--")]
    argv = [*WITH_CGROUP2, program("spawn", folder), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return dict(zip(commands, map(float, done.stdout.split()), strict=True))


PYTHON = Path("/usr/bin/python3")
PRINTS = ["-I", "-S", "-c", "print(1)"]


def _python(folder: Path) -> Iterator[Row]:
    """Python with its library, to its end, beside the same on Linux."""
    if not PYTHON.exists():
        print(f"*** {PYTHON} is not installed: no row ***")
        return
    for backend, most in (("process", 1.3), ("kvm", 1.6)):
        if backend in backends():
            ours = bundle(PYTHON, backend, folder)
            times = times_of(folder, {"ours": [ours, *PRINTS], "native": [PYTHON, *PRINTS]})
            yield Row(f"python3, {backend}", times["ours"], times["native"], most, "us")


def _beside_least(folder: Path, backend: Backend, least: Path, most: float) -> Row:
    times = times_of(folder, {"ours": [bundle(HELLO, backend, folder)], "least": [least]})
    return Row(f"hello, {backend}", times["ours"], times["least"], most, "us")


def rows(folder: Path) -> list[Row]:
    """Hello on each backend beside the bare minimum, and kvm beside container tools."""
    found = [_beside_least(folder, "process", program("nothing", folder, ["-nostdlib"]), 2.0)]
    found += _python(folder)
    if "kvm" not in backends():
        return found
    found.append(_beside_least(folder, "kvm", program("minimal_kvm", folder), 1.5))
    hello = folder / "hello"
    compile_program([HELLO], hello)
    tools = {name: command for name, command in _jails(hello, folder) if _works(command)}
    times = times_of(folder, {"ours": [bundle(HELLO, "kvm", folder)], **tools})
    for tool in ("crun", "bwrap"):
        if tool in tools:
            found.append(Row(f"hello, kvm beside {tool}", times["ours"], times[tool], 1, "us"))
        else:
            print(f"*** {tool} is not installed or does not work here: no row ***")
    return found
