"""``python -m conformance SUITE``: a suite of others natively and in a bundle, by name.

``cpython`` is CPython's own (:mod:`conformance.cpython`), ``numpy`` is numpy's
(:mod:`conformance.arrays`).  Every difference that ``cpython.toml`` or ``arrays.toml`` does not
give a reason for is printed, and makes the exit status 1.  What was run is kept with ``--keep`` and
not run again.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

from conformance import arrays, cpython
from conformance.outcome import Compared, Known, Outcome
from conformance.runner import pairs

SUITES = {"cpython": cpython, "numpy": arrays}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m conformance", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("modules", nargs="*", help="only these")
    parser.add_argument("--backend", choices=["process", "kvm"], default="process")
    parser.add_argument("--restored", action="store_true", help="each from a snapshot")
    parser.add_argument("--sample", action="store_true", help="a few that take little time")
    parser.add_argument("--network", action="store_true", help="those that speak over sockets")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="so many, by chance")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a folder for the bundle and all output")
    return parser.parse_intermixed_args()


def _compare(given: argparse.Namespace, folder: Path) -> int:
    suite = SUITES[given.suite]
    compared = Compared(suite.known())
    names = given.modules or _listed(given, compared.known) or suite.modules()
    if given.random:
        names = sorted(random.sample(names, min(given.random, len(names))))
    guest = suite.restored if given.restored else suite.guest
    here, there = guest(folder, given.backend), suite.native(folder)
    for native, outcome in pairs(names, here, there, given.jobs):
        compared.add(native, outcome)
        worse = compared.different.get(native.module, [])
        print(f"{native.module:<32} {_said(native)} {_said(outcome)} {' '.join(worse)}", flush=True)
    print(f"{compared.same} of {compared.modules} modules that pass natively pass here")
    if names == suite.modules():
        stale = sorted(set(compared.known.reasons) - compared.used)
        print(*(f"passes, and is known as a failure: {each}" for each in stale), sep="\n")
    return 1 if compared.different else 0


def _listed(given: argparse.Namespace, known: Known) -> list[str]:
    """The modules that an option asks for, none without one."""
    patterns = known.sample if given.sample else known.network if given.network else ()
    names = SUITES[given.suite].modules() if patterns else []
    return [each for each in names if any(fnmatchcase(each, pattern) for pattern in patterns)]


def _said(outcome: Outcome) -> str:
    what = "skipped" if outcome.skipped else "passed" if outcome.passed else "failed"
    return f"{what if outcome.ended else 'ended':>8} {outcome.seconds:6.1f} s"


def main() -> int:
    """Run what is asked for; the exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    given = _arguments()
    missing = SUITES[given.suite].missing()
    if missing:
        print(missing, file=sys.stderr)
        return 2
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
        return _compare(given, given.keep.resolve())
    with tempfile.TemporaryDirectory(prefix="limpet-conformance-") as folder:
        return _compare(given, Path(folder))


sys.exit(main())
