"""``python -m conformance cpython``: CPython's own tests natively and in a bundle, by name.

Every difference that ``cpython.toml`` does not give a reason for is printed, and makes the exit
status 1.  What was run is kept with ``--keep`` and not run again.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from conformance import cpython
from conformance.outcome import Compared, Outcome


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m conformance", description=__doc__)
    parser.add_argument("suite", choices=["cpython"])
    parser.add_argument("modules", nargs="*", help="only these")
    parser.add_argument("--backend", choices=["process", "kvm"], default="process")
    parser.add_argument("--restored", action="store_true", help="each from a snapshot")
    parser.add_argument("--sample", action="store_true", help="a few that take little time")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="so many, by chance")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a folder for the bundle and all output")
    return parser.parse_intermixed_args()


def _compare(given: argparse.Namespace, folder: Path) -> int:
    compared = Compared(cpython.known())
    names = given.modules or (compared.known.sample if given.sample else cpython.modules())
    if given.random:
        names = sorted(random.sample(names, min(given.random, len(names))))
    guest = cpython.restored if given.restored else cpython.guest
    here, there = guest(folder, given.backend), cpython.native(folder)
    for native, outcome in cpython.pairs(names, here, there, given.jobs):
        compared.add(native, outcome)
        worse = compared.different.get(native.module, [])
        print(f"{native.module:<32} {_said(native)} {_said(outcome)} {' '.join(worse)}", flush=True)
    print(f"{compared.same} of {compared.modules} modules that pass natively pass here")
    if names == cpython.modules():
        stale = sorted(set(compared.known.reasons) - compared.used)
        print(*(f"passes, and is known as a failure: {each}" for each in stale), sep="\n")
    return 1 if compared.different else 0


def _said(outcome: Outcome) -> str:
    what = "skipped" if outcome.skipped else "passed" if outcome.passed else "failed"
    return f"{what if outcome.ended else 'ended':>8} {outcome.seconds:6.1f} s"


def main() -> int:
    """Run what is asked for; the exit status."""
    given = _arguments()
    if cpython.missing():
        print(cpython.missing(), file=sys.stderr)
        return 2
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
        return _compare(given, given.keep.resolve())
    with tempfile.TemporaryDirectory(prefix="limpet-conformance-") as folder:
        return _compare(given, Path(folder))


sys.exit(main())
