"""Every package that a bundle's bytes depend on is pinned by version and hash."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from limpet.errors import ToolchainError
from limpet.tools import genuine
from limpet.tools.pinned import zig
from tests.support import ROOT

DECIDING = ("capstone", "ziglang")
"""What reads the guest and compiles the monitor: another version may make other bytes."""


@pytest.fixture
def afresh() -> Iterator[None]:
    """The answer is asked for again, before and after."""
    genuine.check.cache_clear()
    yield
    genuine.check.cache_clear()


def locked() -> dict[str, str]:
    """Versions by package; every line has a hash."""
    found = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line.startswith("#"):
            continue
        match = re.fullmatch(r"([a-z0-9-]+)==([0-9.]+)( --hash=sha256:[0-9a-f]{64})+", line)
        assert match, line
        found[match[1]] = match[2]
    return found


def test_lock_has_every_package() -> None:
    """What the project asks for, directly or not, stands in the lock; the deciding exactly."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[=<>~! ]", each)[0].lower(): each for each in project["dependencies"]}
    known = locked()
    assert wanted.keys() <= known.keys()
    for name in DECIDING:
        assert wanted[name] == f"{name}=={known[name]}"
        assert importlib.metadata.version(name) == known[name]
    for name in known:
        for each in map(Requirement, importlib.metadata.requires(name) or ()):
            if each.marker is None or each.marker.evaluate({"extra": ""}):
                assert each.name.lower() in known, each


def test_the_compiler_is_the_one_that_is_pinned(afresh: None) -> None:
    """As it is installed here."""
    genuine.check()


def test_another_compiler_proves_nothing(
    afresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte more, and nothing is made again with it."""
    other = tmp_path / "zig"
    other.write_bytes(zig().read_bytes()[:4096] + b"x")
    monkeypatch.setattr(genuine, "zig", lambda: other)
    with pytest.raises(ToolchainError, match="what it makes proves nothing"):
        genuine.check()
