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
from limpet.toolchain import compile_program

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


def rows(folder: Path) -> list[Row]:
    """Hello on each backend beside the bare minimum, and kvm beside container tools."""
    hello = folder / "hello"
    compile_program([HELLO], hello)
    commands: dict[str, list[str | Path]] = {
        "least with KVM": [program("minimal_kvm", folder)],
        "least process": [program("nothing", folder, ["-nostdlib"])],
        **{name: command for name, command in _jails(hello, folder) if _works(command)},
    }
    commands |= {backend: [bundle(HELLO, backend, folder)] for backend in backends()}
    arguments = [word for command in commands.values() for word in (*command, "--")]
    done = subprocess.run(
        [*WITH_CGROUP2, program("spawn", folder), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    times = dict(zip(commands, map(float, done.stdout.split()), strict=True))
    found = [Row("hello, process", times["process"], times["least process"], 2.0, "us")]
    if "kvm" in times:
        found.append(Row("hello, kvm", times["kvm"], times["least with KVM"], 1.5, "us"))
        for tool in ("crun", "bwrap"):
            if tool in times:
                found.append(Row(f"hello, kvm beside {tool}", times["kvm"], times[tool], 1, "us"))
            else:
                print(f"*** {tool} is not installed or does not work here: no row ***")
    return found
