"""A volume as a mount of its own, where the starter may make one; and where it may not."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from limpet.contract import Backend
from limpet.contract.limits import DEVICE_FD
from tests.running.test_left_open import told
from tests.running.test_volumes import fill_rights
from tests.support import SUPPORT
from tests.support.bundles import Made, Maker

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices and mounts")

NO_MOUNTS = ("setpriv", "--bounding-set=-sys_admin")
MOUNTED = 'mount -t tmpfs none "$1/sub"; mknod -m 666 "$1/sub/null" c 1 3; echo x > "$1/sub/f"; '
WITH_A_MOUNT = ("unshare", "--mount", "sh", "-c", MOUNTED + 'shift; exec "$@"', "sh")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with a file, a device and a named pipe for everybody."""
    made = tmp_path / "data"
    (made / "sub").mkdir(parents=True)
    (made / "f").write_text("contents")
    os.mknod(made / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mkfifo(made / "fifo")
    for each in made.iterdir():
        each.chmod(0o777)
    fill_rights(made)
    return made


def program(make: Maker, backend: Backend, volume: str) -> Made:
    """A program that opens and closes as it is told."""
    source = (SUPPORT / "programs" / "leaves.c").read_text(encoding="utf-8")
    return make(make.compile(source, "leaves"), backend, devices=(volume,))


def said(made: Made, folder: Path, word: str, before: Sequence[str] = ()) -> bytes:
    """What it says when it does this alone, started behind other words."""
    argv = [*before, str(made.path), f"--volume:/w={folder}", "--", "/w", "ends", word]
    return subprocess.run(argv, stdout=subprocess.PIPE, timeout=60, check=False).stdout


@pytest.mark.parametrize("before", [(), NO_MOUNTS], ids=["root", "no mounts"])
def test_what_is_no_file(
    make: Maker, backend: Backend, folder: Path, before: Sequence[str]
) -> None:
    """A device is not opened, and a named pipe is not waited for, whoever starts."""
    made = program(make, backend, "volume:/w:ro")
    assert said(made, folder, "rf", before) == b"done\n"
    assert said(made, folder, "rnull", before) == b"rnull: Permission denied\n"
    assert said(made, folder, "rfifo", before) == b"rfifo: Not supported\n"
    assert said(made, folder, "rsub", before) == b"rsub: Is a directory\n"


@pytest.mark.parametrize("volume", ["volume:/w:ro", "volume:/w"])
def test_the_kernel_refuses(make: Maker, backend: Backend, folder: Path, volume: str) -> None:
    """By the guest's own descriptor nobody opens a device, nor writes what is to be read."""
    made = program(make, backend, volume)
    with told(made, folder, "waits", "rf") as pid:
        below = f"/proc/{pid}/fd/{DEVICE_FD + 1}"
        with pytest.raises(OSError, match="null") as caught:
            os.open(f"{below}/null", os.O_RDONLY)
        assert caught.value.errno == errno.EACCES
        if volume.endswith(":ro"):
            with pytest.raises(OSError, match="/f") as caught:
                os.open(f"{below}/f", os.O_WRONLY)
            assert caught.value.errno == errno.EROFS
        else:
            os.close(os.open(f"{below}/f", os.O_WRONLY))


def test_mounts_below(make: Maker, backend: Backend, folder: Path) -> None:
    """What is mounted below the folder is there, and as little of devices."""
    made = program(make, backend, "volume:/w:ro")
    before = (*WITH_A_MOUNT, str(folder))
    assert said(made, folder, "rsub/f", before) == b"done\n"
    assert said(made, folder, "rsub/null", before) == b"rsub/null: Permission denied\n"


@pytest.mark.parametrize(
    ("volume", "before", "own"),
    [
        ("volume:/w:ro", (), True),
        ("volume:/w", (), True),
        ("volume:/w:ro", NO_MOUNTS, False),
        ("volume:/w", NO_MOUNTS, False),
        ("volume:/w:ro", ("sh", "-c", 'exec "$@" 2< /', "sh"), False),
    ],
    ids=["read", "written", "no mounts", "written without mounts", "a directory is open"],
)
def test_nothing_else_has_a_path(
    make: Maker, folder: Path, volume: str, before: Sequence[str], own: bool
) -> None:
    """The folder's mount is the root of who has nothing else open."""
    made = program(make, "process", volume)
    with told(made, folder, "waits", "rf", before=before) as pid:
        assert os.path.samefile(f"/proc/{pid}/root/", folder if own else "/")
        assert os.path.samefile(f"/proc/{pid}/cwd/", folder) == own
