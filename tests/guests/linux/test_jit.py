"""Programs that run code they make: with --jit as on Linux, without it not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import limpet
from limpet.audit import audit
from limpet.contract import BACKENDS, Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker, execute, need
from tests.support.large import large

SOURCE = (SUPPORT / "programs" / "jit.c").read_text()


@pytest.mark.parametrize("backend", BACKENDS)
def test_made_code(make: Maker, backend: Backend) -> None:
    """Beside Linux: written and run in turns, across pages, with a system call of its own."""
    program = make.compile(SOURCE, "jit", "-O1")
    native = execute(["jit"], program, b"ab")
    ran = make(program, backend, memory=64 << 20, features=("jit",)).run(stdin=b"ab")
    assert (ran.status, ran.stderr) == (0, b"")
    assert ran.stdout.decode().splitlines() == native.stdout.decode().splitlines()
    assert len(native.stdout.splitlines()) > 20


REFUSED = """
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
int main(void) {
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int changed = mprotect(page, 4096, PROT_READ | PROT_EXEC);
    printf("%d %d\\n", changed, errno);
    return mmap(0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_without(make: Maker, backend: Backend) -> None:
    """EACCES, and at a bad end a line that names what it needs."""
    ran = make(make.compile(REFUSED, "refused"), backend).run()
    assert (ran.status, ran.stdout) == (1, b"-1 13\n")
    wanted = "limpet: refused asked for executable memory without --jit, which is not served"
    assert ran.stderr.decode() == f"{wanted}, backend {backend}\n"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("jit", [False, True])
def test_shown(make: Maker, backend: Backend, jit: bool) -> None:
    """In explain and in audit, where a policy can ask for it."""
    features = ("jit",) if jit else ()
    program = make.compile(SOURCE, "jit", "-O1")
    options = limpet.Options(backends=(backend,), features=features)
    plan = limpet.plan(limpet.load(program), options)
    (feature,) = (each for each in plan.decisions if each.name == "jit")
    assert feature.included == jit and "--jit" in feature.why
    found = audit(make(program, backend, features=features).path)
    assert found.findings == ()
    assert ("execute" in {each.name for each in found.hypercalls}) == jit
    present = {each.name for each in found.protections if each.present}
    assert ("code fixed at the start" in present) != jit


JAVA = """
public class Hello {
    public static void main(String[] words) throws Exception {
        long sum = 0;
        for (int i = 0; i < 20000000; i++) sum += i % 7;
        Thread other = new Thread(() -> System.out.println("from a thread"));
        other.start();
        other.join();
        System.out.println(sum);
    }
}
"""


@large
@pytest.mark.parametrize("backend", BACKENDS)
def test_java(tmp_path: Path, backend: Backend) -> None:
    """A class, compiled as it runs; and the version, as on this host."""
    java = need(Path("/usr/bin/java"), "openjdk-17-jdk-headless").resolve()
    (tmp_path / "Hello.java").write_text(JAVA)
    subprocess.run(["javac", "Hello.java"], cwd=tmp_path, check=True)
    include = ["--include", str(java.parent.parent / "lib"), "--include", "/etc/java-17-openjdk"]
    given = ["--file", f"{tmp_path}/Hello.class:/app/Hello.class", "--memory", "512M"]
    words = ["run", "--jit", "--backend", backend, *include, *given, str(java), "-cp", "/app"]
    done = ran(*words, "Hello")
    assert (done.stdout, done.stderr, done.returncode) == ("from a thread\n59999997\n", "", 0)
    native = subprocess.run([java, "-version"], capture_output=True, text=True, check=True)
    done = ran(*words, "-version")
    assert (done.stdout, done.stderr, done.returncode) == ("", native.stderr, 0)


CALLED_BACK = """
import ctypes
libc = ctypes.CDLL("libc.so.6")
numbers, pair = (ctypes.c_int * 6)(5, 1, 4, 2, 6, 3), [ctypes.POINTER(ctypes.c_int)] * 2
compare = ctypes.CFUNCTYPE(ctypes.c_int, *pair)(lambda a, b: a[0] - b[0])
libc.qsort(numbers, 6, ctypes.sizeof(ctypes.c_int), compare)
print(list(numbers), libc.strlen(b"four"))
"""


@large
@pytest.mark.parametrize("backend", BACKENDS)
def test_callbacks(tmp_path: Path, backend: Backend) -> None:
    """A C library calls functions of Python, through code that is made for each."""
    script = tmp_path / "callbacks.py"
    script.write_text(CALLED_BACK)
    given = ["--jit", "--backend", backend, "--memory", "256M"]
    done = ran("run", *given, "/usr/bin/python3", str(script))
    assert (done.stdout, done.stderr, done.returncode) == ("[1, 2, 3, 4, 5, 6] 4\n", "", 0)


@large
@pytest.mark.parametrize("backend", BACKENDS)
def test_node(backend: Backend) -> None:
    """With a compiler that writes code while it runs."""
    node = need(Path("/usr/bin/node"), "nodejs")
    script = "let s = 0; for (let i = 0; i < 3e7; i++) s += i % 7; console.log(s);"
    script += "setTimeout(() => console.log('later'), 20)"
    given = ["--jit", "--backend", backend, "--memory", "512M"]
    done = ran("run", *given, str(node), "-e", script)
    assert (done.stdout, done.stderr, done.returncode) == ("89999995\nlater\n", "", 0)


@large
def test_node_without(make: Maker) -> None:
    """It interprets, if it is told to."""
    node = need(Path("/usr/bin/node"), "nodejs")
    given = ["--backend", "process", "--memory", "512M", str(node)]
    assert ran("run", *given, "--jitless", "-p", "6 * 7").stdout == "42\n"
    assert "executable memory without --jit" in ran("run", *given, "-p", "6 * 7").stderr


def ran(*words: str) -> subprocess.CompletedProcess[str]:
    """The command line, and what it said."""
    command = [sys.executable, "-m", "limpet", "-q", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_nobody_else_pays(make: Maker) -> None:
    """A program that maps no memory has nothing of it, though it is asked for."""
    source = "int main(void) { return 0; }"
    program = make.compile(source, "small", "-nostartfiles", "-Wl,-e,main")
    plan = limpet.plan(limpet.load(program), limpet.Options(features=("jit",)))
    assert not {"protect", "execute"} & {call.name for call in plan.hypercalls}
