"""Dynamic programs: their own loader loads them, beside the same program on Linux."""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.errors import ImageError
from limpet.formats.library_cache import compared, read_cache, write_cache
from tests.support.bundles import Made, Maker, execute, once
from tests.support.shared import Shared, shared

LIBCS = ("glibc", "musl")


@pytest.fixture(params=LIBCS)
def made(make: Maker, request: pytest.FixtureRequest) -> Shared:
    """The program with objects of its own, for each C library."""
    return shared(make.folder, request.param)


def bundle(
    where: Path, program: Path, backend: Backend, *include: Path, environment: tuple[str, ...] = ()
) -> Made:
    """The bundle of a dynamic program with what it loads by itself."""
    options = limpet.Options(
        backends=(backend,),
        environment=environment,
        rewrite="LIMPET_NO_REWRITE" not in os.environ,
    )

    def write(new: Path) -> None:
        patterns = [str(each) for each in include]
        guest = limpet.load(program, include=patterns, environment=environment)
        limpet.build(limpet.plan(guest, options)).write(new)

    return Made(once(where / f"{program.name}-{backend}", write), str(program))


def native(program: Path, *arguments: str, environment: tuple[str, ...] = ()) -> tuple[bytes, int]:
    """What it prints on Linux, and its exit status."""
    variables = dict(each.split("=", 1) for each in environment)
    done = subprocess.run(
        [program, *arguments], capture_output=True, env=variables, cwd="/", check=False
    )
    assert not done.stderr
    return done.stdout, done.returncode


def test_objects(made: Shared, backend: Backend, tmp_path: Path) -> None:
    """Constructors, TLS, versions, chosen functions, dlopen twice with data as in the file."""
    ran = bundle(tmp_path, made.program, backend, made.plugin)
    plugin = str(made.plugin)
    done = ran.run(plugin, plugin, "/nowhere.so", plugin)
    assert (done.stdout, done.status) == native(
        made.program, plugin, plugin, "/nowhere.so", plugin
    ), done.stderr
    assert b"plugin: 8014052" in done.stdout


def test_preload(made: Shared, backend: Backend, tmp_path: Path) -> None:
    """LD_PRELOAD stands before the others and reaches them by RTLD_NEXT."""
    environment = (f"LD_PRELOAD={made.wrap}",)
    ran = bundle(tmp_path, made.program, backend, environment=environment)
    done = ran.run()
    assert (done.stdout, done.status) == native(made.program, environment=environment)
    assert done.stdout.splitlines()[2].startswith(b"1009 ")


def test_library_path(made: Shared, backend: Backend, tmp_path: Path) -> None:
    """LD_LIBRARY_PATH of the guest leads to objects, ahead of the usual folders."""
    moved = tmp_path / "moved"
    moved.mkdir()
    program = moved / "main"
    program.write_bytes(made.program.read_bytes())
    program.chmod(0o755)
    environment = (f"LD_LIBRARY_PATH={made.folder / 'lib'}",)
    done = bundle(tmp_path, program, backend, environment=environment).run()
    assert (done.stdout, done.status) == native(program, environment=environment)
    with pytest.raises(ImageError, match=r"libfirst.so that main needs is not found"):
        limpet.load(program)


def test_cache(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """The loader finds what only ld.so.cache names, in one that is written here."""
    made = shared(make.folder, "glibc")
    folders = {"opt/x": ("libfirst.so", "libsecond.so"), "lib64": (), "lib/x86_64-linux-gnu": ()}
    for folder, names in folders.items():
        (tmp_path / "root" / folder).mkdir(parents=True)
        for name in names:
            shutil.copy(made.folder / "lib" / name, tmp_path / "root" / folder / name)
    for path in ("lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6"):
        shutil.copy(f"/{path}", tmp_path / "root" / path)
    (tmp_path / "root" / "etc").mkdir()
    program = tmp_path / "main"
    program.write_bytes(made.program.read_bytes().replace(b"$ORIGIN/lib", b"$ORIGIN/bil"))
    program.chmod(0o755)
    root = tmp_path / "root"
    with pytest.raises(ImageError, match="is not found"):
        limpet.load(program, root=root)
    paths = {f"lib{each}.so": f"/opt/x/lib{each}.so" for each in ("second", "first")}
    (root / "etc" / "ld.so.cache").write_bytes(write_cache(paths))
    plan = limpet.plan(limpet.load(program, root=root), limpet.Options(backends=(backend,)))
    limpet.build(plan).write(tmp_path / "bundle")
    done = execute([str(program)], tmp_path / "bundle")
    assert done.status == 5, done.stderr
    assert b"9 1 42 1\n" in done.stdout


def test_the_cache_of_this_host() -> None:
    """It is read as glibc's own tool reads it, and written as it is ordered there."""
    known = read_cache(Path("/etc/ld.so.cache").read_bytes())
    assert known["libc.so.6"] == "/lib/x86_64-linux-gnu/libc.so.6"
    assert read_cache(write_cache(known)) == known
    names = list(known)
    assert all(compared(one, other) >= 0 for one, other in pairwise(names))


REAL = {
    "true": ["/usr/bin/true"],
    "ls": ["/usr/bin/ls", "-l", "/usr/lib/x86_64-linux-gnu/libc.so.6"],
    "sort": ["/usr/bin/sort", "-rn"],
    "jq": ["/usr/bin/jq", "-c", "map(. * 2) | add"],
    "perl": ["/usr/bin/perl", "-ne", "print reverse split //"],
    "lua": ["/usr/bin/lua5.4", "-e", "for l in io.lines() do print(#l) end"],
    "sqlite": ["/usr/bin/sqlite3", "-batch", ":memory:", "select sqlite_version(), 6 * 7"],
    "xz": ["/usr/bin/xz", "-c", "-1"],
    "openssl": ["/usr/bin/openssl", "dgst", "-sha256"],
    "git": ["/usr/bin/git", "hash-object", "--stdin"],
}
INPUT = b"[3, 1, 2]\n"


@pytest.mark.parametrize("name", REAL)
def test_real(backend: Backend, name: str, tmp_path: Path) -> None:
    """Programs of Debian as they are."""
    argv = REAL[name]
    on_linux = subprocess.run(argv, input=INPUT, capture_output=True, env={}, check=False)
    program = Path(argv[0])
    made = bundle(tmp_path, program, backend)
    done = execute(argv, made.path, INPUT)
    if name == "ls":  # packed files have one time and one owner
        assert done.stdout.startswith(b"-rwxr-xr-x 1 root root ")
        assert done.stdout.split()[-1] == on_linux.stdout.split()[-1]
    else:
        assert (done.stdout, done.status) == (on_linux.stdout, on_linux.returncode), done.stderr
