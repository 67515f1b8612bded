"""Debian's busybox, unmodified: the same output and exit status as natively in the same tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support.bundles import BUSYBOX, Made, Maker, execute, need

INVOCATIONS = """
echo hello world
echo -n no newline
printf %05d|%s|%x\\n 42 text 255
true
false
basename /a/b/c.txt .txt
dirname /a/b/c.txt
seq 1 20
seq 10 -3 -5
expr 7 * 6
expr length abcdef
factor 1234567890
cat text/poem.txt
cat text/poem.txt text/numbers.txt
cat -n text/poem.txt
cat missing
head -n 3 text/poem.txt
head -c 20 text/poem.txt
tail -n 2 text/poem.txt
tail -c +30 text/poem.txt
wc text/poem.txt
wc -l text/poem.txt text/numbers.txt
sort text/poem.txt
sort -rn text/numbers.txt
sort -u text/words.txt
uniq -c text/words.txt
cut -d: -f2 text/table.txt
cut -c1-5 text/poem.txt
tr a-z A-Z
rev text/poem.txt
tac text/numbers.txt
nl text/poem.txt
fold -w 10 text/poem.txt
expand text/tabs.txt
unexpand -a text/poem.txt
paste text/numbers.txt text/words.txt
comm text/sorted1.txt text/sorted2.txt
diff text/sorted1.txt text/sorted2.txt
diff -u text/sorted1.txt text/sorted2.txt
cmp text/sorted1.txt text/sorted2.txt
grep rose text/poem.txt
grep -n e text/poem.txt
grep -c zzz text/poem.txt
grep -v e text/words.txt
grep -rl rose text
grep -E ^[0-9]+$ text/numbers.txt
egrep a|b text/words.txt
fgrep . text/poem.txt
sed s/rose/tulip/g text/poem.txt
sed -n 2,3p text/poem.txt
sed -e /is/d -e y/abc/xyz/ text/poem.txt
awk {print NR": "$1} text/poem.txt
awk -F: {s+=$3}END{print(s)} text/table.txt
awk BEGIN{for(i=0;i<5;i++)printf("%d-%s;",i,substr("abcdef",i+1,2))}
awk BEGIN{print(toupper("abc"),length("four"),2^10,sqrt(2),sin(1))}
md5sum text/poem.txt big.bin
sha1sum text/poem.txt
sha256sum big.bin
sha512sum text/poem.txt
sha3sum text/poem.txt
cksum text/poem.txt
sum text/poem.txt
crc32 big.bin
od -c text/tabs.txt
od -A x -t x1 text/numbers.txt
hexdump -C text/poem.txt
xxd text/numbers.txt
strings text/poem.txt
base64 text/poem.txt
base32 text/poem.txt
uuencode poem text/poem.txt
gzip -c text/poem.txt
gzip -dc packed.gz
gunzip -c packed.gz
bzip2 -c text/poem.txt
bzcat packed.bz2
xzcat packed.xz
tar tf packed.tar
tar xOf packed.tar text/poem.txt
tar tvf packed.tar
cpio -t
unzip -l packed.zip
ls
ls text
ls -a text
ls -1R .
ls -l missing
ls -lR --full-time text
stat -c %n:%s:%a:%F text/poem.txt text
find text -name *.txt -size +0
find . -type d
find . -type l
du -a text/empty.txt
readlink link
readlink -f link
realpath link
test -f text/poem.txt
test -d missing
[ 3 -gt 2 ]
pwd
id -u
uname -s
nproc
cal 2 2024
date -u -d @86400 +%F_%T
env
printenv NOTHING
tee /dev/null
dd if=big.bin bs=1000 count=3 skip=2
split -h
hostid -x
dos2unix -u
sleep 0
usleep 1000
rm -f missing
ipcalc -n 10.1.2.3/24
bc
dc -e 2_3*p
ash -c for_x_in_1_2_3;do_echo_$x;done
ash -c x=5;while_[_$x_-gt_0_];do_x=$((x-1));done;echo_$x;exit_7
ash -c echo_made>new.txt;read_l<new.txt;echo_got_$l
ash -c set_--_a_b_c;shift;echo_$#_$1;case_$1_in_b)echo_is_b;;esac
ash -c cd_text;echo_*
ash -c trap_'echo_bye'_EXIT;kill_-USR1_$$;echo_not_here
""".strip().splitlines()

STDIN = b"some words to read\nand 6*7 more\n"


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files, packed for the guest and used in place natively."""
    import bz2
    import gzip
    import lzma
    import tarfile
    import zipfile

    root = tmp_path_factory.mktemp("tree")
    text = root / "text"
    text.mkdir()
    poem = "a rose is a rose\nis a rose is\nwhat it is.\n\nno more roses, though\n"
    (text / "poem.txt").write_text(poem)
    (text / "numbers.txt").write_text("10\n9\n33\n-4\n100\n2\n")
    (text / "words.txt").write_text("pear\npear\napple\nbanana\nbanana\nfig\n")
    (text / "table.txt").write_text("a:one:1\nb:two:2\nc:three:3\n")
    (text / "tabs.txt").write_text("a\tb\tc\n\tx\n")
    (text / "sorted1.txt").write_text("a\nb\nc\n")
    (text / "sorted2.txt").write_text("b\nc\nd\n")
    (text / "empty.txt").write_text("")
    (root / "big.bin").write_bytes(bytes(range(256)) * 4096)
    (root / "packed.gz").write_bytes(gzip.compress(poem.encode(), mtime=0))
    (root / "packed.bz2").write_bytes(bz2.compress(poem.encode()))
    (root / "packed.xz").write_bytes(lzma.compress(poem.encode()))
    with tarfile.open(root / "packed.tar", "w") as tar:
        tar.add(text, "text")
    with zipfile.ZipFile(root / "packed.zip", "w") as archive:
        archive.writestr("poem.txt", poem)
    (root / "link").symlink_to("text/poem.txt")
    # What every guest has, so that listings agree.
    for name, mode in (
        ("dev", 0o755),
        ("proc", 0o555),
        ("run", 0o755),
        ("sys", 0o555),
        ("tmp", 0o1777),
    ):
        (root / name).mkdir()
        os.chmod(root / name, mode)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    os.utime(root, (1_000_000_000, 1_000_000_000))
    return root


ANY_ORDER = ("find", "du")  # a folder has no order


def _argv(line: str) -> list[str]:
    words = line.replace("\\n", "\n").split(" ")
    if words[0] == "ash":
        words[2:] = [" ".join(words[2:]).replace("_", " ")]
    return words


# Natively these see the host: its root folder, devices, processors, and so on.
OF_THE_HOST = {"pwd", "readlink -f link", "realpath link", "nproc"}
DIFFER_IN_LISTING = {"ls -1R .", "find . -type d", "find . -type l"}  # /dev, /proc have contents


@pytest.mark.parametrize("line", INVOCATIONS)
def test_same_as_native(make: Maker, backend: Backend, tree: Path, line: str) -> None:
    """Output and exit status equal those of the same binary on Linux."""
    busybox = need(BUSYBOX, "busybox-static")
    guest = make(busybox, backend, root=tree, name="busybox", keep_times=True)
    argv = _argv(line)
    ours = guest.run(*argv, stdin=STDIN)
    native = execute(["busybox", *argv], busybox, STDIN, cwd=tree)
    (tree / "new.txt").unlink(missing_ok=True)
    if line in OF_THE_HOST:
        assert ours.status == native.status
        assert ours.stdout.replace(b"/", b"") in native.stdout.replace(b"/", b"") + b"1\n"
        return
    if line in DIFFER_IN_LISTING:
        keep = [each for each in ours.stdout.splitlines() if b"/dev" not in each]
        keep = [each for each in keep if b"/proc" not in each and b"/sys" not in each]
        assert {each for each in native.stdout.splitlines() if b"text" in each} <= set(keep)
        return
    if argv[0] in ANY_ORDER:
        assert sorted(ours.stdout.splitlines()) == sorted(native.stdout.splitlines())
        return
    assert (ours.status, ours.stdout, ours.stderr) == (native.status, native.stdout, native.stderr)


@pytest.mark.slow
def test_hash_of_100_megabytes(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """A large packed file is read whole and right."""
    busybox = need(BUSYBOX, "busybox-static")
    (tmp_path / "big.bin").write_bytes(os.urandom(1 << 20) * 100)
    guest: Made = make(busybox, backend, root=tmp_path, name="busybox")
    native = execute(["busybox", "sha256sum", "big.bin"], busybox, cwd=tmp_path)
    assert guest.run("sha256sum", "big.bin").stdout == native.stdout


@pytest.mark.parametrize("line", ["sha256sum big.bin", "ls -l text", "awk BEGIN{print(1)}"])
def test_without_rewriting(make: Maker, backend: Backend, tree: Path, line: str) -> None:
    """Trapped system calls give the same results as rewritten ones."""
    busybox = need(BUSYBOX, "busybox-static")
    rewritten = make(busybox, backend, root=tree, name="busybox")
    trapped = make(busybox, backend, root=tree, name="busybox", rewrite=False)
    argv = _argv(line)
    assert trapped.run(*argv) == rewritten.run(*argv)
