"""The arguments of Linux system calls: what each is, and which memory of the program's it names.

One table for both sides: the library OS learns which pieces of memory to put into a record
(:func:`shapes_of`), and the reader of records how to show each argument.

A word of the table is a kind, and behind a colon its set of names (``flags:open``, ``one:whence``)
or how long a piece of memory is: the number of the argument that says so, or ``r`` for the result.
``>`` marks what a call writes, which is there only when it succeeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

_TABLE = """
read fd >bytes:r int
write fd bytes:2 int
open path flags:open mode
close fd
stat path >stat
fstat fd >stat
lstat path >stat
poll pollfd:1 int int
lseek fd int one:whence
mmap hex int flags:prot flags:map fd int
mprotect hex int flags:prot
munmap hex int
brk hex
rt_sigaction one:signal sigaction >sigaction int
rt_sigprocmask one:mask sigset >sigset int
rt_sigreturn
ioctl fd one:ioctl hex
pread64 fd >bytes:r int int
pwrite64 fd bytes:2 int int
readv fd >vector int
writev fd vector int
access path flags:access
pipe >pair
select int hex hex hex timeval
sched_yield
mremap hex int int flags:mremap hex
msync hex int hex
mincore hex int hex
madvise hex int one:advice
dup fd
dup2 fd fd
pause
nanosleep timespec >timespec
getitimer one:itimer >itimerval
alarm int
setitimer one:itimer itimerval >itimerval
getpid
sendfile fd fd hex int
socket one:domain flags:socket int
connect fd sockaddr:2 int
accept fd >address hex
sendto fd bytes:2 int flags:message sockaddr:5 int
recvfrom fd >bytes:r int flags:message >address hex
sendmsg fd hex flags:message
recvmsg fd hex flags:message
shutdown fd one:shutdown
bind fd sockaddr:2 int
listen fd int
getsockname fd >address hex
getpeername fd >address hex
socketpair one:domain flags:socket int >pair
setsockopt fd one:level int bytes:4 int
getsockopt fd one:level int >number hex
clone flags:clone hex hex hex hex
fork
vfork
execve path hex hex
exit int
wait4 int >number hex hex
kill int one:signal
uname hex
fcntl fd one:fcntl hex
flock fd int
fsync fd
fdatasync fd
truncate path int
ftruncate fd int
getdents fd hex int
getcwd >bytes:r int
chdir path
fchdir fd
rename path path
mkdir path mode
rmdir path
creat path mode
link path path
unlink path
symlink path path
readlink path >bytes:r int
chmod path mode
fchmod fd mode
chown path int int
fchown fd int int
lchown path int int
umask mode
gettimeofday >timeval hex
getrlimit one:limit >rlimit
getrusage int hex
sysinfo hex
times hex
getuid
getgid
setuid int
setgid int
geteuid
getegid
setpgid int int
getppid
getpgrp
setsid
getgroups int hex
setgroups int hex
setresuid int int int
setresgid int int int
getresuid >number >number >number
getresgid >number >number >number
getpgid int
getsid int
rt_sigpending >sigset int
rt_sigtimedwait sigset hex timespec int
rt_sigqueueinfo int one:signal hex
rt_sigsuspend sigset int
sigaltstack hex hex
statfs path hex
fstatfs fd hex
getpriority int int
setpriority int int int
mlock hex int
munlock hex int
prctl one:prctl hex hex hex hex
arch_prctl one:arch hex
setrlimit one:limit rlimit
chroot path
sync
gettid
time hex
futex hex flags:futex int hex hex int
sched_setaffinity int int hex
sched_getaffinity int int hex
epoll_create int
getdents64 fd hex int
set_tid_address hex
timer_create one:clock hex >number
timer_settime int int itimerspec >itimerspec
timer_gettime int >itimerspec
timer_delete int
fadvise64 fd int int int
clock_settime one:clock timespec
clock_gettime one:clock >timespec
clock_getres one:clock >timespec
clock_nanosleep one:clock int timespec >timespec
exit_group int
epoll_wait fd >events:r int int
epoll_ctl fd one:epoll fd event
tgkill int int one:signal
tkill int one:signal
utimes path hex
openat fd path flags:open mode
mkdirat fd path mode
mknodat fd path mode hex
fchownat fd path int int flags:at
newfstatat fd path >stat flags:at
unlinkat fd path flags:at
renameat fd path fd path
linkat fd path fd path flags:at
symlinkat path fd path
readlinkat fd path >bytes:r int
fchmodat fd path mode
faccessat fd path flags:access
faccessat2 fd path flags:access flags:at
pselect6 int hex hex hex timespec hex
ppoll pollfd:1 int timespec sigset int
set_robust_list hex int
get_robust_list int hex hex
splice fd hex fd hex int hex
utimensat fd path hex flags:at
epoll_pwait fd >events:r int int sigset int
signalfd4 fd sigset int flags:open
timerfd_create one:clock flags:open
eventfd int
eventfd2 int flags:open
fallocate fd int int int
timerfd_settime fd int itimerspec >itimerspec
timerfd_gettime fd >itimerspec
accept4 fd >address hex flags:socket
epoll_create1 flags:open
dup3 fd fd flags:open
pipe2 >pair flags:open
inotify_init1 flags:open
inotify_add_watch fd path hex
inotify_rm_watch fd int
preadv fd >vector int int
pwritev fd vector int int
prlimit64 int one:limit rlimit >rlimit
recvmmsg fd hex int flags:message timespec
sendmmsg fd hex int flags:message
getcpu >number hex hex
renameat2 fd path fd path hex
seccomp int int hex
getrandom >bytes:r int int
memfd_create path hex
copy_file_range fd hex fd hex int hex
preadv2 fd >vector int int int hex
pwritev2 fd vector int int int hex
statx fd path flags:at hex hex
rseq hex int int hex
clone3 hex int
close_range fd fd hex
openat2 fd path hex int
setxattr path path bytes:3 int int
getxattr path path >bytes:r int
listxattr path >bytes:r int
removexattr path path
"""

SIZES: Mapping[str, int] = {
    "stat": 56,  # as far as its size
    "sigaction": 32,
    "sigset": 8,
    "timespec": 16,
    "timeval": 16,
    "itimerspec": 32,
    "itimerval": 32,
    "rlimit": 16,
    "pair": 8,
    "number": 4,
    "event": 12,
    "address": 28,
}
"""Bytes of structures that an argument names, as far as they are shown."""

_ELEMENTS = {"bytes": 1, "sockaddr": 1, "pollfd": 8, "events": 12}
"""Bytes of an element of what is as long as something else says."""


@dataclass(frozen=True)
class Argument:
    """What one argument of a system call is."""

    kind: str
    names: str  # the set of names of its values, or what says how long the memory is
    out: bool  # the call writes there

    def shape(self, index: int) -> str | None:
        """The piece of memory as the library OS is told of it, in C."""
        out = int(self.out)
        if self.kind == "path":
            return f"{{{index}, TRACE_TEXT, 0, 1}}"
        if self.kind == "vector":
            return f"{{{index}, TRACE_VECTOR, {out}, 1}}"
        if self.kind in SIZES:
            return f"{{{index}, TRACE_ONCE, {out}, {SIZES[self.kind]}}}"
        if self.kind in _ELEMENTS:
            length = "TRACE_BY_RESULT" if self.names == "r" else self.names
            return f"{{{index}, {length}, {out}, {_ELEMENTS[self.kind]}}}"
        return None


@cache
def arguments() -> Mapping[str, tuple[Argument, ...]]:
    """The arguments of each system call that the table has, by its name."""
    found = {}
    for line in _TABLE.strip().splitlines():
        name, *words = line.split()
        found[name] = tuple(map(_argument, words))
    return found


def _argument(word: str) -> Argument:
    kind, _, names = word.lstrip(">").partition(":")
    return Argument(kind, names, word.startswith(">"))


def shapes_of(name: str) -> list[str]:
    """What of the memory that a call names its record has, as initialisers of C; empty: nothing."""
    pieces = (each.shape(index) for index, each in enumerate(arguments().get(name, ())))
    found = [each for each in pieces if each]
    return [*found, "{0, TRACE_END, 0, 0}"] if found else []
