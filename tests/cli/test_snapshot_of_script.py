"""``limpet snapshot`` of a script: its hooks, and what no two starts have alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from limpet.cli import cli, say
from limpet.contract import Backend
from tests.support.bundles import execute

SCRIPT = """
import os, random, sys, threading, uuid
from snapshot_restore_py import register_after_restore, register_before_snapshot

order = [random.random()]
register_before_snapshot(order.append, "before")
register_after_restore(order.append, "after")
uuid.uuid1()

def read():
    order.append("read")
    line = sys.stdin.readline().strip()
    fresh = random.random(), uuid.uuid1().node, order.pop(0)
    print(line, order, sys.argv, sys.orig_argv[1:], os.listdir("/.limpet") if
          os.path.exists("/.limpet") else "", sorted(os.environ.items()), fresh, sep="|")

thread = threading.Thread(target=read)
thread.start()
thread.join()
sys.exit(3)
"""


def _taken(folder: Path, *words: str) -> Path:
    made = CliRunner().invoke(cli, ["snapshot", "-q", "-o", str(folder / "again"), *words])
    assert made.exit_code == 0, made.output
    return folder / "again"


def test_goes_on(backend: Backend, tmp_path: Path) -> None:
    """The thread that reads is another than the one that is told, and hooks run around it."""
    (tmp_path / "script.py").write_text(SCRIPT)
    words = ["--python", "/usr/bin/python3", "--env", "WHO=me", str(tmp_path / "script.py"), "a"]
    bundle = _taken(tmp_path, "--backend", backend, *words)
    ran = [execute(["again", *more], bundle, b"line\n") for more in ([], [], ["b", "c"])]
    assert [(each.status, each.stderr) for each in ran] == [(3, b"")] * 3
    said = [each.stdout.decode().split("|") for each in ran]
    script = str(tmp_path / "script.py")
    for each, given in zip(said, (["a"], ["a"], ["b", "c"]), strict=True):
        assert each[:2] == ["line", "['read', 'before', 'after']"]
        assert each[2:4] == [str([script, *given]), str([script, "a"])]
        assert each[4:6] == ["", "[('LC_CTYPE', 'C.UTF-8'), ('WHO', 'me')]"]
    fresh = [eval(each[6]) for each in said]
    assert [len(set(each)) for each in zip(*fresh, strict=True)] == [3, 3, 1]


@pytest.mark.parametrize("way", ["time", "marker"])
def test_its_moment(way: str, tmp_path: Path) -> None:
    """It may come by time, and a script may say that it has: all the same is renewed."""
    ways = {
        "time": "import time; end = time.monotonic() + 1\nwhile time.monotonic() < end: pass",
        "marker": "open('/dev/limpet/snapshot', 'w').write('x')",
    }
    text = f"import random\nrandom.random()\n{ways[way]}\nprint(random.random())\n"
    (tmp_path / "script.py").write_text(text)
    script = ["/usr/bin/python3", "-I", str(tmp_path / "script.py")]
    bundle = _taken(tmp_path, "--backend", "process", "--after", "300ms", *script)
    assert len({execute(["a"], bundle).stdout for _ in range(2)}) == 2


def test_what_is_not_renewed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words by which nobody can tell what is a script."""
    monkeypatch.setitem(say._CHOSEN, "quiet", False)  # as another test has left it
    (tmp_path / "script.py").write_text("input()\n")
    words = ["snapshot", "--backend", "process", "-o", str(tmp_path / "again")]
    words += ["/usr/bin/python3", "-d", str(tmp_path / "script.py")]
    made = CliRunner().invoke(cli, words)
    assert made.exit_code == 0 and "have the random numbers of the moment" in made.output


def test_a_hook_that_fails(tmp_path: Path) -> None:
    """It is the script's error, and there is no snapshot."""
    text = "import snapshot_restore_py as it\nit.register_before_snapshot(lambda: 1 / 0)\ninput()\n"
    (tmp_path / "script.py").write_text(text)
    words = ["snapshot", "--backend", "process", "-o", str(tmp_path / "again")]
    words += ["--python", "/usr/bin/python3", str(tmp_path / "script.py")]
    made = CliRunner().invoke(cli, words)
    assert made.exit_code and "ZeroDivisionError" in str(made.exception or made.output)
    assert not (tmp_path / "again").exists()
