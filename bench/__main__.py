"""``make bench``: what Limpet costs, beside baselines measured in the same run.

``python -m bench start work`` measures only those kinds; each kind's module says what is timed.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.rows import Row

KINDS = (
    "start",
    "snapshots",
    "calls",
    "dynamic",
    "work",
    "python",
    "memory",
    "many",
    "tool",
    "devices",
    "volumes",
    "servers",
    "solo5",
)


def _cells(row: Row) -> tuple[str, ...]:
    baseline = f"{row.baseline:.1f} {row.unit}" if row.baseline else ""
    quotient = f"{row.value:.2f}" if row.baseline else ""
    met = "met" if row.met else "MISSED"
    return row.name, f"{row.ours:.1f} {row.unit}", baseline, quotient, f"{row.most:.3g}", met


def main(kinds: list[str]) -> None:
    """Measure and print."""
    for kind in kinds:
        if kind not in KINDS:
            sys.exit(f"{kind}: there is no such kind of rows: {', '.join(KINDS)}")
    table = Table("what", "limpet", "baseline", "quotient", "at most", "")
    try:
        for kind in kinds or KINDS:
            with tempfile.TemporaryDirectory(prefix="limpet-bench-") as name:
                for row in importlib.import_module(f"bench.{kind}").rows(Path(name)):
                    table.add_row(*_cells(row))
    finally:  # what was measured is shown, whatever came then
        Console().print(table)


main(sys.argv[1:])
