"""Runs one reader under atheris; a process of its own, started by ``python -m fuzz``."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["limpet", "tomllib"]):
    import limpet
    import limpet.audit.html
    import limpet.audit.verify
    import limpet.cli
    import limpet.formats.tree.read
    import limpet.loading.settings
    import limpet.running.debugging.commands
    import limpet.running.frames
    import limpet.sandbox.answers

from fuzz import edits, hostile, targets

RUNS = targets.RUNS | hostile.RUNS
MUTATORS = {"record": edits.mutate_record, "bundle": edits.mutate}
"""Of the targets whose inputs are edits."""


def main() -> None:
    """``python -m fuzz.read TARGET`` and libFuzzer's own options."""
    target = sys.argv.pop(1)
    assert limpet
    sys.argv[0] = f"{sys.executable} -m fuzz.read {target}"  # how libFuzzer starts it again
    atheris.Setup(sys.argv, RUNS[target], custom_mutator=MUTATORS.get(target))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
