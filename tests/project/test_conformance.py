"""Foreign suites in bundles: what is different is found, and a sample of CPython's is run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conformance import cpython
from conformance.outcome import Compared, Known, read_outcome
from tests.support import ROOT

RAN = """test_a (test.test_x.T.test_a) ... ok
======================================================================
ERROR: test_b (test.test_x.T.test_b) (number=3)
----------------------------------------------------------------------
FAIL: setUpClass (test.test_x.U)
FAIL: test_c (unittest.loader.T.test_c)
Tests result: {}
"""


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
        ("test_a ... stopped", RAN.format("FAILURE"), []),
        ("ERROR: setUpModule (test.test_x)\nTests result: FAILURE", RAN.format("FAILURE"), []),
    ],
)
def test_difference(native: str, here: str, different: list[str]) -> None:
    """A test or a module that is worse here is told, unless there is a reason for it."""
    compared = Compared(Known({"*.test_c": "known"}))
    compared.add(read_outcome("test_x", f"{native}\n", 1), read_outcome("test_x", f"{here}\n", 1))
    assert compared.different.get("test_x", []) == different


@pytest.mark.slow
def test_sample() -> None:
    """A few modules of CPython's are in a bundle what they are on Linux."""
    if cpython.missing():
        pytest.skip(f"*** {cpython.missing()} ***")
    argv = [sys.executable, "-m", "conformance", "cpython", "--sample"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
