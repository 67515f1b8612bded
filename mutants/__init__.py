"""Mutations of protections: each takes one out, and the tests have to see it.

``list/*.toml`` names them, one table each.  ``python -m mutants`` tries them: in a copy of the
sources the text ``old`` of ``file`` becomes ``new``, and the named ``tests`` run there.  They have
to fail: a mutation that survives is a protection that nothing holds.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
