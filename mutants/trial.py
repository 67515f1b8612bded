"""One mutation tried: a copy of the sources with the change, and the named tests run there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mutants import ROOT
from mutants.listed import ListError, Mutation

Outcome = Literal["killed", "survived", "stale", "broken", "not run"]
"""``stale``: its old text is gone.  ``broken``: the copy does not build, so nothing was shown.
``not run``: its tests are skipped here."""

LONGEST = 600
"""Seconds; tests that take longer have seen something."""

_COPIED = ("src", "tests")
_BROKEN = re.compile(r"SyntaxError|ToolchainError: cannot (compile|link)")
_PASSED, _USAGE = 0, (2, 3, 4, 5)


@dataclass(frozen=True)
class Result:
    """How a trial ended, after how many seconds, and the end of what pytest wrote."""

    name: str
    outcome: Outcome
    seconds: float
    said: str = ""


def tried(mutation: Mutation) -> Result:
    """Whether the tests see ``mutation``."""
    started = time.monotonic()
    try:
        text = mutation.applied()
    except ListError as error:
        return Result(mutation.name, "stale", 0, str(error))
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / "tree"
        _copy(copy)
        path = copy / "src" / "limpet" / mutation.file
        path.write_text(text, encoding="utf-8")
        for stale in path.parent.glob(f"__pycache__/{path.stem}.*"):
            stale.unlink()
        status, said = _run_tests(copy, mutation.tests)
    return Result(mutation.name, _outcome(status, said), time.monotonic() - started, said[-3000:])


def _outcome(status: int, said: str) -> Outcome:
    if status in _USAGE or (status != _PASSED and _BROKEN.search(said)):
        return "broken"
    if status != _PASSED:  # an error before a test begins shows nothing
        return "killed" if re.search(r"\b\d+ failed", said) else "broken"
    return "survived" if re.search(r"\b\d+ passed", said) else "not run"


def without(tests: Iterable[str]) -> str:
    """Run ``tests`` in a copy without any change; what pytest says when they fail, or nothing."""
    with tempfile.TemporaryDirectory(prefix="mutant-none-") as folder:
        copy = Path(folder) / "tree"
        _copy(copy)
        status, said = _run_tests(copy, sorted(set(tests)))
    return said[-6000:] if status not in (_PASSED, 5) else ""


_STRICT = '    "-Werror",\n'
"""In ``tools/toolchain.py``, and not in a copy: what a mutation leaves unused is no error there."""


def _copy(to: Path) -> None:
    """The package and its tests; of all else, which no mutation changes, links."""
    to.mkdir()
    for each in ROOT.iterdir():
        if each.name in _COPIED:
            shutil.copytree(each, to / each.name)
        elif not each.name.startswith("."):
            (to / each.name).symlink_to(each)
    flags = to / "src" / "limpet" / "tools" / "toolchain.py"
    text = flags.read_text(encoding="utf-8")
    assert text.count(_STRICT) == 1, f"{_STRICT!r} does not stand once in {flags}"
    flags.write_text(text.replace(_STRICT, ""), encoding="utf-8")


def _run_tests(copy: Path, tests: Iterable[str]) -> tuple[int, str]:
    """pytest's status, and what it says."""
    names = [str(copy / "tests" / test) for test in tests]
    argv = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]
    argv += ["--tb=short", f"--basetemp={copy.parent / 'work'}", f"--rootdir={copy}", *names]
    paths = {
        "PYTHONPATH": f"{copy / 'src'}:{copy}",
        "HYPOTHESIS_STORAGE_DIRECTORY": f"{copy}/.hypothesis",
    }
    log = copy.parent / "log"
    with log.open("wb") as out:
        running = subprocess.Popen(
            argv,
            cwd=copy,
            env=os.environ | paths,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = running.wait(LONGEST)
        except subprocess.TimeoutExpired:
            out.write(b"\n1 failed: it did not end\n")
            status = 1
        finally:  # guests that no limit ends any more go with their tests
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    return status, log.read_text(encoding="utf-8", errors="replace")
