"""What ``limpet run`` takes from its cache: the same thing said once, and never something stale."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from limpet.tools.cache import Cache
from limpet.tools.toolchain import libc_mark, shared_folder
from tests.support import ROOT
from tests.support.bundles import BUSYBOX, KVM_PROBLEM, need
from tests.support.caches import seeded
from tests.support.command import Cli

HELLO = ROOT / "examples" / "hello.c"
PROCESS = ("--backend", "process")
PRINTS = '#include <stdio.h>\n#include "a.h"\nint main(void) { puts(A); return 0; }\n'
needs_kvm = pytest.mark.skipif(bool(KVM_PROBLEM), reason=f"*** NO KVM HERE: {KVM_PROBLEM} ***")


@pytest.fixture
def fresh(tmp_path: Path) -> Cli:
    """The command with a cache of its own."""
    home = tmp_path / "home"
    home.mkdir()
    seeded(home / "cache")
    return Cli(home, tmp_path)


def entries(cli: Cli, word: str) -> set[str]:
    """The entries of a kind."""
    return {path.name for path in Path(cli.env["LIMPET_CACHE"]).glob(f"{word}-*")}


@needs_kvm
def test_same_meaning_same_bundle(fresh: Cli) -> None:
    """What is left open, and what is said in other words, is no other bundle."""
    busybox = need(BUSYBOX, "busybox-static")
    said: list[list[str]] = [
        [],
        ["--backend", "kvm"],
        ["--memory", "128M"],
        ["--memory", "131072K", "--cpu", "v2"],
        ["--keep-times"],
        ["--timeout", "0.5m"],
        ["--timeout", "30s"],
    ]
    for words in said:
        assert fresh("-q", "run", *words, busybox, "echo", "x").stdout == "x\n"
    assert len(entries(fresh, "bundle")) == 2


def test_a_first_build_is_written_to_both(fresh: Cli) -> None:
    """To its place and to the cache; where its place is wrong it is in the cache all the same."""
    words = ("-q", "build", *PROCESS, HELLO, "-o")
    assert "cannot be written" in fresh(*words, "no/such/x").stderr
    (name,) = entries(fresh, "bundle")
    kept = Path(fresh.env["LIMPET_CACHE"]) / name / "bundle"
    fresh(*words, "again")
    again = (fresh.cwd / "again").read_bytes()
    assert again == kept.read_bytes()
    shutil.rmtree(kept.parent)
    fresh(*words, "first")
    assert (fresh.cwd / "first").read_bytes() == kept.read_bytes() == again
    assert os.access(fresh.cwd / "first", os.X_OK)


def project(folder: Path) -> str:
    """A project with its headers in another folder; what to run."""
    (folder / "app" / "inc").mkdir(parents=True)
    (folder / "app" / "limpet.toml").write_text('sources = ["main.c"]\nflags = ["-Iinc"]\n')
    (folder / "app" / "main.c").write_text(PRINTS)
    (folder / "app" / "inc" / "a.h").write_text('#define A "one"\n')
    return "app"


def lone(folder: Path) -> str:
    """A file with a header below it; what to run."""
    (folder / "app" / "inc").mkdir(parents=True)
    (folder / "app" / "main.c").write_text(PRINTS.replace('"a.h"', '"inc/a.h"'))
    (folder / "app" / "inc" / "a.h").write_text('#define A "one"\n')
    return "app/main.c"


@pytest.mark.parametrize("make", [project, lone])
def test_changed_header(limpet: Cli, make: Callable[[Path], str]) -> None:
    """A header in another folder counts; one that nothing includes does not."""
    app = make(limpet.cwd)
    run = ("-v", "run", *PROCESS, app)
    assert limpet(*run).stdout == "one\n"
    (limpet.cwd / "app" / "other.h").write_text('#define A "other"\n')
    again = limpet(*run)
    assert (again.stdout, again.stderr) == ("one\n", "")
    header = limpet.cwd / "app" / "inc" / "a.h"
    times = header.stat()
    header.write_text('#define A "two"\n')
    os.utime(header, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert limpet(*run).stdout == "two\n"
    header.write_text('#define A "one"\n')
    back = limpet(*run)
    assert back.stdout == "one\n"
    assert "building the monitor" not in back.stderr  # that program had a bundle


def test_header_that_appears(limpet: Cli) -> None:
    """A header that is found earlier, or that is asked for, is another program."""
    app = project(limpet.cwd)
    (limpet.cwd / app / "main.c").write_text(
        '#include <stdio.h>\n#include "a.h"\n#if __has_include("extra.h")\n#include "extra.h"\n'
        '#else\n#define X "plain"\n#endif\nint main(void) { puts(A X); return 0; }\n'
    )
    assert limpet("run", *PROCESS, app).stdout == "oneplain\n"
    (limpet.cwd / app / "a.h").write_text('#define A "nearer"\n')
    assert limpet("run", *PROCESS, app).stdout == "nearerplain\n"
    (limpet.cwd / app / "inc" / "extra.h").write_text('#define X "extra"\n')
    assert limpet("run", *PROCESS, app).stdout == "nearerextra\n"
    (limpet.cwd / app / "stdio.h").write_text(
        'int puts(const char *); static inline int more(void) { return puts("mine"); }\n'
        "#define main(x) main(x) { more(); return start(); } int start(x)\n"
    )
    (limpet.cwd / app / "limpet.toml").write_text('sources = ["main.c"]\nflags = ["-Iinc", "-I."]')
    changed = (
        (limpet.cwd / app / "main.c").read_text().replace("int main", "int start(void);int main")
    )
    (limpet.cwd / app / "main.c").write_text(changed)
    assert limpet("run", *PROCESS, app).stdout == "mine\nnearerextra\n"


def test_library_that_changes(limpet: Cli) -> None:
    """What the linker reads counts as well, and so does data that the assembler includes."""
    app = project(limpet.cwd)
    folder = limpet.cwd / app
    source = "extern const char text[];\nint puts(const char *);\nint main(void) { puts(text); }\n"
    (folder / "main.c").write_text(source)
    (folder / "limpet.toml").write_text('sources = ["main.c", "text.S"]\n')
    (folder / "text.S").write_text('.globl text\ntext: .incbin "data"\n.byte 0\n')
    for text in ("one", "two"):
        (folder / "data").write_text(text)
        assert limpet("run", *PROCESS, app).stdout == f"{text}\n"


def test_environment_is_no_input(limpet: Cli) -> None:
    """Variables that a compiler listens to change nothing: no key knows them."""
    (limpet.cwd / "evil").mkdir()
    (limpet.cwd / "evil" / "stdio.h").write_text("#error found\n")
    (limpet.cwd / "app.c").write_text('#include <stdio.h>\nint main(void) { puts("fine"); }\n')
    for name in ("CPATH", "C_INCLUDE_PATH", "CCC_OVERRIDE_OPTIONS"):
        limpet.env[name] = str(limpet.cwd / "evil")
    assert limpet("run", *PROCESS, "app.c").stdout == "fine\n"


def test_name_of_the_file(limpet: Cli) -> None:
    """``__FILE__`` is the same wherever the command is typed: the same file, the same bundle."""
    (limpet.cwd / "in").mkdir()
    text = "int puts(const char *);\nint main(void) { puts(__FILE__); }\n"
    (limpet.cwd / "in" / "app.c").write_text(text)
    for name in ("in/app.c", str(limpet.cwd / "in" / "app.c")):
        assert limpet("run", *PROCESS, name).stdout == "app.c\n"


def test_changed_project(limpet: Cli) -> None:
    """The manifest and the folder that it packs count."""
    app = project(limpet.cwd)
    folder = limpet.cwd / app
    source = 'char b[9]; fgets(b, 9, fopen("/f", "r")); puts(b);'
    source = f"#include <stdio.h>\nint main(void) {{ {source} return 0; }}\n"
    (folder / "main.c").write_text(source)
    for name in ("first", "second"):
        (folder / name).mkdir()
        (folder / name / "f").write_text(name)
        (folder / "limpet.toml").write_text(f'sources = ["main.c"]\nroot = "{name}"\n')
        assert limpet("run", *PROCESS, app).stdout == f"{name}\n"
    (folder / "second" / "f").write_text("third")
    assert limpet("run", *PROCESS, app).stdout == "third\n"


@pytest.mark.parametrize("folder", ["", "__pycache__", "a/__pycache__/b"])
def test_changed_tree(limpet: Cli, folder: str) -> None:
    """Whatever is packed counts, folders that Python makes for itself too."""
    busybox = need(BUSYBOX, "busybox-static")
    inner = limpet.cwd / "tree" / folder
    inner.mkdir(parents=True)
    for word in ("one", "two"):
        (inner / "file").write_text(word)
        path = os.path.join("/", folder, "file")
        done = limpet("-q", "run", *PROCESS, "--root", "tree", busybox, "cat", path)
        assert done.stdout == word


def test_deep_tree(limpet: Cli) -> None:
    """1,500 folders within each other, more than Python may recurse, for the commands too."""
    busybox = need(BUSYBOX, "busybox-static")
    deep = "tree" + "/d" * 1500
    subprocess.run(["mkdir", "-p", deep], cwd=limpet.cwd, check=True)
    try:
        args = ("-q", "run", *PROCESS, "--root", "tree", busybox, "ls", "-d", deep[4:])
        assert limpet(*args).stdout == deep[4:] + "\n"
    finally:
        subprocess.run(["rm", "-rf", "tree"], cwd=limpet.cwd, check=True)  # shutil recurses too


def test_warnings_stay(limpet: Cli) -> None:
    """A warning is printed each time, whether the bundle is made or found, for run and build."""
    program = limpet.cwd / "forks.c"
    program.write_text("#include <unistd.h>\nint main(void) { fork(); return 0; }\n")
    limpet("build", *PROCESS, "-o", "made", program)
    first = limpet("run", *PROCESS, "--timeout", "61s", program).stderr
    assert first.startswith("limpet: warning: forks.c certainly ")
    assert limpet("run", *PROCESS, "--timeout", "61s", program).stderr == first
    built = limpet("build", *PROCESS, "--timeout", "61s", "-o", "made", program).stderr
    assert built.startswith(first)
    assert limpet("-q", "run", *PROCESS, "--timeout", "61s", program).stderr == ""


CACHED = """
import os, sys
sys.argv = ["limpet", *sys.argv[1:]]
from limpet.cli import main
def started(path, argv):
    print(*sorted(name for name in sys.modules if "." not in name or name.startswith("limpet.")))
    os._exit(0)
os.execv = started
main()
"""
HEAVY = {"capstone", "subprocess", "tempfile", "shutil", "json", "tomllib", "rich"}


@pytest.mark.parametrize("strict", [(), ("--strict",)])
def test_cached_run_imports_little(limpet: Cli, strict: tuple[str, ...]) -> None:
    """A bundle that is there starts without what makes bundles, with --strict as well."""
    busybox = str(need(BUSYBOX, "busybox-static"))
    run = ("run", *PROCESS, *strict, busybox, "true")
    assert limpet(*run).returncode == 0
    argv = [sys.executable, "-c", CACHED, *run]
    done = subprocess.run(argv, env=limpet.env, capture_output=True, text=True, check=True)
    names = set(done.stdout.split())
    assert "limpet.building.cache_key" in names
    if not strict:  # the record is read with all care, which takes more
        assert not names & HEAVY
        assert not {name for name in names if name.startswith(("limpet.arch", "limpet.audit"))}
    assert not names & {"limpet.building.bundle", "limpet.guests.registry"}


def test_no_home(limpet: Cli) -> None:
    """A path and a cache are enough."""
    (limpet.cwd / "app.c").write_text('int puts(const char *);int main(void) { puts("fine"); }\n')
    env = {name: limpet.env.get(name, "") for name in ("LIMPET_CACHE", "PYTHONPATH")}
    limpet.env = env | {"PATH": "/usr/bin:/bin"}
    done = limpet("run", *PROCESS, "app.c")
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_no_place_for_a_cache(limpet: Cli) -> None:
    """A user whom no list knows, and who has no home folder, is told what to set."""
    argv = ["unshare", "--user", "--map-user=4321", sys.executable, "-m", "limpet", "doctor"]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": limpet.env.get("PYTHONPATH", "")}
    done = subprocess.run(
        argv, cwd=limpet.cwd, env=env, capture_output=True, text=True, check=False
    )
    if done.stderr.startswith("unshare"):
        pytest.skip(f"no user namespaces here: {done.stderr}")
    assert "MISSING cache: there is no home folder to keep a cache in\n" in done.stdout
    assert "try: set LIMPET_CACHE to a folder of your own\n" in done.stdout
    assert done.stderr == ""


def test_first_libc_is_announced(limpet: Cli) -> None:
    """The minute is said when it is one: where zig's folder has no libc yet."""
    (limpet.cwd / "app.c").write_text("int main(void) { return 0; }\n// announced\n")
    assert limpet("run", *PROCESS, "app.c").stderr == ""
    with shared_folder(Cache(Path(limpet.env["LIMPET_CACHE"]))) as shared:
        (shared / libc_mark()).unlink()
    try:
        (limpet.cwd / "app.c").write_text("int main(void) { return 0; }\n// announced again\n")
        said = limpet("run", *PROCESS, "app.c").stderr
        assert said == "limpet: compiling; the first time also a C library, which takes a minute\n"
        assert limpet("-q", "run", *PROCESS, "app.c").stderr == ""
    finally:
        (shared / libc_mark()).touch()


def test_refused_before_anything_is_made(fresh: Cli) -> None:
    """What is written wrongly is said at once, and nothing else is."""
    busybox = need(BUSYBOX, "busybox-static")
    for words, message in (
        (["--net", "x=nothing"], "limpet: --net x=nothing: not NAME=tap:INTERFACE"),
        (["--block", "x"], "limpet: --block x: not NAME=PATH"),
        (["-p", "80"], "limpet: -p 80: not [ADDRESS:]HOST:GUEST"),
        (["--connect", "name"], "limpet: --connect name: "),
    ):
        done = fresh("run", *words, busybox, "true")
        assert done.returncode == 2
        assert done.stderr.startswith(message)
    assert not entries(fresh, "bundle")
    fresh.env["LIMPET_CACHE_SIZE"] = "much"
    done = fresh("run", busybox, "true")
    assert done.stderr == (
        "limpet: LIMPET_CACHE_SIZE: 'much' is not a size; write for example 64M or 1G\n"
        "limpet: try: LIMPET_CACHE_SIZE=2G\n"
    )


def test_cache_of_others(fresh: Cli) -> None:
    """A cache that everybody can write is not used, to run or to build."""
    cache = Path(fresh.env["LIMPET_CACHE"])
    cache.chmod(0o777)
    done = fresh("run", need(BUSYBOX, "busybox-static"), "echo", "x")
    assert (done.stdout, done.returncode) == ("", 1)
    assert f"limpet: {cache}: not used as a cache, since somebody else may have" in done.stderr
    assert f"limpet: try: rm -r {cache}, or set LIMPET_CACHE" in done.stderr
