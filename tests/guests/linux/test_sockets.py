"""Sockets inside the guest: the same lines as on Linux."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker

PROGRAMS = SUPPORT / "programs" / "sockets"


@pytest.mark.parametrize("name", ["unix", "internet"])
def test_as_on_linux(make: Maker, backend: Backend, tmp_path: Path, name: str) -> None:
    """Names, bytes, descriptors passed, waiting, readiness, and every error in Linux's order."""
    head = (PROGRAMS / "said.h").read_text(encoding="utf-8")
    text = (PROGRAMS / f"{name}.c").read_text(encoding="utf-8")
    program = make.compile(text.replace('#include "said.h"\n', head), name)
    native = subprocess.run([program], capture_output=True, check=True, cwd=tmp_path, timeout=60)
    ran = make(program, backend).run()
    assert (ran.stdout.decode(), ran.stderr, ran.status) == (native.stdout.decode(), b"", 0)
