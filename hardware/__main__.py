"""``python -m hardware``: bundles on emulated AMD-V beside this machine.

``surface`` counts kernel functions; ``--write`` also writes docs/surface.md, ``--check`` is short.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from hardware.machine import EmulationError


def _compare() -> int:
    from hardware.compare import results

    table, different = Table("guest", "status", "beside this machine"), []
    for name, what, here, there in results():
        table.add_row(name, str(there.status), what or "same")
        if what:
            different.append(f"{name}: {what}\n  here  {here}\n  there {there}")
    Console().print(table)
    for each in different:
        print(each)
    return 1 if different else 0


def main(words: list[str]) -> int:
    """Run what is asked for; the exit status."""
    try:
        if words[:1] == ["surface"]:
            from hardware.surface import main as surface

            return surface("--write" in words, "--check" in words)
        return _compare()
    except EmulationError as error:
        print(error, file=sys.stderr)
        return 1


sys.exit(main(sys.argv[1:]))
