"""A start that is looked at and takes too long is ended, wherever it stands."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from limpet.running import snapshot


def test_where_it_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends it does not take that stop from who waits for it: nobody would go on."""
    options = SimpleNamespace(asks=lambda _: False, devices=())
    bundle: Any = SimpleNamespace(
        plan=SimpleNamespace(options=options), write=lambda path: shutil.copy("/bin/sleep", path)
    )

    def gone(pid: int, *ignored: object, **named: object) -> bool:
        for _ in range(1000):
            if Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] == "Z":
                return True
            time.sleep(0.01)
        return False

    monkeypatch.setattr(snapshot, "_at_end", gone)
    with tempfile.TemporaryFile() as said:
        assert snapshot._run(bundle, ["sleep", "100"], said, said, lambda *_: None, 0.5)
