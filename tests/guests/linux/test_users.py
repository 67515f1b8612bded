"""Programs that become another user: who may do what to which file, against the kernel.

A guest starts as root of its own world.  Not compared: links to what others own, which many hosts
refuse (fs.protected_hardlinks), making devices, and owners of what is no file of the tree.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import strategies as st

from limpet.contract import Backend
from tests.guests.linux.test_differential import CALLS, OPENED
from tests.support import SUPPORT
from tests.support.bundles import BACKENDS, Maker, Ran
from tests.support.same_calls import Calls, Pair, any_of, call_of, check_all, each, number_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes others"),
]

SHARED_MEMORY = Path("/dev/shm")
"""What is made and removed there ten thousand times costs little."""


def natively(program: Path) -> Ran:
    """What Linux makes of it, in an empty folder."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        Path(folder).chmod(0o755)
        done = subprocess.run([program], cwd=folder, capture_output=True, env={}, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["become", "files"])
def test_same_as_linux(make: Maker, backend: Backend, name: str) -> None:
    """From every identity to every other, and every kind of access to files of every mode."""
    source = SUPPORT / "programs/users" / f"{name}.c"
    program = make.compile(source.read_text(encoding="utf-8"), name)
    native, ours = natively(program), make(program, backend).run()
    assert ours.stdout.decode().splitlines() == native.stdout.decode().splitlines()
    assert (ours.status, native.status, ours.stderr) == (0, 0, b"")


user = each([0, 0, 5, 5, 7, -1])
BECOMING: Calls = {
    "setresuid": ((each([-1]), user, each([0])),) * 4,
    "setfsuid": ((user,),) * 2,
    "setresgid": ((each([-1]), user, each([0])),) * 3,
    "setfsgid": ((user,),),
    "setreuid": ((user, user),),
    "setuid": ((each([0, 0, 5]),),),
}
LEFT_OUT = ("link", "linkat", "pipe2", "eventfd2")
OTHERS = {name: some for name, some in CALLS.items() if name not in LEFT_OUT}
given_away = [
    call_of(name, some)
    for name in ("chown", "chmod", "mkdir", "setfsuid")
    for some in {**CALLS, **BECOMING}[name]
]
start = st.lists(st.one_of(given_away), max_size=6)
opened = st.sampled_from(
    [[number_of(" ".join(line)) for line in some if line[0] != "pipe2"] for some in OPENED]
)
call = st.one_of(any_of(OTHERS), any_of(OTHERS), any_of(OTHERS), any_of(BECOMING))
sequence = st.builds(lambda *parts: [*chain(*parts)], start, opened, st.lists(call, max_size=30))
sequences = st.lists(sequence, min_size=1, max_size=1)
EXAMPLES = {"process": 60, "kvm": 8}


FOUND = [
    ["setfsuid i5", "chown sx i-1 i-1", "chown sa i-1 i-1", "lchown sl i-1 i-1"],
    ["chmod sx i3492", "chown sx i5 i5", "stat sx S", "chown sd i5 i5", "stat sd S"],
    ["chmod sx i1473", "chown sx i0 i7", "stat sx S", "setfsuid i5", "chown sx i-1 i-1"],
    ["chmod sx i1473", "chown sx i5 i7", "setfsuid i5", "chown sx i-1 i-1", "stat sx S"],
    ["chmod sx i1473", "chown sx i5 i5", "setfsuid i5", "setfsgid i5", "chown sx i5 i5"],
    ["chmod sx i384", "setreuid i5 i0", "access sx i4", "setfsuid i5", "access sx i4"],
]
"""Calls that once gave something else, or nearly; who one really is counts for access(2)."""


@pytest.mark.parametrize("backend", BACKENDS)
def test_found_before(make: Maker, backend: Backend, template: Path) -> None:
    """Set-ID bits when a file changes its owner."""
    pair = Pair(make, backend, template)
    for calls in FOUND:
        pair.compare([list(map(number_of, calls))])


@pytest.mark.parametrize("backend", BACKENDS)
def test_random(make: Maker, backend: Backend, template: Path) -> None:
    """Any sequence of calls of who becomes one and the other."""
    check_all(Pair(make, backend, template).compare, sequences, EXAMPLES[backend])
