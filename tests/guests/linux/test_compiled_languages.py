"""Programs compiled by the host's own compilers: C++, Rust, OCaml and Haskell, with threads."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.bundles import need
from tests.support.installed import Row, same_as_on_linux
from tests.support.programs import HERE

pytestmark = pytest.mark.slow

SOURCES = HERE / "languages"
CRATES = Path("/usr/share/cargo/registry")


def _run(*argv: str, cwd: Path) -> None:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _cpp(here: Path) -> None:
    """An executable, and the library with the exceptions that it catches."""
    common = ("g++", "-std=c++17", "-O1", f"-I{SOURCES}")
    library, program = str(here / "libthrower.so"), str(here / "program")
    _run(*common, "-shared", "-fPIC", "-o", library, f"{SOURCES / 'thrower.cpp'}", cwd=here)
    linked = (f"-L{here}", "-lthrower", "-pthread", "-Wl,-rpath,$ORIGIN")
    _run(*common, "-o", program, f"{SOURCES / 'main.cpp'}", *linked, cwd=here)


def _rust(here: Path) -> None:
    _run("rustc", "-O", "-o", str(here / "program"), str(SOURCES / "main.rs"), cwd=here)


def _ocaml(here: Path) -> None:
    shutil.copy(SOURCES / "main.ml", here)
    libraries = ("-I", "+threads", "unix.cmxa", "threads.cmxa")
    _run("ocamlopt", *libraries, "main.ml", "-o", "program", cwd=here)


def _haskell(here: Path) -> None:
    """Its run-time system reserves a TiB of addresses."""
    shutil.copy(SOURCES / "main.hs", here)
    _run("ghc", "-v0", "-O1", "-threaded", "main.hs", "-o", "program", cwd=here)


def _tokio(here: Path) -> None:
    """With the crates that Debian has."""
    need(CRATES / "tokio-1.24.2", "cargo librust-tokio-dev")
    shutil.copytree(SOURCES / "timers", here / "timers")
    (here / "timers" / "src").mkdir()
    (here / "timers" / "main.rs").rename(here / "timers" / "src" / "main.rs")
    told = f'source.crates-io.replace-with="debian"\nsource.debian.directory="{CRATES}"\n'
    (here / "config.toml").write_text(told, encoding="utf-8")
    argv = ("cargo", "--config", str(here / "config.toml"), "build", "--offline", "--release")
    _run(*argv, cwd=here / "timers")
    (here / "timers" / "target" / "release" / "timers").rename(here / "program")
    shutil.rmtree(here / "timers")


LANGUAGES: dict[str, tuple[str, str, Callable[[Path], None], int]] = {
    "C++": ("g++", "g++", _cpp, 3),
    "Rust": ("rustc", "rustc", _rust, 4),
    "tokio": ("cargo", "cargo librust-tokio-dev", _tokio, 0),
    "Haskell": ("ghc", "ghc", _haskell, 6),
    "OCaml": ("ocamlopt", "ocaml-nox", _ocaml, 5),
}
"""The compiler, its package, what compiles, and how the program ends."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_as_on_linux(language: str, tmp_path: Path) -> None:
    """Streams, exceptions through libraries, threads, channels, timers, collection."""
    compiler, package, compile_, status = LANGUAGES[language]
    need(Path(shutil.which(compiler) or f"/usr/bin/{compiler}"), package)
    row = Row(
        package,
        ["{here}/program", "{here}/written"],
        environment=["WORD=said"],
        status=status,
        prepare=compile_,
        large=language in ("Haskell", "tokio"),
    )
    same_as_on_linux(row, tmp_path)
