"""A program's first call: a bundle is looked at while its guest starts, before that is asked."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from limpet import Sandbox
from limpet.loading.interpreters import known
from limpet.sandbox.guest.channel import LEAST_NUMBER
from limpet.sandbox.instance import Instance


def environment(folder: Path) -> Path:
    """One of this interpreter's, with a package that is one file; the file."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    (folder / "pyvenv.cfg").touch()
    beside = python.with_name(f"python3.{sys.version_info.minor}")
    beside.symlink_to(os.path.realpath(sys.executable))
    python.symlink_to(beside.name)
    which = known(python)
    assert which
    site = folder / which.environment
    site.mkdir(parents=True)
    (site / "thing.py").write_text("value = 1\n")
    return site / "thing.py"


def test_what_has_changed_is_asked_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest with an older package is ended, and another one answers, which has the new one."""
    thing = environment(tmp_path)
    ended = list[int]()
    close = Instance.close

    def noted(self: Instance) -> None:
        ended.append(self._number)
        close(self)

    monkeypatch.setattr(Instance, "close", noted)
    given: dict[str, Any] = {"backend": "process", "python": tmp_path, "packages": ["thing"]}
    Sandbox(**given).close()  # its bundle is there then
    for value, before in (("1", 0), ("2", 1)):
        if value == "2":
            thing.with_name("new").write_text("value = 2\n")
            os.replace(thing.with_name("new"), thing)
        ended.clear()
        with Sandbox(**given) as sandbox:
            assert ended == [LEAST_NUMBER] * before  # the number of what it was asked last
            found = sandbox.run("import thing; thing.value").value
        assert found and found.text == value
