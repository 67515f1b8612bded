"""``python -m tests.support.unikernels FOLDER`` puts one of each kind there, to try by hand."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.support import unikernels


def main(folder: Path) -> None:
    """``plain`` and ``devices``, for hvt and for spt."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as workspace:
        for target in ("hvt", "spt"):
            for name in ("plain", "devices"):
                made = unikernels.build(Path(workspace), target, devices=name == "devices")
                made.replace(folder / f"{name}.{target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
