"""SPECIFICATION.md is true: its figures are read from there and held against what is built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.sources import MONITOR_INCLUDES
from tests.support import ROOT, unikernels
from tests.support.bundles import BUSYBOX, need

pytestmark = pytest.mark.slow

TEXT = (ROOT / "SPECIFICATION.md").read_text(encoding="utf-8")
ROWS = {
    name: tuple(map(int, figures))
    for name, *figures in re.findall(
        r"^\| ([a-z][^|]*) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", TEXT, re.M
    )
}


def _guest(name: str, folder: Path) -> tuple[Path, tuple[Backend, ...]]:
    kind, _, how = name.rpartition(", ")
    if kind.startswith("unikernel"):
        return unikernels.build(folder, how, devices="devices" in kind), ()
    program = ROOT / "examples" / "hello.c" if kind == "hello" else need(BUSYBOX, "busybox-static")
    return program, ("kvm",) if how == "kvm" else ("process",)


def _files(text: str, found: set[Path]) -> set[Path]:
    """Every file that a monitor is compiled from, but for what is generated."""
    for name in re.findall(r'#include "([^"]+)"', text):
        folders = (Path(option.removeprefix("-I")) for option in MONITOR_INCLUDES)
        path = next((folder / name for folder in folders if (folder / name).exists()), None)
        if path and path not in found:
            found.add(path)
            _files(path.read_text(encoding="utf-8"), found)
    return found


def _lines(path: Path) -> int:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return sum(bool(line.strip()) for line in text.splitlines())


def test_every_kind_is_there() -> None:
    """Eight monitors, and none of them twice."""
    assert len(ROWS) == 8


@pytest.mark.parametrize("name", ROWS)
def test_monitor(name: str, tmp_path: Path) -> None:
    """Bytes, lines of C, system calls and instructions are within what is promised, and near it."""
    guest, backends = _guest(name, tmp_path)
    plan = limpet.plan(limpet.load(guest), limpet.Options(backends=backends))
    (filter_,) = plan.filters.values()
    measured = (
        limpet.build(plan).monitor.size,
        sum(map(_lines, _files(plan.sources["monitor.c"], set()))),
        len(filter_.calls),
        filter_.length,
    )
    assert all(mine <= most for mine, most in zip(measured, ROWS[name], strict=True)), measured
    assert all(most <= 1.1 * mine for mine, most in zip(measured, ROWS[name], strict=True)), (
        measured
    )


@pytest.mark.parametrize(("backend", "most"), [("kvm", 106_000), ("process", 73_000)])
def test_bundle_of_hello(backend: Backend, most: int) -> None:
    """The whole file."""
    plan = limpet.plan(
        limpet.load(ROOT / "examples" / "hello.c"), limpet.Options(backends=(backend,))
    )
    assert len(limpet.build(plan).data) <= most


def test_what_it_names_exists() -> None:
    """Every test file, page and folder that holds a promise is there."""
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([\w/]+\.py)`", TEXT + security):
        assert (ROOT / "tests" / name).exists() or (ROOT / name).exists(), name
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    for name in re.findall(r"`(test_\w+)`", security):
        assert f"def {name}(" in tests, name
