"""What a script names beside it and its guest does not have is said, and nothing is packed."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpet.loading.mentioned import mentioned


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data in it and below."""
    (tmp_path / "sub").mkdir()
    for name in ("data.csv", "sub/rows.json", "helper.py", "of two.txt"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("open('data.csv')", "data.csv:/data.csv"),
        ('open("./data.csv")', "data.csv:/data.csv"),
        ("x = f'sub/rows.json'", "sub/rows.json:/sub/rows.json"),
        ("open(HERE / 'rows.json')", ""),
        ("open('absent.csv'), open('helper.py'), 'app.py'", ""),
        ("open('sub/../data.csv'), open('/etc/hosts.txt')", ""),
        ("data.csv = 1", ""),
        ("# it is at X'data.csv'", ""),
        ("open('of two.txt')", "'of two.txt:/of two.txt'"),
    ],
)
def test_beside_a_script(here: Path, text: str, said: str) -> None:
    """By a name that leads to a file from the working folder."""
    script = here / "app.py"
    script.write_text(text)
    found = "".join(mentioned({"/app.py": Path("app.py")}, {"/app.py"}))
    assert (f"(--file {said} gives a copy)" in found) if said else not found


def test_beside_a_script_elsewhere(here: Path) -> None:
    """It may look for what lies beside it, wherever it was started."""
    (here / "sub/app.py").write_text("open(HERE / 'rows.json')")
    script = {"/sub/app.py": Path("sub/app.py")}
    assert "--file sub/rows.json:/sub/rows.json gives" in mentioned(script, ())[0]
    assert not mentioned(script, {"/rows.json"})


def test_what_is_there(here: Path) -> None:
    """Nothing is said of what is packed, or is in a folder of the host's."""
    (here / "app.py").write_text("open('data.csv'), open('sub/rows.json')")
    script = {"/app.py": Path("app.py")}
    assert "names data.csv, sub/rows.json, which" in mentioned(script, ())[0]
    assert "names sub/rows.json, which" in mentioned(script, {"/data.csv"})[0]
    assert not mentioned(script, {"/data.csv"}, ["/sub"])
    assert not mentioned(script, (), (), here)
    assert not mentioned({**script, "/b.py": Path("b.py")}, ())
