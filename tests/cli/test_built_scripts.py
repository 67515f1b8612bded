"""The bundle of a script is one file, and is started with the script's arguments alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

import limpet as library
from limpet.cli.build import command as build
from limpet.contract import Backend
from limpet.errors import PlanError
from limpet.guests.linux.layout import Layout
from tests.support.bundles import BUSYBOX, execute, need
from tests.support.command import Cli
from tests.support.large import large

SHOWN = 'printf "%s|" "$0" "$@"; read line; printf "%s" "$line"'
GIVEN = ["a b", "", "c\nd", "\udcff"]


def test_words(backend: Backend, tmp_path: Path) -> None:
    """They stand in the place of the bundle's name, whatever that is; no words go on from them."""
    words = ("busybox", "sh", "-c", SHOWN, "zero é")
    options = library.Options(backends=(backend,), words=words, memory=8 << 20)
    plan = library.plan(library.load(need(BUSYBOX, "busybox-static")), options)
    library.build(plan).write(tmp_path / "b")
    for name in ("b", "", "/x/y"):
        ran = execute([name, *GIVEN], tmp_path / "b", b"in\n")
        natively = subprocess.run(
            [BUSYBOX, *words[1:], *GIVEN], input=b"in\n", capture_output=True, check=False
        )
        assert (ran.status, ran.stdout, ran.stderr) == (0, natively.stdout, b"")
    assert execute(["b"], tmp_path / "b").stdout == "zero é|".encode()
    assert isinstance(plan.layout, Layout)
    room = (plan.layout.stack[1] - plan.layout.stack[0]) // 4 - len("b\0")
    fit = ["x" * 9_999] * (room // 10_000)
    for most in ([*fit, "x" * (room % 10_000 - 1)], [*fit, "x" * 10_000]):  # without its own words
        late = execute(["b", *most], tmp_path / "b")
        assert late.status == 125 and b"pass fewer" in late.stderr


def test_bad_words() -> None:
    """What cannot be a word, and what leaves no room for others."""
    guest = library.load(need(BUSYBOX, "busybox-static"))
    for word in ("a\0b", "x" * 2_000_000):
        with pytest.raises(PlanError, match="the words that it starts with"):
            library.plan(guest, library.Options(backends=("process",), words=(word,)))


def test_words_of_a_start(limpet: Cli) -> None:
    """They are the bundle's: what to type is said."""
    done = limpet("build", "/usr/bin/cat", "words.txt")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "limpet: words.txt: a bundle gets its words when it is started",
        "limpet: try: leave them out, and then ./cat.limpet words.txt; "
        "--file HOST:GUEST packs a file",
    ]


def test_not_in_its_own_place(limpet: Cli) -> None:
    """What a bundle is made from is never overwritten by it, by whatever name."""
    (limpet.cwd / "script.sh").write_text("#!/bin/sh\n")
    (limpet.cwd / "again.sh").symlink_to("script.sh")
    for name in ("script.sh", "./again.sh"):
        done = limpet("build", "script.sh", "-o", name)
        assert done.returncode == 2 and "take the place of what it is made from" in done.stderr
    assert (limpet.cwd / "script.sh").read_text() == "#!/bin/sh\n"


def test_a_script(limpet: Cli) -> None:
    """It is found in PATH, and its interpreter as a start finds it."""
    script = limpet.cwd / "bin" / "script"
    script.parent.mkdir()
    script.write_text(f"#!{need(BUSYBOX, 'busybox-static')} sh\n{SHOWN}\n")
    script.chmod(0o755)
    limpet.env["PATH"] = f"{script.parent}:{limpet.env['PATH']}"
    assert limpet("build", "--backend", "process", "script", "-o", "b").returncode == 0
    script.unlink()
    assert execute(["b", "1"], limpet.cwd / "b", b"in\n").stdout == f"{script}|1|in".encode()
    assert limpet("verify", "b").returncode == 0


def test_no_module_and_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be meant by -m and -c is said before anything is made."""
    monkeypatch.chdir(tmp_path)
    for words, what in (
        (["-m", "json.tool", "-c", "1"], "-m and -c do not go together"),
        (["-c", "1"], "the bundle has no name"),
        (["busybox", "-m", "json.tool"], "busybox and -m do not go together"),
        (["--python", "python3", "python3", "-c", "1"], "python3 and -c do not go together"),
    ):
        ended = CliRunner().invoke(build, words)
        assert isinstance(ended.exception, PlanError) and what in ended.exception.message
    assert "Missing argument" in CliRunner().invoke(build, []).output
    assert not any(tmp_path.iterdir())


@large
def test_a_module_and_code(limpet: Cli) -> None:
    """As python itself runs them, from a start with that module; and the interpreter alone."""
    need(Path("/usr/bin/python3"), "python3")
    limpet.env["PATH"] = "/usr/bin:/bin"
    code = "import sys, json; print(sys.argv, json.load(sys.stdin))"
    for bundle, words in (("m", ["-m", "json.tool"]), ("c", ["-c", code]), ("p", [])):
        made = limpet("build", "--backend", "process", "python3", *words, "-o", bundle)
        assert made.returncode == 0 and "cold" not in made.stderr
    for bundle, words in (
        ("m", ["-m", "json.tool", "--compact"]),
        ("c", ["-c", code, "a b", ""]),
        ("p", ["-c", "import sys; print(sys.executable, sys.path, input())"]),
    ):
        given = words if bundle == "p" else words[2:]
        ran = execute([bundle, *given], limpet.cwd / bundle, b'{"a": 1}\n')
        natively = subprocess.run(
            ["/usr/bin/python3", *words],
            input=b'{"a": 1}\n',
            capture_output=True,
            cwd=limpet.cwd,
            check=False,
        )
        assert ran.status == 0
        if bundle != "p":
            assert (ran.stdout, ran.stderr) == (natively.stdout, natively.stderr)
    assert ran.stdout.startswith(b"/usr/bin/python3 [")


@large
def test_a_script_of_python(limpet: Cli) -> None:
    """It starts warm, with its own words, as python itself runs it."""
    python = shutil.which("python3", path="/usr/bin")
    if python is None:
        pytest.skip("/usr/bin/python3 is missing: apt-get install python3")
    text = "import sys\nprint(sys.argv, sys.stdin.read(), 'limpet' in sys.modules)\nsys.exit(3)\n"
    (limpet.cwd / "app.py").write_text(text)
    made = limpet("build", "--backend", "process", "--python", python, "app.py", "-o", "b")
    assert made.returncode == 0 and "cold" not in made.stderr
    ran = execute(["other", *GIVEN], limpet.cwd / "b", b"in")
    natively = subprocess.run(
        [python, "app.py", *GIVEN], input=b"in", capture_output=True, cwd=limpet.cwd, check=False
    )
    assert (ran.status, ran.stdout, ran.stderr) == (3, natively.stdout, natively.stderr)
    assert "snapshot  it goes on" in limpet("audit", "--read-only", "b").stdout
