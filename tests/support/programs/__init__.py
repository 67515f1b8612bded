"""Real programs for the tests: from Debian's packages, or compiled from registry sources.

Nothing here is copied into the repository: packages are named in :data:`DEBIAN_PACKAGES`, and
sources are fetched by name, version and hash when a test needs them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

DEBIAN_PACKAGES = (
    "bash-static",
    "busybox-static",
    "gcc",
    "libc6-dev",
    "libexpat1-dev",
    "liblua5.4-dev",
    "libpython3.11-dev",
    "libsqlite3-dev",
    "libzstd-dev",
    "mksh",
    "zlib1g-dev",
    "zsh-static",
)

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("LIMPET_TEST_CACHE") or Path.home() / ".cache" / "limpet-tests")

_READY = {
    "bash": "/bin/bash-static",
    "busybox": "/usr/bin/busybox",
    "mksh-klibc": "/usr/lib/klibc/bin/mksh",
    "mksh-musl": "/usr/lib/x86_64-linux-musl/bin/mksh",
    "zsh": "/bin/zsh-static",
}

_PYTHON = "/usr/lib/python3.11/config-3.11-x86_64-linux-gnu/libpython3.11.a"
_COMPILED: dict[str, list[str]] = {
    "python": ["-I/usr/include/python3.11", _PYTHON, "-lexpat", "-lz", "-lm"],
    "lua": ["-I/usr/include/lua5.4", "-llua5.4", "-lm"],
    "sqlite": ["-lsqlite3", "-lm"],
    "zstd": ["-lzstd"],
}

_QUICKJS = ("quickjs", "1.19.4", "1205953abc24ff757f4a795304d5d61e4bf1e555c9ef6ec96a132d4b95535484")


def get(name: str) -> Path:
    """The static program ``name``, made when it is not there yet; skips loudly when it cannot."""
    if name in _READY:
        path = Path(_READY[name])
        if not path.exists():
            _skip(name, f"{path} is missing")
        return path
    digest = hashlib.sha256((HERE / f"{name}.c").read_bytes()).hexdigest()
    path = CACHE / f"{name}-{digest[:16]}"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        temporary = CACHE / f".{name}.{os.getpid()}"
        _make(name, temporary)
        temporary.rename(path)
    return path


def _skip(name: str, why: str) -> None:
    pytest.skip(f"*** {name}: {why}: apt-get install {' '.join(DEBIAN_PACKAGES)} ***")


def _make(name: str, output: Path) -> None:
    flags = _quickjs_flags() if name == "quickjs" else _COMPILED[name]
    argv: list[str | Path] = [
        "gcc",
        "-O2",
        "-w",
        "-static",
        "-o",
        output,
        HERE / f"{name}.c",
        *flags,
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        _skip(name, done.stderr[-300:])


def _quickjs_flags() -> list[str]:
    name, version, digest = _QUICKJS
    folder = CACHE / f"{name}-{version}"
    if not folder.exists():
        _fetch(name, version, digest)
    source = folder / "upstream-quickjs"
    parts = ("quickjs", "libbf", "libregexp", "libunicode", "cutils")
    define = ['-DCONFIG_VERSION="0"', "-DCONFIG_BIGNUM", "-D_GNU_SOURCE"]
    return [*define, f"-I{source}", *(str(source / f"{each}.c") for each in parts), "-lm"]


def _fetch(name: str, version: str, digest: str) -> None:
    """Bring a source archive from PyPI, check its hash, and unpack it."""
    argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
    argv += ["-d", str(CACHE), f"{name}=={version}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    archive = CACHE / f"{name}-{version}.tar.gz"
    if not archive.exists():
        _skip(name, done.stderr[-300:])
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert found == digest, f"{archive}: SHA-256 is {found}, not {digest}"
    with tarfile.open(archive) as tar:
        tar.extractall(CACHE, filter="data")


def python_tree(destination: Path) -> Path:
    """CPython's standard library, laid out for packing, without tests and shared objects."""
    library = destination / "usr" / "lib" / "python3.11"
    if not library.exists():
        ignore = shutil.ignore_patterns(
            "__pycache__",
            "test",
            "idlelib",
            "lib2to3",
            "*.so",
            "config-*",
            "ensurepip",
            "distutils",
        )
        shutil.copytree(
            "/usr/lib/python3.11",
            library,
            ignore=ignore,
            symlinks=False,
            ignore_dangling_symlinks=True,
        )
    return destination
