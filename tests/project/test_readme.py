"""Commands of README that run until somebody ends them, as they stand there."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.bundles import need
from tests.support.ends import free_port

pytestmark = pytest.mark.slow


def test_the_server(tmp_path: Path) -> None:
    """The first one publishes a port, and answers there."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    line = next(each for each in lines if each.startswith("limpet run -p "))
    port = free_port("127.0.0.1")
    words = shlex.split(line.replace("8080:", f"{port}:"))[1:]
    need(Path("/usr/bin/python3"), "python3")
    argv = [sys.executable, "-m", "limpet", *words]
    with subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        try:
            assert "Directory listing" in _answer(port, process)
        finally:
            process.kill()


def _answer(port: int, process: subprocess.Popen[bytes]) -> str:
    """What is there at the port, as soon as somebody listens."""
    until = time.monotonic() + 50
    while process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
                return str(answer.read(), "utf-8")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    return ""
