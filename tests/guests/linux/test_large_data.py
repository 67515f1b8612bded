"""A program with much data of its own gets it at once in a virtual machine, and no other does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import limpet
from tests.support.bundles import Maker

PROGRAM = """
#include <stdio.h>
static volatile int data[{size}] = {{1, 2, 3}};
int main(void) {{
    puts("started");
    fflush(stdout);
    getchar();
    data[5] = 7;
    printf("%d\\n", data[2] + data[5]);
    return 0;
}}
"""
PAGES = 100


def _changed(pid: int, low: int, size: int) -> int:
    """KiB of the monitor's memory there that are its own."""
    text = Path(f"/proc/{pid}/smaps").read_text()
    total = 0
    for each in re.finditer(r"^([0-9a-f]+)-([0-9a-f]+) .*?^Anonymous: +(\d+)", text, re.M | re.S):
        if int(each[1], 16) < low + size and low < int(each[2], 16):
            total += int(each[3])
    return total


@pytest.mark.kvm
@pytest.mark.parametrize(("pages", "brought"), [(PAGES, True), (8, False), (2000, False)])
def test_brought(make: Maker, pages: int, brought: bool) -> None:
    """All of it is the guest's own before it writes any; too little or too much is left."""
    program = make.compile(PROGRAM.format(size=pages * 1024), f"data{pages}")
    guest = make(program, "kvm")
    made = limpet.plan(limpet.load(program), limpet.Options(backends=("kvm",)))
    assert [d.included for d in made.decisions if d.name == "large_data"] == [brought]
    region = max(
        (each for each in made.regions if each.name.startswith("image")), key=lambda r: r.size
    )
    with subprocess.Popen([guest.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout and running.stdout.readline() == b"started\n"
        changed = _changed(running.pid, region.address, region.size)
        assert (changed >= min(pages, PAGES) * 4) == brought
        out, _ = running.communicate(b"\n", timeout=60)
    assert (out, running.returncode) == (b"10\n", 0)


def test_in_a_process(make: Maker) -> None:
    """There a first touch is no exit, and nothing is brought."""
    program = make.compile(PROGRAM.format(size=PAGES * 1024), f"data{PAGES}")
    made = limpet.plan(limpet.load(program), limpet.Options(backends=("process",)))
    assert [d.included for d in made.decisions if d.name == "large_data"] == [False]
