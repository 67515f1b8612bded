"""What all tests share: guests built once, run on every backend that this host has."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from limpet.contract import Backend
from tests.support import network
from tests.support.bundles import KVM_PROBLEM, Maker

WHY = {"slow": "slow", "kvm": "in need of KVM"}
"""The markers that a fast run leaves out, in words."""

# Hundreds of commands are started here, and each would compile all of Limpet's Python.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell starts what runs beside it without SIGINT, and a monitor leaves it so (nohup).
for number in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler)

# A run finds what the last one found: others are for who looks for them.
settings.register_profile("same", derandomize="LIMPET_EXAMPLES" not in os.environ)
settings.load_profile("same")

_LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs KVM says so where there is none."""
    if KVM_PROBLEM:
        for item in items:
            if item.get_closest_marker("kvm"):
                item.add_marker(pytest.mark.skip(reason=f"no KVM here: {KVM_PROBLEM}"))


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count what ``-m "not slow and not kvm"`` leaves out."""
    if items:
        counts = items[0].config.stash.setdefault(_LEFT_OUT, Counter())
        counts.update(next((m for m in WHY if i.get_closest_marker(m)), "") for i in items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells the one that started it."""
    if hasattr(session.config, "workeroutput"):
        counts = session.config.stash.get(_LEFT_OUT, Counter())
        session.config.workeroutput["left out"] = dict(counts)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Every worker leaves out the same."""
    told = getattr(node, "workeroutput", {}).get("left out")
    if told:
        node.config.stash[_LEFT_OUT] = Counter(told)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was not run."""
    counts = config.stash.get(_LEFT_OUT, Counter())
    said = [f"{counts[mark]} {why}" for mark, why in WHY.items() if counts[mark]]
    if said:
        terminalreporter.write_line(f"left out: {', '.join(said)}; pytest -n 2 runs all")


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Builds bundles, for all workers together."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "bundles"
    folder.mkdir(exist_ok=True)
    return Maker(folder)


@pytest.fixture(params=[pytest.param("kvm", marks=pytest.mark.kvm), "process"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend."""
    chosen: Backend = request.param
    return chosen


@pytest.fixture
def tap() -> Iterator[network.Tap]:
    """A TAP interface of this test's own."""
    with network.tap() as made:
        yield made
