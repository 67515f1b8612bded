"""Files that the words of ``limpet run`` name: the guest has them, and a line says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import limpet
from limpet.cli.job import Job, Packing
from limpet.contract import Backend
from limpet.tools import upkeep
from limpet.tools.cache import Cache
from tests.support.bundles import Maker
from tests.support.command import Cli

READS = r"""
#include <errno.h>
#include <stdio.h>
#include <string.h>
int main(int count, char **words) {
    for (int at = 1; at < count; at++) {
        FILE *file = fopen(words[at], strcmp(words[at], "writes") ? "r" : "a");
        if (!file)
            printf("%s: %s\n", words[at], strerror(errno));
        else if (!strcmp(words[at], "writes"))
            printf("%d\n", fputs("the guest's", file) >= 0 && !fclose(file));
        else
            for (int byte; (byte = getc(file)) != EOF;)
                putchar(byte);
    }
    return 0;
}
"""


@pytest.fixture
def program(make: Maker) -> Path:
    """Prints the files that it is given."""
    return make.compile(READS, "reads")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command in a folder of its own, with everybody's cache."""
    cli = Cli(tmp_path, tmp_path)
    cli.env["LIMPET_CACHE"] = str(Cache.default().root)
    return cli


def test_they_are_given(cli: Cli, program: Path, backend: Backend) -> None:
    """Each as it is now, with a line of standard error; what the guest writes stays there."""
    run = ("run", "--backend", backend, program)
    data, writes = cli.cwd / "data", cli.cwd / "writes"
    writes.write_text("the user's")
    for text in ("one\n", "two, longer\n", "two, shorte\n"):
        data.write_text(text)
        ran = cli(*run, "data", "writes", "absent", "/etc/passwd")
        assert ran.stdout.startswith(f"{text}1\nabsent: No such file or directory\nroot:x:0:0")
        line = f"limpet: gives the guest copies of data ({len(text)} bytes) and writes (10 bytes)\n"
        assert ran.stderr.endswith(line)
    assert writes.read_text() == "the user's"


def test_another_name(cli: Cli, program: Path) -> None:
    """A file of another name is all that is new in the bundle."""
    for name, text in (("data", "one\n"), ("a-name", "two, longer\n")):
        (cli.cwd / name).write_text(text)
        ran = cli("-v", "run", "--backend", "process", program, name)
        assert ran.stdout.startswith(text)
        assert f"gives the guest a copy of {name} ({len(text)} bytes)\n" in ran.stderr
    assert "only names and texts have changed" in ran.stderr


def test_they_are_told(cli: Cli, program: Path) -> None:
    """With a switch there are none, with another no line; ``build`` has none of it."""
    (cli.cwd / "data").write_text("x\n")
    run = ("run", "--backend", "process")
    assert cli("-q", *run, program, "data").stdout == "x\n"
    assert cli("-q", *run, program, "data").stderr == ""
    without = cli(*run, "--no-given", program, "data")
    assert (without.stdout, without.stderr) == ("data: No such file or directory\n", "")
    explained = cli("explain", "--backend", "process", program, "data").stdout
    assert "start     limpet run gives the guest a copy of data (2 bytes)\n" in explained
    assert "gives the guest" not in cli("explain", "--backend", "process", program).stdout


def test_what_the_tree_has(cli: Cli, program: Path) -> None:
    """A name that is in the packed tree stays what it is there."""
    for folder in ("root/sub", "sub", "below"):
        (cli.cwd / folder).mkdir(parents=True)
    for name in ("root/both", "both", "alone", "sub/file", "below/file", "other"):
        (cli.cwd / name).write_text(f"{name}\n")
    (cli.cwd / "root/below").write_text("a file\n")
    (cli.cwd / "root/link").symlink_to("sub")
    words = ("both", "alone", "sub/file", "below/file", "named")
    run = ("run", "--backend", "process", "--root", "root", "--file", "other:/named")
    ran = cli(*run, program, *words)
    assert ran.stdout == "root/both\nalone\nsub/file\nbelow/file: Not a directory\nother\n"
    told, lost = ran.stderr.splitlines()
    assert told == "limpet: gives the guest copies of alone (6 bytes) and sub/file (9 bytes)"
    assert lost.startswith("limpet: below/file is not given to the guest: it has something of its")
    given = {f"/{each}": cli.cwd / "alone" for each in ("both", "sub", "link", "below/x", "free/x")}
    guest = limpet.load(program, root=cli.cwd / "root", given=given)
    packed = {each.path: each.size for each in guest.tree.entries}
    assert guest.given == ("/free/x",) and packed["/both"] == len("root/both\n")
    assert packed.keys() == {"/", "/both", "/below", "/free", "/free/x", "/link", "/sub"}


def test_they_do_not_stay(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run was given is thrown out of the cache when a few others came."""
    monkeypatch.setattr(upkeep, "FEW", 2)
    data, entries = tmp_path / "data", list[Path]()
    packing = Packing(given={"/data": data})
    once = f"ONCE={os.urandom(8).hex()}"  # nothing like it is in the cache already
    options = limpet.Options(backends=("process",), environment=(once,))
    job = Job.given(program, options, packing)
    for at in range(3):
        data.write_text(f"{at} of {tmp_path}")
        with job.bundle(Cache.default()) as made:
            assert made.given == ("/data",)
            assert data.read_bytes() in made.path.read_bytes()
            entries.append(made.path.parent)
    assert [each.exists() for each in entries] == [True, False, True]  # the first is the pattern
