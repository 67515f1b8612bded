"""Files that are put where they are to be, whole."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from limpet.tools import executables

WAYS = {
    "put": "executables.put(path, killed)",
    "take_place": "executables.take_place(path, killed)",
}
KILLED = """
import os, pathlib, signal, sys
from limpet.tools import executables
path = pathlib.Path(sys.argv[1])
def killed(new):
    with open(new, "wb") as stream:
        stream.write(b"half of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left_of_who_was_killed(tmp_path: Path, way: str) -> None:
    """And what was there is as it was."""
    path = tmp_path / "bundle"
    path.write_bytes(b"the last one")
    words = [sys.executable, "-c", KILLED + WAYS[way], str(path)]
    assert subprocess.run(words, check=False).returncode < 0
    assert os.listdir(tmp_path) == ["bundle"] and path.read_bytes() == b"the last one"


def test_file_systems_without_nameless_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have temporary names instead, and nothing else of them stays."""
    opened = os.open

    def without(path: str, flags: int, *more: int, **others: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return opened(path, flags, *more, **others)

    monkeypatch.setattr(os, "open", without)
    path = tmp_path / "bundle"
    executables.write(path, b"one")
    assert executables.take_place(path, lambda new: new.write_bytes(b"other") > 0)
    assert not executables.take_place(path, lambda new: new.write_bytes(b"no") < 0)
    assert os.listdir(tmp_path) == ["bundle"] and path.read_bytes() == b"other"


def test_nobodys(tmp_path: Path) -> None:
    """A file that nobody has in any way."""
    path = tmp_path / "program"
    shutil.copy("/bin/sleep", path)
    assert executables.is_nobodys(path)
    with path.open("rb") as stream:
        assert not executables.is_nobodys(path)
        memory = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
    assert not executables.is_nobodys(path)
    memory.close()
    with subprocess.Popen([path, "60"]) as process:
        assert not executables.is_nobodys(path)
        process.kill()
    assert executables.is_nobodys(path)
    path.chmod(0o777)
    assert not executables.is_nobodys(path)
    path.chmod(0o755)
    (tmp_path / "link").symlink_to(path)
    assert executables.is_nobodys(path) and not executables.is_nobodys(tmp_path / "link")
    (tmp_path / "other").hardlink_to(path)
    assert not executables.is_nobodys(path)
    assert not executables.is_nobodys(tmp_path / "none")


def test_the_longest_name(tmp_path: Path) -> None:
    """It is not too long because of a temporary name beside it."""

    def make(new: Path) -> bool:
        return new.write_bytes(b"other") > 0

    for name in ("n" * 255, "\u20ac" * 85):
        path = tmp_path / name
        executables.write(path, b"one")
        assert path.read_bytes() == b"one"
        assert executables.take_place(path, make) and path.read_bytes() == b"other"


def test_a_file_is_written_in_large_pieces_at_multiples_of_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is given in, and where less is taken than it gives."""
    seen: list[bytes] = []

    def most(handle: int, data: memoryview, write: Callable[..., int] = os.write) -> int:
        seen.append(bytes(data))
        return write(handle, data[:7])

    monkeypatch.setattr(executables, "_PIECE", 8)
    monkeypatch.setattr(os, "write", most)
    executables.write(tmp_path / "file", b"a", b"", b"bcdefghijklmnopqrs", b"tuvw")
    assert (tmp_path / "file").read_bytes() == b"abcdefghijklmnopqrstuvw"
    assert seen == [b"abcdefgh", b"h", b"ijklmnop", b"p", b"qrstuvw"]
