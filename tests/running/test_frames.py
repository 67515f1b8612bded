"""What a script sees of the frames below its own, with each Python that is here: none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.large import large

VERSION = r"python3\.(8|9|1\d)"
PYTHONS = sorted(
    each
    for folder in (Path("/usr/bin"), *Path.home().glob(".pyenv/versions/3.*/bin"))
    for each in folder.glob("python3.*")
    if re.fullmatch(VERSION, each.name)
)
SEEN = """
import atexit, faulthandler, os, sys, threading
import multiprocessing.util

def told(*given):
    reads, writes = os.pipe()
    faulthandler.dump_traceback(writes, all_threads=False)
    print(os.read(reads, 9999).decode().split("\\n", 1)[1], len(given))

told(sys._getframe().f_back is None)
atexit.register(told)
for line in sys.stdin:
    told()
    exec(line)
sys.excepthook = told
sys.nothing
"""


def _ran(words: list[str | Path], here: Path, said: bytes) -> tuple[int, bytes]:
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    if words[0] != sys.executable:
        del environment["PYTHONPATH"]
    done = subprocess.run(
        words, input=said, cwd=here, env=environment, capture_output=True, check=False
    )
    plain = re.sub(rb'File "[^"]*/', b'File "', done.stdout)
    return done.returncode, plain


@pytest.mark.parametrize("python", PYTHONS, ids=lambda each: each.name)
@large
def test_warm(python: Path, tmp_path: Path) -> None:
    """A warm start, for each end; what is registered before Python 3.10 is called as well."""
    (tmp_path / "app.py").write_text(SEEN)
    limpet: list[str | Path] = [
        sys.executable,
        "-m",
        "limpet",
        "run",
        "--backend",
        "process",
        "--python",
        python,
    ]
    for said in (b"", b"sys.exit(3)\n", b"raise KeyError\n", b"1 / 0", b"exit('why')\n"):
        expected = _ran([python, "app.py"], tmp_path, said)
        assert _ran([*limpet, "app.py"], tmp_path, said) == expected, said


def test_snapshot(tmp_path: Path) -> None:
    """A script that stops in its middle, and goes on."""
    (tmp_path / "app.py").write_text(SEEN)
    made: list[str | Path] = [sys.executable, "-m", "limpet", "snapshot", "--backend", "process"]
    assert _ran([*made, "-o", "app", "app.py"], tmp_path, b"")[0] == 0
    status, seen = _ran([tmp_path / "app"], tmp_path, b"told(1, 2)\n")
    whole = _ran([sys.executable, "app.py"], tmp_path, b"told(1, 2)\n")
    assert (status, whole[0]) == (1, 1)
    assert seen.count(b'File "app.py"') >= 4
    assert whole[1].endswith(seen)
