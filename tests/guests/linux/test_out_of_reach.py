"""What nothing in a dynamic program leads to is not served, and says so if it is come to anyway."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from limpet.errors import PlanError
from limpet.planning.explain import as_text
from limpet.planning.plan import Plan
from tests.support import SUPPORT
from tests.support.bundles import execute
from tests.support.shared import compiler

SOURCES = SUPPORT / "programs" / "shared"


@dataclass(frozen=True)
class Few:
    """A program that calls little of a library, and how far ``sync`` is from what it calls."""

    program: Path
    library: Path

    def plan(self, *serve: str, backend: Backend = "process") -> Plan:
        """The plan of it."""
        options = limpet.Options(backends=(backend,), serve=serve)
        return limpet.plan(limpet.load(self.program), options)

    def calls(self, *serve: str) -> set[str]:
        """The system calls that are served."""
        return {call.name for call in self.plan(*serve).calls}

    def way(self, name: str) -> int:
        """From ``call39`` to another function, in bytes."""
        listed = subprocess.run(["nm", self.library], capture_output=True, text=True, check=True)
        rows = (line.split() for line in listed.stdout.splitlines())
        at = {row[2]: int(row[0], 16) for row in rows if len(row) == 3}
        return at[name] - at["call39"]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Few:
    """The program as it is."""
    return _made(tmp_path_factory.mktemp("few"))


def _made(folder: Path, source: str | None = None, *flags: str) -> Few:
    command = compiler("glibc")
    library, program = folder / "libmany.so", folder / "few"
    many = [command, "-O2", "-shared", "-fPIC", "-o", f"{library}", f"{SOURCES}/many.c", *flags]
    subprocess.run([*many, "-Wl,-soname,libmany.so"], check=True)
    text = source or (SOURCES / "few.c").read_text(encoding="utf-8")
    few = [command, "-O2", "-o", f"{program}", "-x", "c", "-", f"-L{folder}", "-lmany"]
    subprocess.run([*few, "-Wl,-rpath,$ORIGIN"], input=text.encode(), check=True)
    return Few(program, library)


def test_what_is_in(build: Few) -> None:
    """By name, by a table of jumps, by a pointer in data, by a name that dlsym is given."""
    served = build.calls()
    assert {"getpid", "getppid", "time", "membarrier", "sched_getaffinity"} <= served
    assert {"getpriority", "sched_getscheduler", "getrusage", "uname"} <= served
    assert {"sched_get_priority_max", "sched_get_priority_min"} <= served


def test_what_is_out(build: Few) -> None:
    """What only functions make that nobody names; and explain says where."""
    assert not {"sync", "mlock", "setgroups", "times"} & build.calls()
    text = as_text(build.plan())
    assert "out of reach: nothing was found to lead to them" in text
    assert "sync               nothing leads to 0x" in text


@pytest.mark.parametrize("how", ["a name of the moment", "a pointer to dlsym", "dlopen"])
def test_what_makes_all_of_it_in(tmp_path: Path, how: str) -> None:
    """A name that is no constant can be every one; an object of dlopen has names for anybody."""
    text = (SOURCES / "few.c").read_text(encoding="utf-8")
    if how == "a name of the moment":
        text = text.replace('argc > 9 ? "looked_up" : "call110"', "argv[0]")
    elif how == "a pointer to dlsym":
        text = text.replace(
            "int main", "void *(*volatile way)(void *, const char *) = dlsym;\nint main"
        )
    made = _made(tmp_path, text)
    if how == "dlopen":
        other = tmp_path / "lone"
        source = '#include <dlfcn.h>\nint main(void) { return !dlopen("libmany.so", 1); }'
        argv = [compiler("glibc"), "-o", f"{other}", "-x", "c", "-"]
        subprocess.run(argv, input=source.encode(), check=True)
        guest = limpet.load(other, include=[str(made.library)])
        plan = limpet.plan(guest, limpet.Options(backends=("process",)))
        served = {call.name for call in plan.calls}
    else:
        served = made.calls()
    assert {"sync", "mlock", "getpid", "membarrier"} <= served


def test_numbers_for_syscall(tmp_path: Path) -> None:
    """syscall() makes the calls whose numbers it is given, or any where those are no constants."""
    source = (
        "#include <unistd.h>\n#include <sys/syscall.h>\nlong call39(void);\n"
        "int main(int argc, char **argv) {{ (void)argv;"
        " return syscall({}) + syscall(argc > 1 ? 153 : 24) < call39(); }}\n"
    )
    (tmp_path / "one").mkdir()
    (tmp_path / "any").mkdir()
    served = _made(tmp_path / "one", source.format("SYS_sync")).calls()
    assert {"sync", "sched_yield"} <= served
    assert not {"times", "mlock"} & served
    assert {"times", "mlock"} <= _made(tmp_path / "any", source.format("argc")).calls()


def test_without_tables_for_unwinding(tmp_path: Path) -> None:
    """Where it is not known what its functions are, all of a library is in."""
    flags = ("-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-Wl,--no-eh-frame-hdr")
    assert {"sync", "times"} <= _made(tmp_path, None, *flags).calls()


def test_it_runs(build: Few, backend: Backend, tmp_path: Path) -> None:
    """As on Linux; what is come to unseen is ENOSYS, in a line with its name and what to do."""
    native = subprocess.run([build.program], capture_output=True, check=True)
    bundle, served = tmp_path / "few", tmp_path / "served"
    limpet.build(build.plan(backend=backend)).write(bundle)
    done = execute([str(build.program)], bundle)
    assert (done.stdout, done.stderr, done.status) == (native.stdout, b"", 0)
    argv = [str(build.program), str(build.way("call162"))]
    done = execute(argv, bundle)
    assert done.stdout == native.stdout + b"-38\n"
    assert done.stderr.decode() == (
        "limpet: few asked for sync, which nothing in it was found to lead to: build it with "
        f"--serve sync, backend {backend}\n"
    )
    limpet.build(build.plan("sync", backend=backend)).write(served)
    done = execute(argv, served)
    assert (done.stdout, done.stderr) == (native.stdout + b"0\n", b"")


def test_serve(build: Few) -> None:
    """A name adds its call, ``all`` every one of the code; what is no name is an error."""
    assert build.calls("sync") - build.calls() == {"sync"}
    assert {"sync", "times"} <= build.calls("all")
    for name, why in (("nonsense", "no system call of Linux"), ("fork", "not served by anything")):
        assert (name in NUMBERS) is (name == "fork")
        with pytest.raises(PlanError, match=why):
            build.plan(name)


def test_what_is_rewritten(build: Few) -> None:
    """Every site of a C library but those of signal restorers, which keep their shape."""
    plan = build.plan()
    own = [each for each in plan.guest.objects if each.path == str(build.library)]
    assert len(own) == 1 and len(own[0].scan.sites) > 40
    assert {why.partition(",")[0] for _, why in plan.rewriting.kept} == {
        "a signal restorer keeps its shape"
    }


@pytest.mark.parametrize(("program", "most"), [("/usr/bin/true", 76), ("/usr/bin/ls", 94)])
def test_real(program: str, most: int) -> None:
    """Programs of Debian are served a third of what their C library can ask for."""
    plan = limpet.plan(limpet.load(program), limpet.Options(backends=("process",)))
    assert plan.reached is not None and not plan.reached.unresolved
    assert len(plan.calls) <= most, len(plan.calls)
    assert {"mmap", "write", "exit_group"} <= {call.name for call in plan.calls}
