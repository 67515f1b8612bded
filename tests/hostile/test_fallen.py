"""What a monitor or a porter that fell would still be kept from, tried in its place."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

from limpet.sources import C_ROOT
from tests.guests.linux.test_datagrams import PROGRAM
from tests.guests.linux.test_least import HEAD
from tests.hostile.test_walls import NOTHING, landlocked, root_only
from tests.running.test_volumes import fill_rights
from tests.support.bundles import Maker
from tests.support.caches import seeded
from tests.support.ends import free_port

PROBE = """\
summary = "Tries what the walls keep from a monitor."
when = ["asked"]
in = "it is asked for"
out = "it is not asked for"

[[file]]
source = "probe.c"

[[hook]]
at = "walls"
call = "probe_domain()"

[[hook]]
at = "walled"
call = "probe_rights()"
"""

PROBE_C = """\
enum { O_TRUNC = 0x200 };

static void show(long result) {
    char line[4] = {'0' + (char)(-result / 100), '0' + (char)(-result / 10 % 10),
                    '0' + (char)(-result % 10), '\\n'};
    host3(NR_WRITE, STDERR, (long)(result > 0 ? "+++\\n" : line), 4);
}

/* PROBE is a process and, above 32 bits, a port of 127.0.0.1. */
static void probe_domain(void) {
    u8 tcp[16] = {AF_INET, 0, PROBE >> 40 & 255, PROBE >> 32 & 255, 127, 0, 0, 1};
    u8 any[16] = {AF_INET}, name[10] = {1, 0, 0, 'w', 'a', 'l', 'l', 's'};
    show(host4(NR_OPENAT, AT_FDCWD, (long)"/etc/passwd", O_RDONLY | O_CLOEXEC, 0));
    show(host4(NR_OPENAT, AT_FDCWD, (long)"/dev/null", O_RDWR | O_CLOEXEC, 0));
    show(host3(NR_MKDIR, (long)"walls", 0, 0));
    long fd = host3(NR_SOCKET, AF_INET, 1, 0);
    show(host3(NR_CONNECT, fd, (long)tcp, 16));
    show(host3(NR_BIND, fd, (long)any, 16));
    host3(NR_CLOSE, fd, 0, 0);
    fd = host3(NR_SOCKET, 1, 1, 0);
    show(host3(NR_CONNECT, fd, (long)name, 8));
    host3(NR_CLOSE, fd, 0, 0);
    show(host3(NR_KILL, PROBE & 0xffffffff, 0, 0));
    show(host4(NR_OPENAT, DEVICE_FD + 1, (long)"there", O_TRUNC | O_CLOEXEC, 0));
    show(host4(NR_OPENAT, AT_FDCWD, (long)"THERE", O_TRUNC | O_CLOEXEC, 0)); /* the same file */
}

/* In a process with a filter to come, as the porter has it. */
static __attribute__((unused)) void probe_porter(void) {
    u8 any[16] = {AF_INET};
    show(host4(NR_OPENAT, AT_FDCWD, (long)"/etc/passwd", O_RDONLY | O_CLOEXEC, 0));
    show(host3(NR_KILL, PROBE & 0xffffffff, 0, 0));
    host3(NR_CLOSE, 0, 0, 0);
    show(host3(NR_BIND, host3(NR_SOCKET, AF_INET, 1, 0), (long)any, 16));
}

static void probe_rights(void) {
    const u64 more[2] = {64, 64};
    show(host3(NR_SOCKET, AF_INET, 1, 0));
    show(host3(NR_SETRLIMIT, 7, (long)more, 0));
    show(host3(NR_SETRESUID, 0, 0, 0));
    long child = host3(NR_FORK, 0, 0, 0);
    if (!child)
        host3(NR_EXIT_GROUP, 0, 0, 0);
    show(child);
    if (((const struct boot_info *)BOOT_INFO)->nobody) /* in a namespace of users: one more? */
        show(host3(NR_UNSHARE, 0x10000000, 0, 0));
}
"""
PROBE_CALLS = "write openat mkdir socket connect bind close kill"
PROBE_CALLS += " setrlimit setresuid fork unshare exit_group"
DONE, EPERM, ENOENT, EBADF, EAGAIN = "000", "001", "002", "009", "011"
EACCES, EMFILE, EROFS = "013", "024", "030"

OPENS = HEAD + 'call(OPEN, (long)"/w/there", 0, 0, 0, 0, 0); end(0); }'
"""A program that can change no names, and so has no namer."""
READS = """\
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
int main(void) {
    struct stat of;
    return (open("/w/there", O_RDONLY) != -1) + stat("/w/there", &of) + unlink("/w/none");
}
"""
USE = """\
import os
import subprocess
import sys
from pathlib import Path
import limpet
guest, folder = limpet.load(sys.argv[1]), Path(sys.argv[2])
for backend in "process", "kvm":
    options = limpet.Options(backends=(backend,), features=("landlock_probe",))
    limpet.build(limpet.plan(guest, options)).write(folder / backend)
    print(backend, *limpet.run(folder / backend).stderr.decode().split())
data = folder / "data"
data.mkdir()
data.chmod(0o777)
(data / "there").touch()
(data / "there").chmod(0o666)
user = "setpriv --reuid=1000 --regid=1000 --clear-groups".split()
for volume, program in ("volume:/w:ro", 5), ("volume:/w", 5), ("volume:/w", 6):
    options = limpet.Options(
        backends=("process",), features=("landlock_probe",), devices=(volume,)
    )
    limpet.build(limpet.plan(limpet.load(sys.argv[program]), options)).write(folder / "reads")
    words = [f"--volume:/w={data}"]
    (folder / "reads").chmod(0o755)
    print(volume, *limpet.run(folder / "reads", words).stderr.decode().split())
    if (data / "walls").exists():
        (data / "walls").rmdir()
    for whose, owner in ("user", 0), ("own", 1000):
        os.chown(data, owner, owner)
        done = subprocess.run([*user, folder / "reads", *words], stderr=subprocess.PIPE)
        if (data / "walls").exists():
            (data / "walls").rmdir()
        print(whose, volume, *done.stderr.decode().split())
options = limpet.Options(
    backends=("process",), features=("landlock_probe",), publish=(sys.argv[3],), sockets=8
)
limpet.build(limpet.plan(limpet.load(sys.argv[4]), options)).write(folder / "porter")
print("porter", *limpet.run(folder / "porter").stderr.decode().split())
"""


@root_only
@landlocked
def test_from_inside(make: Maker, tmp_path: Path) -> None:
    """No file, no TCP, no abstract socket, no signal; no descriptor, limit, user or process."""
    package = tmp_path / "src" / "limpet"
    shutil.copytree(C_ROOT.parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    folder = package / "c" / "monitor" / "features" / "landlock_probe"
    folder.mkdir()
    calls = "".join(
        f'\n[[host]]\ncall = "{call}"\nwhy = "it is tried"\nphase = "before"\n'
        for call in PROBE_CALLS.split()
    )
    (folder / "feature.toml").write_text(PROBE + calls)
    own = {"PYTHONPATH": str(package.parent), "LIMPET_CACHE": str(seeded(tmp_path / "cache"))}
    with (
        subprocess.Popen(["/bin/sleep", "60"]) as other,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        abstract.bind("\0walls")
        abstract.listen()
        probe = tcp.getsockname()[1] << 32 | other.pid
        path = str(tmp_path / "data" / "there")
        probing = PROBE_C.replace("PROBE", f"{probe}UL").replace("THERE", path)
        (folder / "probe.c").write_text(probing)
        program = make.compile(NOTHING, "nothing")
        datagrams = make.compile(PROGRAM.read_text(encoding="utf-8"), "datagrams")
        reads, opens = make.compile(READS, "reads"), make.compile(OPENS, "opens", "-nostdlib")
        porter = folder.parent / "porter" / "start.c"
        before, limits, behind = porter.read_text().partition("    limit(RLIMIT_CORE, 0);\n")
        assert limits
        porter.write_text(f"{before}    probe_porter();\n{limits}{behind}")
        published = f"127.0.0.1:{free_port('127.0.0.1', socket.SOCK_DGRAM)}:53/udp"
        fill_rights(tmp_path / "data")
        given = (program, tmp_path, published, datagrams, reads, opens)
        done = subprocess.run(
            [sys.executable, "-c", USE, *map(str, given)],
            env=os.environ | own,
            capture_output=True,
            text=True,
            check=False,
        )
        other.kill()
    assert done.stderr == ""
    beside = f"{EACCES} {EACCES} {EPERM} {EPERM}"
    files, rights = f"{EACCES} {EACCES} {EACCES}", f"{EMFILE} {EPERM} {EPERM}"
    process, kvm, *starts, porter_too = done.stdout.splitlines()
    reading, user_reads, own_reads, writing, user_writes, own_writes, opening, *_ = starts
    assert process == f"process {files} {beside} {EBADF} {ENOENT} {rights} {EAGAIN}"
    # KVM's own thread needs a process; the filter refuses it.
    assert kvm == f"kvm {files} {beside} {EBADF} {ENOENT} {rights} +++"
    own_root, kept = f"{ENOENT} {ENOENT}", f"{EACCES} {EACCES}"
    assert reading.startswith(f"volume:/w:ro {own_root} {EROFS} {beside} {EROFS} {ENOENT} ")
    assert writing.startswith(f"volume:/w {own_root} {DONE} {beside} +++ {ENOENT} ")
    assert opening.startswith(f"volume:/w {own_root} {EACCES} {beside} +++ {ENOENT} ")  # its names
    # Landlock knows files, and no mounts: a right that is given by one path is given by another.
    assert user_reads.startswith(f"user volume:/w:ro {kept} {EROFS} {beside} {EROFS} {EACCES} ")
    assert user_writes.startswith(f"user volume:/w {files} {beside} +++ +++ ")
    assert own_reads.startswith(f"own volume:/w:ro {own_root} {EROFS} {beside} {EROFS} {ENOENT} ")
    assert f" {EAGAIN} {EPERM} limpet" in own_reads  # no further namespace
    assert own_writes.startswith(f"own volume:/w {own_root} {DONE} {beside} +++ {ENOENT} ")
    both = f"porter {EACCES} {EPERM} {EACCES} {files} {beside} {EBADF} {EACCES} {rights} {EAGAIN}"
    both = both.replace(EMFILE, "+++")  # its guest has slots for connections
    assert Counter(porter_too.split()) == Counter(both.split())
