"""Whose the files of a volume are, for who has a root of his own and cannot see it himself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from limpet.audit.inspect import audit
from tests.running.test_left_open import told
from tests.running.test_own_mounts import ANOTHER, program
from tests.running.test_volumes import fill_rights
from tests.support import SUPPORT
from tests.support.bundles import Maker

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root is somebody else")

MINE, ROOTS, ANOTHERS = (1000, 1000), (0, 0), (1002, 1003)
OF_A_GROUP = (*ANOTHER[:-1], "--groups=1001")
WITHOUT_PROC = ("unshare", "--mount", "sh", "-c", 'umount -l /proc; exec "$@"', "sh")
SHOWN = """\
data 0:0
open 0:0
mine 0:0
open 0:0
another's 1002:1003
open 1002:1003
shared 0:1001
open 0:1001
link 1002:1003
open 0:0
"""
"""The starter's own are root's in the guest."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One of user 1000's, with files of others in it."""
    made = tmp_path / "data"
    made.mkdir()
    owners = {
        "mine": MINE,
        "another's": ANOTHERS,
        "shared": (1000, 1001),
        "-old": ANOTHERS,
        "f": MINE,
    }
    for name, owner in owners.items():
        (made / name).write_text("contents")
        os.chown(made / name, *owner)
    (made / "shared").chmod(0o640)
    (made / "link").symlink_to("mine")
    os.lchown(made / "link", *ANOTHERS)
    os.chown(made, *MINE)
    fill_rights(made)
    return made


@pytest.mark.parametrize("volume", ["volume:/data:ro", "volume:/data"])
@pytest.mark.parametrize(
    "before", [OF_A_GROUP, (*WITHOUT_PROC, *OF_A_GROUP)], ids=["a user", "without proc"]
)
def test_owners(make: Maker, folder: Path, volume: str, before: Sequence[str]) -> None:
    """They are as the host gives them, also of what is not the starter's."""
    source = (SUPPORT / "programs" / "owners.c").read_text(encoding="utf-8")
    made = make(make.compile(source, "owners"), "process", devices=(volume,))
    fill_rights(made.path)
    names = ["", "/mine", "/another's", "/shared", "/link"]
    new = "" if volume.endswith(":ro") else "+new 0:0\nopen 0:0\n"
    new += "-old 1002:1003\nopen 1002:1003\ngone 65534:65534\n" if new else ""
    names += ["/+new", "/-old"] if new else []
    argv = [*before, str(made.path), f"--volume:/data={folder}", "--"]
    done = subprocess.run(
        [*argv, *(f"/data{name}" for name in names)], capture_output=True, text=True, check=True
    )
    assert done.stdout == SHOWN + new
    if new:
        made_there = (folder / "+new").stat()
        assert (made_there.st_uid, made_there.st_gid) == MINE


@pytest.mark.parametrize("volume", ["volume:/w:ro", "volume:/w"])
def test_a_root_for_another_user(make: Maker, folder: Path, volume: str) -> None:
    """It is his folder, in a namespace of users in which the process has no capability."""
    made = program(make, "process", volume)
    fill_rights(made.path)
    assert "namespaces of its own" not in {
        p.name for p in audit(made.path).protections if p.present
    }
    with told(made, folder, "waits", "rf", before=ANOTHER) as pid:
        assert os.path.samefile(f"/proc/{pid}/root/", folder)
        assert os.path.samefile(f"/proc/{pid}/cwd/", folder)
        assert os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")
        assert os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
        for each in "uid_map", "gid_map":
            assert Path(f"/proc/{pid}/{each}").read_text().split() == ["1000", "1000", "1"]
        said = Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t1000\t1000\t1000\t1000" in said and "NoNewPrivs:\t1" in said
        for each in "Inh", "Prm", "Eff", "Amb":
            assert f"Cap{each}:\t{0:016x}" in said
        (namer,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert os.readlink(f"/proc/{namer}/ns/user") == os.readlink("/proc/self/ns/user")


@pytest.mark.parametrize("owner", [ROOTS, (1000, 1001)], ids=["root's", "of another group"])
def test_no_root_for_another_user(make: Maker, folder: Path, owner: tuple[int, int]) -> None:
    """Where most files may be somebody else's: each would have to be asked for."""
    made = program(make, "process", "volume:/w:ro")
    fill_rights(made.path)
    os.chown(folder, *owner)
    with told(made, folder, "waits", "rf", before=ANOTHER) as pid:
        assert os.path.samefile(f"/proc/{pid}/root/", "/")
        assert not Path(f"/proc/{pid}/task/{pid}/children").read_text()
