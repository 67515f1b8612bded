"""``limpet trace`` names what a program looked for in vain."""

from __future__ import annotations

import glob
import shlex
import subprocess
import sys
from pathlib import Path

from limpet.contract import Backend
from tests.support.bundles import Maker

LOOKS = r"""
#include <fcntl.h>
#include <sys/stat.h>
int main(int n, char **a) {
    struct stat status;
    for (int i = 1; i < n; i++) {
        open(a[i], O_RDONLY);
        stat(a[i], &status);
    }
    return 7;
}
"""


ODD = ("\x1b[31m", "a\nb", "b\\c", "\u202eb")
"""Names that would be a line of their own, or look like another."""


def _traced(*words: str | Path) -> list[str]:
    """What is said by a run that shows no call."""
    argv = [sys.executable, "-m", "limpet", "trace", "-e", "getpid", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 7, done.stderr
    return done.stderr.splitlines()


def test_what_it_looked_for(make: Maker, tmp_path: Path, backend: Backend) -> None:
    """Files of the host's that the guest has not, once each and as words of a shell."""
    program = make.compile(LOOKS, "looks")
    there, folder = tmp_path / "it's [there]", tmp_path / "folder"
    there.touch()
    folder.mkdir()
    (folder / "packed").touch()
    packed = ["--backend", backend, "--no-given", "--include", folder / "packed"]
    for odd in ODD:
        (tmp_path / odd).touch()
    looks = [f"{there}", f"/{there}/", f"{folder}/packed", f"{tmp_path}/none", "//proc/kallsyms"]
    looks += ["it", *(f"{tmp_path}/{odd}" for odd in ODD)]
    ended, said = _traced(*packed, program, *looks)
    head, _, words = said.partition(": ")[2].partition(": ")
    assert ended == "+++ exited with 7 +++" and "looked for files" in head
    assert "a folder is packed with all that is in it" in head
    assert shlex.split(words) == ["--include", glob.escape(str(there))]
    assert _traced(*packed, *shlex.split(words), program, *looks) == [ended]
