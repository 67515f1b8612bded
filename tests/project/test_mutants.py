"""The list of mutations: every entry still stands, and the tool tells killed from survived."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mutants.listed import ListError, Mutation, mutations
from mutants.trial import tried
from tests.support import ROOT

LEAST = 60
KNOWN = {"descriptors-of-the-starter", "audit-architecture", "verify-between-the-parts"}
KNOWN |= {"port-count", "pin-console-out-descriptor"}
"""Those that once survived."""


@pytest.mark.parametrize("each", mutations(), ids=lambda each: each.name)
def test_it_stands(each: Mutation) -> None:
    """Its text is in the file once, it says what is gone, and its tests are there."""
    assert each.applied()
    assert each.removes == each.removes.strip() and not each.removes.endswith(".")
    for test in each.tests:
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not name or name.partition("[")[0] in functions, test


def test_no_mutation_is_lost() -> None:
    """The promise of SPECIFICATION stands on them, so none of them goes unseen."""
    assert len(mutations()) >= LEAST
    assert {each.name for each in mutations()} >= KNOWN


def test_the_list_is_checked(tmp_path: Path) -> None:
    """Text that is gone or stands twice, members that are missing."""
    first = mutations()[0]
    for old, count in (("no such text at all", 0), ("\n", "")):
        with pytest.raises(ListError, match=rf"its old text stands {count}.* mend the list"):
            replace(first, old=old).applied()
    with pytest.raises(ListError, match=r"there is no gone\.py: mend the list"):
        replace(first, file="gone.py").applied()
    (tmp_path / "a.toml").write_text('[one]\nfile = "a"\nold = "b"\nnew = "c"\ntests = ["d"]\n')
    with pytest.raises(ListError, match="one: an entry has"):
        mutations(tmp_path)


def _mutants(*words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    argv = [sys.executable, "-m", "mutants", *words]
    return subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False
    )


def test_bad_words() -> None:
    """A name that is not in the list."""
    done = _mutants("no-such")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "no-such: there is no such mutation: see mutants/list\n"


@pytest.mark.slow
def test_one_is_killed() -> None:
    """The command, from the list to the score."""
    done = _mutants("--json", "tree-one-form")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert (result["name"], result["outcome"]) == ("tree-one-form", "killed")
    done = _mutants("tree-one-form")
    assert done.stdout == "1 of 1 mutations of protections are seen by the tests\n"


@pytest.mark.slow
def test_what_is_left_unused_is_tried() -> None:
    """Who takes a call out may leave a parameter unused: no error of the compiler, which would
    show nothing."""
    walls = next(each for each in mutations() if each.name == "wall-namespaces")
    assert "network" in walls.old and not walls.new
    assert tried(walls).outcome == "killed"


@pytest.mark.slow
def test_outcomes() -> None:
    """What survives, what is stale and what does not even build is told apart."""
    tree = next(each for each in mutations() if each.name == "tree-one-form")
    assert tried(replace(tree, new=f"{tree.old}  # nothing")).outcome == "survived"
    assert tried(replace(tree, new="if ) else")).outcome == "broken"
    assert tried(replace(tree, old="gone")).outcome == "stale"
    assert tried(replace(tree, tests=("formats/test_tree.py::test_gone",))).outcome == "broken"
    skipped = ("tools/test_process.py::test_this_process_stays_free",)
    hidden = replace(tree, file="tools/landlock.py", old="return max(found, 0)", new="return 0")
    assert tried(replace(hidden, tests=skipped)).outcome == "not run"
