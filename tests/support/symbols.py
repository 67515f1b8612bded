"""Programs with what a debugger wants to know."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.shared import compiler


def with_symbols(source: str, folder: Path, name: str) -> Path:
    """A static program, compiled without changes that a debugger would show."""
    code, made = folder / f"{name}.c", folder / name
    code.write_text(source)
    subprocess.run([compiler("glibc"), "-static", "-g", "-O0", code, "-o", made], check=True)
    return made
