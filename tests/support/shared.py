"""A dynamic program with shared objects of its own, on glibc and on musl."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support import SUPPORT
from tests.support.bundles import need, once

SOURCES = SUPPORT / "programs" / "shared"
COMPILERS = {"glibc": ("gcc", "gcc libc6-dev"), "musl": ("musl-gcc", "musl-tools")}


@dataclass(frozen=True)
class Shared:
    """The program, what it can load, and what can be loaded before all others."""

    folder: Path

    @property
    def program(self) -> Path:
        """The program."""
        return self.folder / "main"

    @property
    def plugin(self) -> Path:
        """What it loads by itself."""
        return self.folder / "lib" / "plugin.so"

    @property
    def wrap(self) -> Path:
        """What LD_PRELOAD can name."""
        return self.folder / "lib" / "wrap.so"


def compiler(libc: str) -> str:
    """The command that compiles for ``libc``; skips loudly when it is not there."""
    name, package = COMPILERS[libc]
    return str(need(Path(shutil.which(name) or f"/usr/bin/{name}"), package))


def shared(folder: Path, libc: str) -> Shared:
    """The program for ``libc``, compiled into ``folder`` if it is not there yet."""
    made = once(folder / f"shared-{libc}", lambda new: _compile(new, compiler(libc)))
    return Shared(made)


def _compile(folder: Path, command: str) -> None:
    libraries = folder / "lib"
    libraries.mkdir(parents=True)

    def link(name: str, *flags: str) -> None:
        source = f"{SOURCES}/{name.removeprefix('lib')}.c"
        output = f"{libraries}/{name}.so"
        subprocess.run(
            [command, "-O2", "-fPIC", "-shared", "-o", output, source, *flags], check=True
        )

    link("libsecond", "-Wl,-soname,libsecond.so", f"-Wl,--version-script={SOURCES}/second.map")
    rpath = "-Wl,-rpath,$ORIGIN"
    link("libfirst", "-Wl,-soname,libfirst.so", rpath, f"-L{libraries}", "-lsecond")
    link("plugin", f"-L{libraries}", "-lfirst", rpath, "-Wl,-z,max-page-size=0x200000")
    link("wrap")
    argv = [command, "-O2", "-o", f"{folder}/main", f"{SOURCES}/main.c", f"-L{libraries}"]
    argv += ["-Wl,-rpath,$ORIGIN/lib", "-lfirst", "-lsecond", "-ldl"]
    subprocess.run(argv, check=True)
