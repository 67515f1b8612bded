"""Programs with what a debugger wants to know."""

from __future__ import annotations

import subprocess
from pathlib import Path

from limpet.tools.toolchain import zig


def with_symbols(source: str, folder: Path, name: str) -> Path:
    """A static program, compiled without changes that a debugger would show."""
    code, made = folder / f"{name}.c", folder / name
    code.write_text(source)
    flags = "-fno-sanitize=all", "-target", "x86_64-linux-musl", "-static", "-g", "-O0"
    subprocess.run([zig(), "cc", *flags, code, "-o", made], check=True)
    return made
