"""Bundles built once and started the way a user starts them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.running.kvm import kvm_problem

BUSYBOX = Path("/usr/bin/busybox")
KVM_PROBLEM = kvm_problem()

if KVM_PROBLEM:
    sys.stderr.write(f"\n*** NO KVM HERE ({KVM_PROBLEM}): HALF OF THE TESTS CANNOT RUN ***\n")

BACKENDS: tuple[Backend, ...] = ("process",) if KVM_PROBLEM else ("kvm", "process")


def need(path: Path, package: str) -> Path:
    """``path``, or a loud skip that names the Debian package."""
    if not path.exists():
        pytest.skip(f"{path} is missing: apt-get install {package}")
    return path


@dataclass(frozen=True)
class Ran:
    """How a program ended."""

    status: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class Made:
    """A bundle on disk, started the way a user starts one."""

    path: Path
    name: str

    def run(self, *arguments: str, stdin: bytes = b"", timeout: float = 60) -> Ran:
        """Run it with ``arguments``."""
        return execute([self.name, *arguments], self.path, stdin, timeout)


def execute(
    argv: Sequence[str],
    path: Path,
    stdin: bytes = b"",
    timeout: float = 60,
    cwd: Path | None = None,
) -> Ran:
    """Run ``path`` as ``argv`` with an empty environment."""
    done = subprocess.run(
        list(argv),
        executable=path,
        input=stdin,
        capture_output=True,
        timeout=timeout,
        cwd=cwd,
        env={},
        check=False,
    )
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return Ran(status, done.stdout, done.stderr)


def once(path: Path, make: Callable[[Path], object]) -> Path:
    """``path``, made by the first of several processes that ask for it."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            new = path.with_name(f"{path.name}.new")
            make(new)
            new.rename(path)
    return path


_OTHER_LIBC = {"-O0", "-Os", "-Oz", "-pie", "-static-pie", "-g"}


def _digest(*what: object) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]


class Maker:
    """Builds bundles into a folder that all workers of a session share, each once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._guests: dict[object, limpet.Guest] = {}
        self._made: dict[object, Made] = {}

    def __call__(
        self,
        program: Path,
        backend: Backend,
        *,
        root: Path | None = None,
        name: str | None = None,
        keep_times: bool = False,
        **options: object,
    ) -> Made:
        """The bundle of ``program`` for one backend."""
        chosen = replace(limpet.Options(backends=(backend,)), **options)  # type: ignore[arg-type]
        chosen = replace(chosen, rewrite=chosen.rewrite and "LIMPET_NO_REWRITE" not in os.environ)
        guest = program, root, keep_times
        whole = guest, chosen
        if whole not in self._made:
            # A tree may change from test to test: what holds one is for this worker alone.
            own = (os.getpid(), len(self._made)) if root is not None else ()
            path = self.folder / f"bundle-{_digest(whole, own)}"

            def make(new: Path) -> None:
                if guest not in self._guests:
                    self._guests[guest] = limpet.load(program, root=root, keep_times=keep_times)
                limpet.build(limpet.plan(self._guests[guest], chosen)).write(new)

            self._made[whole] = Made(once(path, make), name or program.name)
        return self._made[whole]

    def compile(self, source: str, name: str, *flags: str, compiler: str = "zig") -> Path:
        """A static program from C text, with zig's musl or the host's glibc."""
        text = self.folder / f"{_digest(source)}" / f"{name}.c"
        text.parent.mkdir(exist_ok=True)

        def write(new: Path) -> None:
            new.write_text(source, encoding="utf-8")

        once(text, write)
        return self._compiled([text], source, name, flags, compiler)

    def compile_folder(self, sources: Path, *flags: str, compiler: str = "zig") -> Path:
        """The same from the C files of a folder, whose name it gets."""
        files = sorted(sources.glob("*.[ch]"))
        content = "".join(each.read_text(encoding="utf-8") for each in files)
        units = [each for each in files if each.suffix == ".c"]
        return self._compiled(units, content, sources.name, flags, compiler)

    def _compiled(
        self,
        units: Sequence[Path],
        content: str,
        name: str,
        flags: tuple[str, ...],
        compiler: str,
    ) -> Path:
        def make(new: Path) -> None:
            if compiler == "zig":
                from limpet.tools.toolchain import compile_program

                other = [each for each in flags if each[:2] == "-m" or each in _OTHER_LIBC]
                assert not other, f"zig builds a libc for {other}, which takes it a minute"
                compile_program(units, new, flags)
            else:
                need(Path(shutil.which("gcc") or "/usr/bin/gcc"), "gcc libc6-dev")
                subprocess.run(["gcc", "-O2", "-o", new, *units, *flags], check=True)

        folder = self.folder / _digest(content, name, flags, compiler)
        folder.mkdir(exist_ok=True)
        return once(folder / name, make)
