"""The command line: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.bundles import BACKENDS, BUSYBOX, KVM_PROBLEM, need
from tests.support.caches import seeded
from tests.support.command import Cli
from tests.support.without_kvm import without_kvm

pytestmark = pytest.mark.slow

HELLO = ROOT / "examples" / "hello.c"


@pytest.mark.parametrize("backend", [*BACKENDS, "auto", "both"])
def test_run_c(limpet: Cli, backend: str) -> None:
    """A C file is compiled, bundled and run; only the guest is on standard output."""
    for _ in range(2):
        done = limpet("run", "--backend", backend, HELLO, "World")
        assert (done.stdout, done.returncode) == ("Hello, World!\n", 0)
    fallback = f"limpet: backend process ({KVM_PROBLEM})\n" if KVM_PROBLEM else ""
    assert done.stderr == (fallback if backend == "auto" else "")


def test_build_runs_alone(limpet: Cli) -> None:
    """A bundle runs by itself, and the same inputs give the same bytes."""
    assert limpet("build", "-o", "one", HELLO).returncode == 0
    limpet.env["LIMPET_CACHE"] = str(seeded(limpet.cwd / "cache"))
    assert limpet("build", "-o", "two", HELLO).returncode == 0
    one, two = limpet.cwd / "one", limpet.cwd / "two"
    assert one.read_bytes() == two.read_bytes()
    done = subprocess.run([one, "World"], env={}, capture_output=True, check=False)
    assert done.stdout == b"Hello, World!\n"


def test_build_names(limpet: Cli) -> None:
    """Without -o: the program's whole name, but for the ending of a C source."""
    program = limpet.cwd / "tool.v2"
    shutil.copy(need(BUSYBOX, "busybox-static"), program)
    for given, made in ((HELLO, "hello.limpet"), (program, "tool.v2.limpet")):
        assert limpet("build", "--backend", "process", given).returncode == 0
        assert (limpet.cwd / made).exists()


def test_explain(limpet: Cli) -> None:
    """Text and JSON say the same, in the same order every time."""
    text = limpet("explain", HELLO).stdout
    assert text == limpet("explain", HELLO).stdout
    assert "hypercalls out\n  console_in         no system call leads to it" in text
    data = json.loads(limpet("explain", "--json", HELLO).stdout)
    assert data["sites"]["found"] == 18
    assert not data["sites"]["unresolved"]
    assert data["plan"] in text


def test_explain_a_script(limpet: Cli) -> None:
    """As its interpreter with it, which is found as run finds it."""
    python = str(need(Path("/usr/bin/python3"), "python3"))
    (limpet.cwd / "app.py").write_text("import json\n")
    given = ["--env", "WHO=you", "--connect", "192.0.2.1:443"]
    done = limpet("explain", *given, "--python", python, "app.py", "--json")
    assert "start     app.py is packed for CPython" in done.stdout
    assert done.stdout == limpet("explain", *given, python, "app.py", "--json").stdout
    assert "192.0.2.1" in done.stdout


def test_explain_takes_what_run_takes(limpet: Cli) -> None:
    """Behind the program stand its own words, options too; of the command's own it is said."""
    plain = limpet("explain", HELLO)
    for words, name in (("-r", "--json"), "--json"), (("x", "--memory=1G"), "--memory"):
        done = limpet("explain", HELLO, *words)
        assert (done.returncode, done.stdout) == (0, plain.stdout)
        said = f"limpet: {name} stands behind the program and is the program's: "
        assert done.stderr == f"{said}options come before it\n"
    assert not limpet("explain", HELLO, "-r", "--", "--json").stderr
    done = limpet("snapshot", "-o", "taken", HELLO, "--strict")
    assert "--strict stands behind the program" in done.stderr


def test_warning_beforehand(limpet: Cli, tmp_path: Path) -> None:
    """A program that asks for what is not there is warned about, before it is refused."""
    program = tmp_path / "forks.c"
    program.write_text("#include <unistd.h>\nint main(void) { return fork() < 0 ? 3 : 0; }\n")
    warning = "forks.c certainly starts other processes (fork): they fail with ENOSYS"
    assert limpet("explain", program).stdout.startswith(warning)
    done = limpet("run", program)
    assert done.returncode == 3
    assert f"limpet: warning: {warning}" in done.stderr


def test_conceivable_is_no_warning(limpet: Cli) -> None:
    """What hides behind a table of pointers shows in the explanation alone."""
    done = limpet("explain", need(BUSYBOX, "busybox-static"))
    assert "busybox conceivably starts other processes (" in done.stdout
    assert "warning" not in done.stdout + done.stderr


def test_doctor(limpet: Cli) -> None:
    """Every line is a check; a host that can run something is fine."""
    done = limpet("doctor")
    assert done.returncode == 0
    said, _, protections = done.stdout.partition("protections on this host\n")
    assert all(line.startswith(("ok ", "MISSING", " ")) for line in said.splitlines())
    assert "seccomp" in said
    assert re.search(r"^ok      guest, process: one started and ended, in \S+ ms$", said, re.M)
    assert ("ok      guest, kvm: one started" in said) == ("ok      KVM" in said)
    lines = protections.splitlines()
    assert all(line.startswith(("active  ", "MISSING ")) for line in lines)
    assert {line[8:].partition(":")[0] for line in lines} == {
        "virtual machine",
        "system call filter",
        "Landlock",
        "devices on volumes",
        "no-execute pages",
        "code that cannot be read",
    }


def test_output_that_is_no_file(limpet: Cli) -> None:
    """-o with a device or a pipe writes into it and leaves it what it is; a folder is an error."""
    pipe = limpet.cwd / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        assert limpet("build", "--backend", "process", "-o", "pipe", HELLO).returncode == 0
        assert reader.stdout
        assert reader.stdout.read(4) == b"\x7fELF"
        reader.stdout.read()
    assert pipe.is_fifo()
    (limpet.cwd / "folder").mkdir()
    done = limpet("build", "--backend", "process", "-o", "folder", HELLO)
    assert done.returncode == 1
    assert done.stderr.startswith("limpet: folder: ")


def test_strict(limpet: Cli) -> None:
    """--strict starts what gets every protection, and refuses by name what does not."""
    done = limpet("run", "--strict", "--backend", "process", HELLO, "you")
    assert (done.stdout, done.returncode) == ("Hello, you!\n", 0)
    for backend in ([], ["--backend", "kvm"], ["--backend", "both"]):
        words = [sys.executable, "-m", "limpet", "run", "--strict", *backend, str(HELLO), "you"]
        hidden = without_kvm(words)
        done = subprocess.run(hidden, cwd=limpet.cwd, capture_output=True, text=True, check=False)
        assert "--strict: missing here: virtual machine (/dev/kvm: permission denied" in done.stderr
        assert (done.stdout, done.returncode) == ("", 125)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's guests are another user")
def test_folders_of_root(limpet: Cli) -> None:
    """Who starts as root hears which folder is closed to the user that the guest is."""
    busybox = str(need(BUSYBOX, "busybox-static"))
    (limpet.cwd / "work").mkdir(0o755)
    run = ("run", "--backend", "process", "--volume")
    told = "limpet: work cannot be written by user 65534, who a guest is that root starts: "
    assert limpet(*run, "work:/work", busybox, "true").stderr == f"{told}chown 65534 work\n"
    assert limpet(*run, "work:/work:ro", busybox, "true").stderr == ""
    os.chown(limpet.cwd / "work", 1234, 1235)
    assert limpet(*run, "work:/work", busybox, "true").stderr == f"{told}--user 1234:1235\n"
    as_owner = ("--user", "1234:1235", busybox, "touch", "/work/new")
    assert limpet(*run, "work:/work", *as_owner).stderr == ""
    assert (limpet.cwd / "work/new").exists()


def test_manifest(limpet: Cli) -> None:
    """A folder with limpet.toml: several sources, flags, and a tree."""
    app = limpet.cwd / "app"
    (app / "tree").mkdir(parents=True)
    (app / "tree" / "data").write_text("packed\n")
    (app / "limpet.toml").write_text(
        'sources = ["main.c", "more.c"]\nflags = ["-DN=3"]\nroot = "tree"\n'
    )
    (app / "more.c").write_text("int more(void) { return N; }\n")
    (app / "main.c").write_text(
        "#include <stdio.h>\nint more(void);\nint main(void) { char b[99]; "
        'fgets(b, 99, fopen("/data", "r")); printf("%s%d\\n", b, more()); return 0; }\n'
    )
    assert limpet("run", "app").stdout == "packed\n3\n"


def test_file_option(limpet: Cli) -> None:
    """--file packs a single file."""
    (limpet.cwd / "x").write_text("content\n")
    busybox = need(BUSYBOX, "busybox-static")
    done = limpet("run", "--file", "x:/deep/er/y", busybox, "cat", "/deep/er/y")
    assert done.stdout == "content\n"


def test_script(limpet: Cli) -> None:
    """A script gets its interpreter, its name and the arguments; so does a name on PATH."""
    busybox = need(BUSYBOX, "busybox-static")
    script = limpet.cwd / "greet"
    script.write_text(f'#!{busybox} sh\necho "$0: $# $2"\nread line; echo "$line"\n')
    for _ in range(2):
        done = limpet("run", "greet", "a", "b c", input="typed\n")
        assert (done.stdout, done.returncode) == ("greet: 2 b c\ntyped\n", 0)
    script.write_text(f"#!{busybox} sh\necho changed\n")
    assert limpet("run", "./greet").stdout == "changed\n"
    limpet.env["PATH"] = str(busybox.parent)
    assert limpet("run", "busybox", "echo", "found").stdout == "found\n"
    assert limpet("explain", "greet").stdout.startswith(
        f"start     greet is a script of {busybox}\n"
    )


def _bad_tree(cwd: Path) -> None:
    (cwd / "pipes").mkdir()
    os.mkfifo(cwd / "pipes" / "p")


def _bad_c(cwd: Path) -> None:
    (cwd / "bad.c").write_text("int main(void) { return nothing; }\n")


def _bad_manifest(cwd: Path) -> None:
    (cwd / "app").mkdir()
    (cwd / "app" / "limpet.toml").write_text("sources = 3\n")


def _script(cwd: Path) -> None:
    (cwd / "script").write_text("#!/nowhere/sh\n")


def _stray(cwd: Path) -> None:
    name = b"libc.so.6\0"
    program = Path("/bin/true").read_bytes()
    assert program.count(name) == 1
    (cwd / "stray").write_bytes(program.replace(name, b"libx.so.6\0"))


def _pipe(cwd: Path) -> None:
    os.mkfifo(cwd / "pipe")


def _nothing(cwd: Path) -> None:
    pass


BAD = [
    (["run", "missing"], 2, "limpet: missing: no such file", _nothing),
    (["run", "--root", "missing", str(HELLO)], 2, "missing: cannot be packed", _nothing),
    (["run", "--root", "pipes", str(HELLO)], 2, "pipes/p: a named pipe cannot be", _bad_tree),
    (["run", "--root", str(HELLO), str(HELLO)], 2, "not a folder", _nothing),
    (["run", "--file", "x", str(HELLO)], 2, "--file x: not HOST:GUEST", _nothing),
    (["run", "--file", "x:/y", str(HELLO)], 2, "x: cannot be read: No such file", _nothing),
    (["run", "--file", "bad.c:y", str(HELLO)], 2, "the guest's path must be absolute", _bad_c),
    (["run", "bad.c"], 2, "error: use of undeclared identifier 'nothing'", _bad_c),
    (["run", "app"], 2, "sources must be a list of strings", _bad_manifest),
    (["run", "."], 2, "a folder without limpet.toml", _nothing),
    (["run", "script"], 2, "script: its interpreter /nowhere/sh does not exist", _script),
    (["build", "script"], 2, "script: its interpreter /nowhere/sh does not exist", _script),
    (["run", "--root", ".", "stray"], 2, "libx.so.6 that stray needs is not found", _stray),
    (["run", "--memory", "10K", str(HELLO)], 2, "cannot be given to", _nothing),
    (["run", "--memory", "lots", str(HELLO)], 2, "'lots' is not a size", _nothing),
    (["run", "--memory", "90G", str(HELLO)], 2, "does not fit below", _nothing),
    (["run", "--serve", "nosuch", "bad.c"], 2, "--serve nosuch: no system call", _bad_c),
    (["build", "--feature", "nosuch", "stray"], 2, "no such feature: nosuch", _stray),
    (["explain", "--memory", "10K", "bad.c"], 2, "cannot be given to bad.c", _bad_c),
    (["run", "--env", "=1", str(HELLO)], 2, "'=1' is no variable of an environment", _nothing),
    (["run", "--timeout", "soon", str(HELLO)], 2, "'soon' is not a time", _nothing),
    (["build", "-o", "/proc/x", str(HELLO)], 1, "/proc/x: cannot be written", _nothing),
    (["build", "-o", "no/such/x", str(HELLO)], 1, "cannot be written", _nothing),
    (["run", "pipe"], 2, "limpet: pipe: not a regular file", _pipe),
    (["explain", "/dev/zero"], 2, "limpet: /dev/zero: not a regular file", _nothing),
    (["trace", "pipe"], 2, "limpet: pipe: not a regular file", _pipe),
    (["trace", "/dev/zero"], 2, "limpet: /dev/zero: not a regular file", _nothing),
    (["audit", "/proc/self/mem"], 2, "/proc/self/mem: cannot be read: Input", _nothing),
    (["frobnicate"], 2, "No such command", _nothing),
]


@pytest.mark.parametrize(
    ("arguments", "status", "message", "prepare"), BAD, ids=[" ".join(b[0])[:40] for b in BAD]
)
def test_bad_input(limpet: Cli, arguments: list[str], status: int, message: str, prepare) -> None:  # type: ignore[no-untyped-def]
    """A clear error that names the input; nothing on standard output, never a traceback."""
    prepare(limpet.cwd)
    done = limpet(*arguments)
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_kvm_unusable(limpet: Cli) -> None:
    """A bundle whose /dev/kvm cannot be opened says so, and what to do."""
    assert limpet("build", "--backend", "kvm", "-o", "one", HELLO).returncode == 0
    script = 'unshare -m sh -c "mount --bind /dev/null /dev/kvm && exec ./one"'
    done = subprocess.run(
        ["sh", "-c", script], cwd=limpet.cwd, capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no mount namespaces here: {done.stderr}")
    assert done.returncode == 125
    assert "limpet: KVM refused to set up the virtual machine: run `limpet doctor`" in done.stderr
