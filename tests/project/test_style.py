"""Linters are tests: one voice through the whole codebase."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

C_FILES = sorted(
    str(p)
    for d in ("src", "tests", "bench", "hardware", "fuzz")
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


def test_files_stay_small() -> None:
    """A file can be read in one sitting."""
    for path in sorted((ROOT / "src").glob("**/*")):
        if path.suffix in {".py", ".c", ".S", ".h"}:
            limit = 460 if path.suffix == ".py" else 340
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines <= limit, f"{path} has {lines} lines"
