"""Memory of a sandbox in a file: it goes on from there, and what does not fit is refused before."""

from __future__ import annotations

import copy
import os
import pickle
import random
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from limpet import Sandbox, SandboxSnapshot
from limpet.contract import Backend
from limpet.errors import BuildError, BundleError, NeverRan, PlanError, VersionError
from limpet.sandbox import saved


def kept_of(sandbox: Sandbox) -> SandboxSnapshot:
    """What ``Sandbox.prepare`` would give."""
    return SandboxSnapshot(sandbox._there())


def test_it_goes_on(sandbox: Sandbox, tmp_path: Path) -> None:
    """With all that the code had, random numbers of its own, and the tools of who loads it."""
    sandbox.run("import os\nrows = ['a'] * 100_000\ndef f(): return len(rows), add(1)")
    path = tmp_path / "kept"
    sandbox.snapshot().save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and os.listdir(tmp_path) == ["kept"]
    loaded = kept_of(sandbox).load(path)
    with loaded.start() as one, loaded.start() as two:
        assert one.call("f") == two.call("f") == (100_000, 2)
        assert one.call("os.urandom", 8) != two.call("os.urandom", 8)


@pytest.mark.parametrize("repeat", [pickle.dumps, copy.deepcopy])
def test_only_as_a_file(backend: Backend, repeat: Callable[[object], object]) -> None:
    """Neither a copy nor a pickle has its descriptors, whose numbers are others' elsewhere."""
    with Sandbox(backend=backend) as sandbox:
        for each in (sandbox, kept_of(sandbox), sandbox.snapshot()):
            with pytest.raises(PlanError, match="neither pickled nor copied"):
                repeat(each)


def test_what_is_damaged(sandbox: Sandbox, tmp_path: Path) -> None:
    """Every byte counts, and none too few or too many; nothing is left open."""
    kept, path = kept_of(sandbox), tmp_path / "kept"
    sandbox.snapshot().save(path)
    whole, before = path.read_bytes(), os.listdir("/proc/self/fd")
    chance = random.Random(1)
    places = [chance.randrange(len(whole)) for _ in range(4)] + list(range(1, 40, 9))
    for at in (*places, len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises((BundleError, VersionError, PlanError)):
            kept.load(path)
    for data in (b"", whole[:17], whole[:300], whole[:-1], whole + b"\0", b"\0" * 100):
        path.write_bytes(data)
        with pytest.raises(BundleError, match=r"damaged|no snapshot of a sandbox"):
            kept.load(path)
    with pytest.raises(BundleError, match="cannot be read"):
        kept.load(tmp_path / "nowhere")
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_what_does_not_fit(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another Limpet, another backend, other arguments, other bytes: each is said."""
    kept, path = kept_of(sandbox), tmp_path / "kept"
    snapshot = sandbox.snapshot()
    as_it_is = saved._head(kept._prepared)
    for other, error, words in (
        ({"contract": 1}, VersionError, "contract 1; here is"),
        ({"limpet": "9.9"}, VersionError, "of Limpet 9.9"),
        ({"backend": "none"}, PlanError, "calls the monitor of that backend"),
        ({"packages": ["numpy"]}, PlanError, r"with packages=\['numpy'\]"),
        ({"fixed": "0"}, PlanError, "have changed since it was taken"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(saved, "_head", lambda _, other=other: as_it_is | other)
            snapshot.save(path)
        with pytest.raises(error, match=words):
            kept.load(path)


def test_what_is_not_saved(sandbox: Sandbox, tmp_path: Path) -> None:
    """Nothing has run, or the place is none."""
    with pytest.raises(PlanError, match="nothing has run in it"):
        kept_of(sandbox).save(tmp_path / "kept")
    with pytest.raises(BuildError, match="cannot be written"):
        sandbox.snapshot().save(tmp_path / "no" / "kept")
    assert not os.listdir(tmp_path)


def test_a_forged_one(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its writer can write a digest too: then only the guest is harmed."""
    snapshot, path = sandbox.snapshot(), tmp_path / "kept"
    memory = snapshot._prepared.memory
    assert memory
    os.pwrite(memory._file, (1 << 62).to_bytes(8, "little"), 0)
    snapshot.save(path)
    with pytest.raises(NeverRan, match="does not go on"):
        kept_of(sandbox).load(path).start()
