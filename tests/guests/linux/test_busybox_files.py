"""Debian's busybox changing files: the whole tree afterwards equals the native one.

A guest's files end with it, so these bundles have a library OS that says at exit what its tree
holds (native/dump.c); everything else in them is as always.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import BUSYBOX, execute, need

pytestmark = pytest.mark.slow

INVOCATIONS = """
cp a.txt b.txt
cp -p a.txt b.txt
cp -r sub copy
cp -a sub copy
cp a.txt sub/inner
mv a.txt moved.txt
mv sub elsewhere
mv a.txt sub/inner/a.txt
rm a.txt
rm -r sub
rm -f missing link
mkdir new
mkdir -p one/two/three
mkdir -m 700 private
rmdir empty
ln a.txt hard
ln -s a.txt soft
ln -sf sub link
touch fresh
touch -d @86400 a.txt
chmod 600 a.txt
chmod -R a-w sub
chmod u+x,g-r a.txt
truncate -s 5 a.txt
truncate -s 100000 grown
dd if=a.txt of=out bs=3 count=2 skip=1
dd if=a.txt of=a.txt conv=notrunc bs=4 seek=2 count=1
tee t1 t2
sed -i s/rose/tulip/ a.txt
sed -i.bak -e 2d a.txt
sort -r -o a.txt a.txt
split -l 1 a.txt part-
split -b 7 a.txt
tar xf packed.tar
tar xf packed.tar -C sub text/one
tar cf made.tar --exclude=*.gz a.txt sub
gzip a.txt
gzip -k a.txt
gunzip packed.gz
bzip2 -9 a.txt
unzip -q packed.zip
unzip -o packed.zip -d sub
install -m 755 a.txt installed
install -d made/deep
patch -p0 -i change.diff
cpio -i -d -F packed.cpio
uudecode -o decoded encoded.uu
dos2unix crlf.txt
unix2dos a.txt
unlink a.txt
fallocate -l 5000 room
find . -name *.txt -delete
find sub -type f -delete
awk {print>$1".out"} a.txt
rmdir sub
cp missing other
mv -n a.txt crlf.txt
sh -c for_i_in_1_2_3;do_echo_$i>file$i;done;echo_more>>file2
sh -c cd_sub;echo_x>../up;exec_3>held;echo_y>&3
ed a.txt
""".strip().splitlines()

STDIN = b"2d\n1a\nadded\n.\nw\nq\n"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root to work in, with busybox in it."""
    import gzip
    import tarfile
    import zipfile

    work = tmp_path_factory.mktemp("root")
    (work / "sub" / "inner").mkdir(parents=True)
    (work / "empty").mkdir()
    (work / "a.txt").write_text("a rose\nis a rose\nis a rose\n")
    (work / "sub" / "one.txt").write_text("one\n")
    (work / "sub" / "inner" / "two.txt").write_bytes(bytes(range(256)) * 100)
    (work / "link").symlink_to("a.txt")
    (work / "crlf.txt").write_bytes(b"one\r\ntwo\r\n")
    (work / "packed.gz").write_bytes(gzip.compress(b"packed\n" * 50, mtime=0))
    (work / "change.diff").write_text(
        "--- a.txt\n+++ a.txt\n@@ -1,3 +1,3 @@\n a rose\n-is a rose\n+is a thorn\n is a rose\n"
    )
    (work / "encoded.uu").write_text("begin 644 x\n#86)C\n`\nend\n")
    with tarfile.open(work / "packed.tar", "w") as tar:
        for name in ("one", "two"):
            (work / name).write_text(name * 100)
            tar.add(work / name, f"text/{name}")
            (work / name).unlink()
    with zipfile.ZipFile(work / "packed.zip", "w") as archive:
        archive.writestr("zipped/inside.txt", "inside\n")
    names = subprocess.run(
        ["busybox", "cpio", "-o", "-H", "newc"],
        cwd=work,
        input=b"crlf.txt\nsub/one.txt\n",
        capture_output=True,
        check=True,
    )
    (work / "packed.cpio").write_bytes(names.stdout)
    shutil.copy(need(BUSYBOX, "busybox-static"), work / "busybox")
    for path in [work, *work.rglob("*")]:
        os.utime(path, (1_000_000_000, 1_000_000_000), follow_symlinks=False)
    return work


_BUILD = """
import limpet, sys
from pathlib import Path
program, root, backend, output = sys.argv[1:]
guest = limpet.load(Path(program), root=Path(root))
limpet.build(limpet.plan(guest, limpet.Options(backends=(backend,)))).write(Path(output))
"""


@pytest.fixture(scope="module")
def bundles(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle a backend, built by a Limpet whose library OS dumps its tree."""
    folder = tmp_path_factory.mktemp("dumping")
    package = folder / "limpet"
    shutil.copytree(Path(limpet.__file__).parent, package)
    system = package / "c" / "guest" / "parts" / "system"
    shutil.copy(SUPPORT / "native" / "dump.c", system / "dump.c")
    source = (system / "system.c").read_text()
    wanted = "    program_exit((u32)code & 0xff);\n"
    assert wanted in source
    changed = source.replace(wanted, f"    dump_tree();\n{wanted}")
    head = '#include "linux.h"\n'
    assert head in changed
    (system / "system.c").write_text(changed.replace(head, f"{head}void dump_tree(void);\n", 1))
    made = {}
    for backend in ("process", "kvm"):
        made[backend] = folder / backend
        subprocess.run(
            [sys.executable, "-c", _BUILD, BUSYBOX, tree, backend, made[backend]],
            env={**os.environ, "PYTHONPATH": str(folder)},
            check=True,
        )
    return made


_LINE = re.compile(r"([0-9a-f]{16} ){3}(/|$)")


@cache
def _fnv(content: bytes) -> int:
    """Python takes its time for it, and most files are those of every other case."""
    state = 0xCBF29CE484222325
    for byte in content:
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return state


def _listing(work: Path) -> set[str]:
    """What the dump would say of the root ``work``."""
    found = set()
    for path in [work, *work.rglob("*")]:
        status = path.lstat()
        size, digest = status.st_size, 0
        if stat.S_ISLNK(status.st_mode):
            digest = _fnv(os.fsencode(os.readlink(path)))
        elif stat.S_ISREG(status.st_mode):
            digest = _fnv(path.read_bytes())
        else:
            size = 0
        name = f"/{path.relative_to(work)}".removesuffix("/.")
        found.add(f"{status.st_mode:016x} {size:016x} {digest:016x} {name}")
    return found


def _argv(line: str) -> list[str]:
    words = line.split(" ")
    if words[0] == "sh":
        words[2:] = [" ".join(words[2:]).replace("_", " ")]
    return words


@pytest.mark.parametrize("line", INVOCATIONS)
def test_same_files(
    bundles: dict[str, Path], backend: Backend, tree: Path, tmp_path: Path, line: str
) -> None:
    """Output, status, and every name, mode, size and content in the tree."""
    if os.geteuid():
        pytest.skip("*** comparing with a chroot needs root ***")
    native_root = tmp_path / "root"
    shutil.copytree(tree, native_root, symlinks=True)
    words = _argv(line)
    argv = ["chroot", str(native_root), "/busybox", *words]
    native = execute(argv, Path("/usr/sbin/chroot"), STDIN)
    ours = execute(["busybox", *words], bundles[backend], STDIN)
    lines = ours.stderr.decode().splitlines()
    dumped = {each for each in lines if _LINE.match(each)}
    said = [each for each in lines if each not in dumped]
    assert (ours.status, ours.stdout) == (native.status, native.stdout)
    assert said == native.stderr.decode().splitlines()
    assert dumped == _listing(native_root)
