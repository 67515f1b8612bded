"""A volume as a mount of its own, where the starter may make one, by himself or as the root of
namespaces of a child's; and where he may not."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
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

LENT = ("setpriv", "--bounding-set=-sys_admin")
ANOTHER = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups")
NO_NAMESPACES = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
NO_MOUNTS = ("unshare", "--map-root-user", "sh", "-c", NO_NAMESPACES, "sh")
MOUNTED = 'mount -t tmpfs none "$1/sub"; mknod -m 666 "$1/sub/null" c 1 3; echo x > "$1/sub/f"; '
WITH_A_MOUNT = ("unshare", "--mount", "sh", "-c", MOUNTED + 'shift; exec "$@"', "sh")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with a file, a device and a named pipe for everybody."""
    made = tmp_path / "data"
    (made / "sub").mkdir(parents=True)
    (made / "f").write_text("contents")
    (made / "true").write_text("#!/bin/true\n")
    os.mknod(made / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mkfifo(made / "fifo")
    for each in made.iterdir():
        each.chmod(0o777)
    fill_rights(made)
    return made


def program(make: Maker, backend: Backend, volume: str, *, strict: bool = False) -> Made:
    """A program that opens and closes as it is told."""
    source = (SUPPORT / "programs" / "leaves.c").read_text(encoding="utf-8")
    return make(make.compile(source, "leaves"), backend, devices=(volume,), strict=strict)


def said(made: Made, folder: Path, word: str, before: Sequence[str] = ()) -> bytes:
    """What it says when it does this alone, started behind other words."""
    argv = [*before, str(made.path), f"--volume:/w={folder}", "--", "/w", "ends", word]
    return subprocess.run(argv, stdout=subprocess.PIPE, timeout=60, check=False).stdout


@pytest.mark.parametrize("before", [(), LENT, NO_MOUNTS], ids=["root", "lent mounts", "no mounts"])
def test_what_is_no_file(
    make: Maker, backend: Backend, folder: Path, before: Sequence[str]
) -> None:
    """A device is not opened, and a named pipe is not waited for, whoever starts."""
    made = program(make, backend, "volume:/w:ro")
    assert said(made, folder, "rf", before) == b"done\n"
    assert said(made, folder, "rnull", before) == b"rnull: Permission denied\n"
    assert said(made, folder, "rfifo", before) == b"rfifo: Not supported\n"
    assert said(made, folder, "rsub", before) == b"rsub: Is a directory\n"


def refuses(pid: int, *, read_only: bool) -> None:
    """By the guest's own descriptor nobody opens a device, starts a program, nor writes what is to
    be read."""
    below = f"/proc/{pid}/fd/{DEVICE_FD + 1}"
    with pytest.raises(OSError, match="null") as caught:
        os.open(f"{below}/null", os.O_RDONLY)
    assert caught.value.errno == errno.EACCES
    with pytest.raises(PermissionError):
        subprocess.run([f"{below}/true"], check=True)
    if not read_only:
        os.close(os.open(f"{below}/f", os.O_WRONLY))
        return
    with pytest.raises(OSError, match="/f") as caught:
        os.open(f"{below}/f", os.O_WRONLY)
    assert caught.value.errno == errno.EROFS


@pytest.mark.parametrize("volume", ["volume:/w:ro", "volume:/w"])
def test_the_kernel_refuses(make: Maker, backend: Backend, folder: Path, volume: str) -> None:
    """Whether root has made the mount, or a child that was root in its own namespaces."""
    made = program(make, backend, volume)
    for before in (), LENT:
        with told(made, folder, "waits", "rf", before=before) as pid:
            refuses(pid, read_only=volume.endswith(":ro"))


@pytest.mark.parametrize("volume", ["volume:/w:ro", "volume:/w"])
def test_another_user(make: Maker, folder: Path, volume: str) -> None:
    """Whoever is not root has a mount of its own too, and stays who he is, where he is."""
    made = program(make, "process", volume)
    fill_rights(made.path)
    with told(made, folder, "waits", "rf", before=ANOTHER) as pid:
        refuses(pid, read_only=volume.endswith(":ro"))
        for each in "user", "mnt":
            assert os.readlink(f"/proc/{pid}/ns/{each}") == os.readlink(f"/proc/self/ns/{each}")
        assert "Uid:\t1000\t1000\t1000\t1000" in Path(f"/proc/{pid}/status").read_text()
        assert os.path.samefile(f"/proc/{pid}/root/", "/")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(children) == (
            not volume.endswith(":ro")
        )  # the namer, and not who lent the mount


def test_strict(make: Maker, folder: Path) -> None:
    """With that mount or not at all."""
    made = program(make, "process", "volume:/w:ro", strict=True)
    elsewhere = ["unshare", "--mount", "sh", "-c", "echo; exec sleep 9"]
    with subprocess.Popen(elsewhere, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        assert said(made, folder, "rf") == b"done\n"
        assert said(made, Path(f"/proc/{other.pid}/root{folder}"), "rf") == b""
        other.kill()


def test_mounts_below(make: Maker, backend: Backend, folder: Path) -> None:
    """What is mounted below the folder is there, and as little of devices."""
    made = program(make, backend, "volume:/w:ro")
    for before in (*WITH_A_MOUNT, str(folder)), (*WITH_A_MOUNT, str(folder), *LENT):
        assert said(made, folder, "rsub/f", before) == b"done\n"
        assert said(made, folder, "rsub/null", before) == b"rsub/null: Permission denied\n"


@pytest.mark.parametrize(
    ("volume", "before", "own"),
    [
        ("volume:/w:ro", (), True),
        ("volume:/w", (), True),
        ("volume:/w", LENT, True),
        ("volume:/w:ro", NO_MOUNTS, False),
        ("volume:/w", NO_MOUNTS, False),
        ("volume:/w:ro", ("sh", "-c", 'exec "$@" 2< /', "sh"), False),
    ],
    ids=["read", "written", "lent", "no mounts", "written without mounts", "a directory is open"],
)
def test_nothing_else_has_a_path(
    make: Maker, folder: Path, volume: str, before: Sequence[str], own: bool
) -> None:
    """The folder's mount is the root of who has nothing else open."""
    made = program(make, "process", volume)
    with told(made, folder, "waits", "rf", before=before) as pid:
        assert os.path.samefile(f"/proc/{pid}/root/", folder if own else "/")
        assert os.path.samefile(f"/proc/{pid}/cwd/", folder) == own


def test_the_host_is_asked() -> None:
    """What ``doctor`` says, and ``run --strict``: whether there are such mounts."""
    asked = sys.executable, "-c", "from limpet.running import host; print(host.makes_mounts())"
    for before, said in ((), b"True\n"), (LENT, b"True\n"), (NO_MOUNTS, b"False\n"):
        assert subprocess.run([*before, *asked], capture_output=True, check=True).stdout == said
