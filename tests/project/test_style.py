"""Linters are tests: one voice through the whole codebase."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

C_FILES = sorted(
    str(p)
    for d in ("src", "tests", "bench", "conformance", "hardware", "fuzz")
    for p in ROOT.glob(f"{d}/**/*.[ch]")
)


@pytest.mark.parametrize(
    "argv",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["clang-format", "--dry-run", "--Werror", *C_FILES],
    ],
    ids=["ruff", "format", "mypy", "clang-format"],
)
def test_lint(argv: list[str]) -> None:
    """Every linter is content."""
    tool = Path(sys.executable).with_name(argv[0])  # beside this interpreter
    done = subprocess.run([tool, *argv[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
