"""The command ``limpet``, as a user types it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_LONGEST = 600
"""Seconds in which each command ends, on a loaded machine, too."""


class Cli:
    """Runs ``limpet`` as a user does; ``sources`` is a folder that has another package of it."""

    def __init__(self, home: Path, cwd: Path, sources: Path | None = None) -> None:
        self.cwd = cwd
        self.env = os.environ | {"LIMPET_CACHE": str(home / "cache")}
        if sources:
            self.env["PYTHONPATH"] = str(sources)

    def __call__(
        self, *arguments: str | Path, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "limpet", *map(str, arguments)]
        return subprocess.run(
            argv,
            cwd=self.cwd,
            env=self.env,
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST,
        )
