"""``python -m mutants [NAME...]`` takes protections out, one by one, and runs their tests.

Without names all of the list are tried, or ``--sample N`` of them, chosen by ``--seed``.  The tests
have to pass without any change first.  The exit status is 0 when every mutation was seen.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from mutants.listed import ListError, Mutation, mutations
from mutants.trial import Result, tried, without


def chosen(names: Sequence[str], sample: int | None, seed: int) -> list[Mutation]:
    """Those that the command line asks for, in the order of the list.

    Raises:
        ListError: there is none of a name.
    """
    every = mutations()
    known = {each.name for each in every}
    for name in names:
        if name not in known:
            raise ListError(f"{name}: there is no such mutation: see mutants/list")
    found = [each for each in every if not names or each.name in names]
    if sample is None or sample >= len(found):
        return found
    picked = set(random.Random(seed).sample([each.name for each in found], sample))
    return [each for each in found if each.name in picked]


def _said(result: Result) -> None:
    sys.stderr.write(f"{result.outcome:9}{result.seconds:6.1f} s  {result.name}\n")


def _run(found: Sequence[Mutation], jobs: int) -> list[Result]:
    with ThreadPoolExecutor(jobs) as pool:
        results = []
        for result in pool.map(tried, found):
            _said(result)
            results.append(result)
    return results


def _report(found: Sequence[Mutation], results: Sequence[Result]) -> None:
    for mutation, result in zip(found, results, strict=True):
        if result.outcome == "killed":
            continue
        tests = " ".join(f"tests/{test}" for test in mutation.tests)
        sys.stdout.write(f"\n{result.outcome}: {result.name}: {mutation.removes}\n  {tests}\n")
        if result.outcome != "survived":
            sys.stdout.write(f"{result.said[-1500:]}\n")
    seen = sum(each.outcome == "killed" for each in results)
    sys.stdout.write(f"{seen} of {len(results)} mutations of protections are seen by the tests\n")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("name", nargs="*", help="only these")
    parser.add_argument("--sample", type=int, metavar="N", help="N of them, by chance")
    parser.add_argument("--seed", type=int, default=0, help="another choice for --sample")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
    parser.add_argument("--json", action="store_true", help="the results as JSON")
    given = parser.parse_args()
    try:
        found = chosen(given.name, given.sample, given.seed)
    except ListError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    wrong = without(test for each in found for test in each.tests)
    if wrong:
        sys.stderr.write(f"{wrong}\nthe tests fail without any mutation: mend them first\n")
        return 2
    results = _run(found, max(given.jobs, 1))
    if given.json:
        json.dump([asdict(each) for each in results], sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _report(found, results)
    return 0 if all(each.outcome == "killed" for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
