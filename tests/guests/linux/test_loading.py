"""What a dynamic program loads and has not: offered beforehand, named when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.errors import BuildError
from limpet.formats.image import Access
from limpet.planning.explain import as_text
from tests.support import SUPPORT
from tests.support.bundles import execute, need
from tests.support.large import large
from tests.support.shared import compiler

SOURCES = SUPPORT / "programs" / "shared"


def _linked(output: Path, source: str, *flags: str) -> Path:
    output.parent.mkdir(parents=True, exist_ok=True)
    argv = [compiler("glibc"), "-O2", "-o", f"{output}", "-x", "c", "-", *flags]
    subprocess.run(argv, input=source.encode(), check=True)
    return output


def _library(output: Path, source: str = "int used(void) { return 1; }") -> Path:
    return _linked(output, source, "-shared", "-fPIC", f"-Wl,-soname,{output.name}")


@pytest.fixture
def twice(tmp_path: Path) -> Path:
    """A program that loads what it is told."""
    return _linked(tmp_path / "twice", (SOURCES / "twice.c").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("copied", "limpet: twice loads /tmp/copy.so, which has no place in its bundle: pack it "),
        ("apart", "libc.so.6 while it is loaded: it has one place, backend "),
    ],
)
def test_no_place(twice: Path, backend: Backend, how: str, line: str, tmp_path: Path) -> None:
    """An object that has no place, or that is loaded already, is named when it is loaded."""
    source = "int puts(const char *); int used(void) { return puts(0); }"  # so it needs libc.so.6
    library, bundle = _library(tmp_path / "libused.so", source), tmp_path / "bundle"
    guest = limpet.load(twice, include=[str(library)])
    limpet.build(limpet.plan(guest, limpet.Options(backends=(backend,)))).write(bundle)
    done = execute([str(twice), str(library), how], bundle)
    assert done.status == 0
    assert b"failed to map segment" in done.stdout
    assert line in done.stderr.decode(), done.stderr


def test_what_it_may_load_is_offered(tmp_path: Path) -> None:
    """Names of objects and folders of them in a program that has dlopen, with what to add."""
    plug_ins, named = tmp_path / "plug-ins", _library(tmp_path / "lib" / "libnamed.so.3")
    _library(plug_ins / "deep" / "one.so")
    source = f"""
    #include <dlfcn.h>
    int main(int argc, char **argv) {{
        const char *names[] = {{"{named}", "{plug_ins}", "libnowhere.so.9"}};
        return (argv[0] && {{call}}) + argc > 99;
    }}
    """.replace(str(plug_ins), f"/usr/../{plug_ins}")
    for call, offered in (("dlopen(names[argc % 3], 1)", True), ("names[argc % 3]", False)):
        program = _linked(tmp_path / f"program{offered}", source.replace("{call}", call))
        plan = limpet.plan(limpet.load(program))
        text = as_text(plan)
        assert (f"--include {named}\n" in text) is offered
        assert (f"--include /usr/../{plug_ins}\n" in text) is offered
        assert "libnowhere" not in text
    added = limpet.load(tmp_path / "programTrue", include=[str(named), str(plug_ins)])
    assert f"--include {named}" not in as_text(limpet.plan(added))


def test_a_locale_is_offered(tmp_path: Path) -> None:
    """One that a program names which chooses a locale, where this host has it in files."""
    locale = need(Path("/usr/lib/locale/C.utf8"), "libc-bin")
    for call, offered in (("setlocale(LC_ALL, name)", True), ("name", False)):
        source = '#include <locale.h>\nint main(int n, char **a) { const char *name = n ? "C.UTF-8"'
        program = _linked(tmp_path / "program", f"{source} : *a; return !{call}; }}")
        line = f"  C.UTF-8, in program: --include {locale}\n"
        assert (line in as_text(limpet.plan(limpet.load(program)))) is offered
        added = limpet.load(program, include=[str(locale)])
        assert line not in as_text(limpet.plan(added))


def test_time_zones_are_offered(tmp_path: Path) -> None:
    """To a program that looks for them itself; the C library does in every one."""
    zones = need(Path("/usr/share/zoneinfo"), "tzdata")
    for text, offered in ((f"{zones}/%s", True), (str(zones), False)):
        source = f'#include <stdio.h>\nint main(void) {{ puts("{text}"); }}'
        program = _linked(tmp_path / "program", source)
        line = f"  {zones}, in program: --include {zones}\n"
        assert (line in as_text(limpet.plan(limpet.load(program)))) is offered
        added = limpet.load(program, include=[str(zones / "UTC")])
        assert line not in as_text(limpet.plan(added))


@pytest.mark.parametrize("how", ["the object", "its folder", "neither"])
def test_an_object_of_anybody(tmp_path: Path, how: str) -> None:
    """A library that another user can exchange is a warning with its path and the reason."""
    library = _library(tmp_path / "lib" / "libused.so")
    source = "int used(void); int main(void) { return used(); }"
    rpath = f"-Wl,-rpath,{library.parent}"
    program = _linked(tmp_path / "program", source, f"-L{library.parent}", "-lused", rpath)
    changed = {"the object": library, "its folder": library.parent}.get(how)
    if changed:
        changed.chmod(0o777)
    warnings = limpet.plan(limpet.load(program)).warnings
    said = [each for each in warnings if "can be exchanged by another user of this host" in each]
    assert len(said) == (how != "neither"), warnings
    assert all(str(library) in each and "(mode 777)" in each for each in said)


def _many(folder: Path, count: int) -> Path:
    """A program with so many libraries, each of which is another one's copy by another name."""
    first = _library(folder / "lib" / "lib0000.so")
    data, name = first.read_bytes(), b"lib0000.so\0"
    assert data.count(name) == 1
    for index in range(1, count):
        new = f"lib{index:04}.so"
        (folder / "lib" / new).write_bytes(data.replace(name, new.encode() + b"\0"))
    names = [f"-l:lib{index:04}.so" for index in range(count)]
    flags = ["-Wl,--no-as-needed", f"-L{folder}/lib", *names, f"-Wl,-rpath,{folder}/lib"]
    return _linked(folder / "many", "int used(void); int main(void) { return used(); }", *flags)


@large
def test_a_thousand(tmp_path: Path) -> None:
    """Linux starts no program with the pieces of a thousand: said when the bundle is made."""
    plan = limpet.plan(limpet.load(_many(tmp_path, 1000)), limpet.Options(backends=("process",)))
    assert len(plan.guest.objects) == 1002
    with pytest.raises(BuildError, match=r"many: with its 1002 shared objects it has \d+ pieces"):
        limpet.build(plan)


def test_two_hundred(tmp_path: Path, backend: Backend) -> None:
    """As many as large programs have run, and are audited."""
    plan = limpet.plan(limpet.load(_many(tmp_path, 200)), limpet.Options(backends=(backend,)))
    limpet.build(plan).write(tmp_path / "bundle")
    assert execute(["many"], tmp_path / "bundle").status == 1
    audit = subprocess.run(
        [sys.executable, "-m", "limpet", "audit", tmp_path / "bundle"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert audit.stdout.startswith("VERIFIED"), audit.stdout + audit.stderr


def test_the_converters_of_the_c_library_are_offered() -> None:
    """Who converts text loads them by names that only the C library has."""
    text = as_text(limpet.plan(limpet.load("/usr/bin/iconv")))
    assert "--include /usr/lib/x86_64-linux-gnu/gconv\n" in text


def test_an_object_is_there_once(twice: Path, backend: Backend) -> None:
    """What is the same in its place and in its file; its code, which is rewritten, is not."""
    plan = limpet.plan(limpet.load(twice), limpet.Options(backends=(backend,)))
    made = limpet.build(plan).data
    (libc,) = (each for each in plan.guest.objects if each.path.endswith("libc.so.6"))
    for segment in libc.image.segments:
        page = segment.data[-8192:-4096]
        offset = libc.image.data.index(page)
        rewritten = any(offset <= each.address < offset + 4096 for each in libc.scan.sites)
        if Access.WRITE not in segment.access and not rewritten:
            once = Access.EXECUTE not in segment.access and backend == "process"
            assert made.count(page) == (1 if once else 2), segment.access
