"""A program's first call: a bundle is looked at while its guest starts, before that is asked."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from limpet import Sandbox
from limpet.errors import PlanError
from limpet.loading.interpreters import known
from limpet.sandbox import bundles
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


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of what each guest was asked last that is ended from now on."""
    found = list[int]()
    close = Instance.close

    def noted(self: Instance) -> None:
        found.append(self._number)
        close(self)

    monkeypatch.setattr(Instance, "close", noted)
    return found


def value_in(sandbox: Sandbox) -> str:
    """Of the package."""
    found = sandbox.run("import thing; thing.value").value
    assert found
    return found.text


def test_what_has_changed_is_asked_nothing(tmp_path: Path, ended: list[int]) -> None:
    """A guest with an older package is ended, and another one answers, which has the new one."""
    thing = environment(tmp_path)
    given: dict[str, Any] = {"backend": "process", "python": tmp_path, "packages": ["thing"]}
    Sandbox(**given).close()  # its bundle is there then
    ended.clear()
    with Sandbox(**given) as sandbox:
        assert value_in(sandbox) == "1" and not ended
    thing.with_name("new").write_text("value = 2\n")
    os.replace(thing.with_name("new"), thing)
    ended.clear()
    with Sandbox(**given) as sandbox:
        assert value_in(sandbox) == "2" and ended == [LEAST_NUMBER]
    thing.unlink()
    ended.clear()
    with pytest.raises(PlanError, match="has no module thing"):
        Sandbox(**given)
    assert ended == [LEAST_NUMBER]


def test_what_changes_while_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is another by the time its bundle is noted: the next sandbox has it."""
    thing, make = environment(tmp_path), bundles._make

    def late(*given: Any) -> None:
        make(*given)
        thing.with_name("new").write_text("value = 2\n")
        os.replace(thing.with_name("new"), thing)

    monkeypatch.setattr(bundles, "_make", late)
    for value in ("1", "2"):
        with Sandbox(backend="process", python=tmp_path, packages=["thing"]) as sandbox:
            assert value_in(sandbox) == value


def test_who_leads_out_does_not_start(tmp_path: Path, ended: list[int]) -> None:
    """Its code from before could change what is outside already, so the look comes first."""
    thing = environment(tmp_path / "environment")
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)  # for nobody, whom root starts
    given: dict[str, Any] = {
        "backend": "process",
        "python": tmp_path / "environment",
        "packages": ["thing"],
        "warm": "import thing; open(f'/data/{thing.value}', 'w').close()",
        "volumes": [f"{tmp_path}/data:/data"],
    }
    for value in ("1", "2"):
        thing.with_name("new").write_text(f"value = {value}\n")
        os.replace(thing.with_name("new"), thing)
        with Sandbox(**given) as sandbox:
            assert value_in(sandbox) == value and not ended
        assert [each.name for each in (tmp_path / "data").iterdir()] == [value]
        (tmp_path / "data" / value).unlink()
        ended.clear()
