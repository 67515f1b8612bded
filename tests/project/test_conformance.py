"""Foreign suites in bundles: what is different is found, and a sample of CPython's is run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conformance import arrays, cpython
from conformance.outcome import Compared, Known, read_outcome
from limpet.contract import Backend
from tests.support import ROOT
from tests.support.large import large

RAN = """test_a (test.test_x.T.test_a) ... ok
======================================================================
ERROR: test_b (test.test_x.T.test_b) (number=3)
----------------------------------------------------------------------
FAIL: setUpClass (test.test_x.U)
FAIL: test_c (unittest.loader.T.test_c)
Tests result: {}
"""


LEFT_OUT = """test_a (test.test_x.T.test_a) ... ok
test_d (test.test_x.T.test_d) ... skipped 'no such thing here'
test_e (test.test_x.T.test_e)
What it is about. ... skipped "it isn't here"
Tests result: SUCCESS"""


def test_outcome() -> None:
    """Names of tests, whatever stands behind them, and what regrtest says of the module."""
    outcome = read_outcome("test_x", RAN.format("FAILURE"), 1.0)
    assert outcome.failed == {"test_x.T.test_b", "test_x.U.setUpClass", "unittest.loader.T.test_c"}
    assert (outcome.ended, outcome.passed) == (True, False)
    assert read_outcome("test_x", "Tests result: SUCCESS\n", 1.0).passed
    skipped = read_outcome("test_x", "1 test skipped:\nTests result: SUCCESS\n", 1.0)
    assert skipped.skipped and not skipped.passed
    assert not read_outcome("test_x", "test_a ... Segmentation fault\n", 1.0).ended


@pytest.mark.parametrize(
    ("native", "here", "different"),
    [
        ("Tests result: SUCCESS", "Tests result: SUCCESS", []),
        (
            "Tests result: SUCCESS",
            RAN.format("FAILURE"),
            ["test_x.T.test_b", "test_x.U.setUpClass"],
        ),
        (RAN.format("FAILURE"), RAN.format("FAILURE"), []),
        (RAN.format("FAILURE"), "test_a ... stopped", ["test_x"]),
        ("Tests result: SUCCESS", "1 test skipped:\nTests result: SUCCESS", ["test_x"]),
        ("Tests result: SUCCESS", LEFT_OUT, ["test_x.T.test_d", "test_x.T.test_e"]),
        (LEFT_OUT, LEFT_OUT, []),
        (LEFT_OUT, "ERROR: test_d (test.test_x.T.test_d)\nTests result: FAILURE", ["test_x"]),
        ("test_a ... stopped", RAN.format("FAILURE"), []),
        ("ERROR: setUpModule (test.test_x)\nTests result: FAILURE", RAN.format("FAILURE"), []),
    ],
)
def test_difference(native: str, here: str, different: list[str]) -> None:
    """A test or a module that is worse here is told, unless there is a reason for it."""
    compared = Compared(Known({"*.test_c": "known"}))
    compared.add(read_outcome("test_x", f"{native}\n", 1), read_outcome("test_x", f"{here}\n", 1))
    assert compared.different.get("test_x", []) == different


WORSE = """.F.E
FAILED ../site-packages/numpy/_core/tests/test_x.py::TestA::test_b[int-x y] - Assertion...
ERROR ../site-packages/numpy/_core/tests/test_x.py::test_c
ERROR site-packages/numpy/_core/tests/test_x.py - ImportError: no
1 failed, 2 passed, 1 warning, 2 errors in 0.50s
"""


def test_outcome_of_pytest() -> None:
    """What a module of numpy's comes to, with parameters that no pattern takes for its own."""
    outcome = arrays.read_outcome("_core.test_x", WORSE, 1.0)
    names = {"_core.test_x.TestA.test_b(int-x", "_core.test_x.test_c", "_core.test_x"}
    assert outcome.failed == names and outcome.ended and not outcome.passed
    assert arrays.read_outcome("x", ".s.\n2 passed, 1 skipped in 1.00s\n", 1.0).passed
    for skipped in (
        "s\n1 skipped in 0.01s\n",
        "\nno tests ran in 0.01s\n",
        "27 deselected in 1.1s",
    ):
        outcome = arrays.read_outcome("x", skipped, 1.0)
        assert outcome.skipped and outcome.ended and not outcome.passed
    assert not arrays.read_outcome("x", "..F\nended: it takes too long\n", 1.0).ended


def run(*words: str) -> None:
    """Modules of a suite are in a bundle what they are on Linux."""
    argv = [sys.executable, "-m", "conformance", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_sample() -> None:
    """CPython's, started as usual."""
    if cpython.missing():
        pytest.skip(f"*** {cpython.missing()} ***")
    run("cpython", "--sample")


@large
def test_network(backend: Backend) -> None:
    """CPython's tests of asyncio, and of all else that speaks over sockets."""
    if cpython.missing():
        pytest.skip(f"*** {cpython.missing()} ***")
    run("cpython", "--network", "--backend", backend)


@large
def test_sample_of_numpy(backend: Backend) -> None:
    """numpy's, each from a snapshot."""
    if arrays.missing():
        pytest.skip(f"*** {arrays.missing()} ***")
    run("numpy", "--sample", "--restored", "--backend", backend)
