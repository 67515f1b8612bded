"""Small unikernels for both Solo5 ABIs, written here: see guest.c for what they do."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from limpet.tools.toolchain import zig

HERE = Path(__file__).parent
_TARGETS = {"hvt": 1, "spt": 2}
_TEXT_FLAGS = {"hvt": "1", "spt": "5"}  # as Solo5 links them: hvt's code may not be read
_FLAGS = (
    *("-target", "x86_64-freestanding", "-std=c11", "-O2", "-g0", "-ffreestanding"),
    *("-fno-pie", "-fno-stack-protector", "-fno-sanitize=all", "-mno-red-zone", "-fno-builtin"),
    *("-Wall", "-Wextra", "-Werror", "-Wno-missing-prototypes"),
)
_LINK = ("ld.lld", "-nostdlib", "-static", "-z", "noexecstack", "-z", "max-page-size=4096")


def build(
    folder: Path, target: str, *, version: int = 2, devices: bool = False, ring_0: bool = False
) -> Path:
    """The unikernel for ``target`` in ``folder``, compiled."""
    define = [f"-DTARGET={_TARGETS[target]}", f"-DVERSION={version}"]
    define += ["-DDEVICES"] if devices else []
    define += ["-DRING_0"] if ring_0 else []
    key = hashlib.sha256(" ".join(define).encode()).hexdigest()[:8]
    output = folder / f"guest-{key}.{target}"
    objects: list[Path] = []
    for name in ("guest", "note", target):
        objects.append(folder / f"{name}-{key}.o")
        argv: list[str | Path] = [
            zig(),
            "cc",
            *_FLAGS,
            *define,
            "-c",
            HERE / f"{name}.c",
            "-o",
            objects[-1],
        ]
        subprocess.run(argv, check=True)
    script = folder / f"{target}.ld"
    script.write_text((HERE / "guest.ld").read_text().replace("TEXT", _TEXT_FLAGS[target]))
    subprocess.run([zig(), *_LINK, "-T", script, "-o", output, *objects], check=True)
    return output
