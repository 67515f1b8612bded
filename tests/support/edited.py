"""A script of something that looks like Python, to be edited."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import limpet
from limpet.building.cache_key import Keys, keys_of
from limpet.cli.job import Job, Packing
from limpet.tools.inputs import digest_of
from tests.support.bundles import need

PROGRAM = r"""
#include <stdio.h>
int main(int count, char **words) {
    for (int at = 1; at < count; at++) {
        FILE *file = fopen(words[at], "r");
        for (int byte; file && (byte = getc(file)) != EOF;)
            putchar(byte);
    }
    return 0;
}
"""
DEEP = "/usr/lib" + 20 * "/x" + "/deep"
"""In more folders than anything else, so that what it grows by is before them."""

SCRIPT = "import helper, late\nprint(1)\n"


@dataclass(frozen=True)
class Project:
    """A script of something that looks like Python, a module of its own, and data."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "home/bin/python3.9"

    def __getitem__(self, name: str) -> Path:
        return self.folder / name

    def job(self, memory: int = 0, script: str = "app.py", words: tuple[str, ...] = ()) -> Job:
        files = {f"/{script}": self[script], "/data": self["data"], DEEP: self["deep"]}
        options = limpet.Options(backends=("process",), memory=memory, words=words)
        return Job.given(self.python, options, Packing(files=files))

    def built(self) -> Job:
        """What ``limpet build`` makes: an interpreter is called by its path."""
        return self.job(words=(str(self.python),))

    def keys(self, memory: int = 0, script: str = "app.py") -> Keys:
        job = self.job(memory, script)
        program, files = digest_of(str(job.app)), job.packing.files
        return keys_of(program, "x", job.options, root=None, files=files, keep_times=False)

    def reset(self) -> None:
        """Everything as it was, but for times."""
        for path in self.folder.glob("*.py"):
            path.unlink()
        texts = {"app.py": SCRIPT, "helper.py": "x = 1\n", "data": "d" * 6000, "deep": "e"}
        for name, text in texts.items():
            self[name].write_text(text)
            self[name].chmod(0o644)
        self["home/lib/python3.9/new.py"].unlink(missing_ok=True)


def made(folder: Path) -> Project:
    """A project in a new folder."""
    project = Project(folder)
    library = folder / "home/lib/python3.9"
    library.mkdir(parents=True)
    (library / "os.py").write_text("# a library\n")
    project.python.parent.mkdir()
    source = folder / "program.c"
    source.write_text(PROGRAM)
    gcc = need(Path(shutil.which("gcc") or "/usr/bin/gcc"), "gcc libc6-dev")
    subprocess.run([gcc, "-O1", "-o", project.python, source], check=True)
    project.reset()
    return project
