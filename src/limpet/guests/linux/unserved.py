"""What programs ask for with system calls that are not served, or only in part, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from limpet.arch.x86_64.syscalls import NAMES
from limpet.guests.linux.parts import served


@dataclass(frozen=True)
class Want:
    """A thing that programs want: a verb and its object, its system calls, what happens then."""

    what: str
    calls: frozenset[str]
    consequence: str


def _want(what: str, calls: str, consequence: str) -> Want:
    return Want(what, frozenset(calls.split()), consequence)


PROCESSES = _want(
    "starts other processes",
    "fork vfork execve execveat",
    "they fail with ENOSYS, since a guest is one process",
)
SOCKETS = _want(
    "opens network sockets",
    "socket",
    "they lead nowhere but to itself: -p and --connect are its ways out",
)
EXECUTABLE = _want(
    "makes memory executable",
    "mmap mprotect",
    "that fails with EACCES; switch its just-in-time compiler off if it has one",
)
WANTS = (
    PROCESSES,
    _want(
        "watches whole file systems",
        "fanotify_init fanotify_mark",
        "that fails with ENOSYS",
    ),
    _want(
        "starts input and output that runs beside it",
        "io_setup io_submit io_getevents io_pgetevents io_cancel io_destroy "
        "io_uring_setup io_uring_enter io_uring_register",
        "that fails with ENOSYS",
    ),
    _want(
        "looks into other processes",
        "ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_open pidfd_getfd "
        "pidfd_send_signal userfaultfd perf_event_open",
        "that fails with ENOSYS, since a guest is one process",
    ),
    _want(
        "administers the machine",
        "swapon swapoff reboot "
        "init_module finit_module delete_module kexec_load kexec_file_load unshare setns iopl "
        "ioperm acct quotactl syslog vhangup adjtimex clock_adjtime "
        "nfsservctl bpf fsopen fsmount fsconfig fspick open_tree move_mount mount_setattr",
        "that fails with ENOSYS",
    ),
)
"""What each system call is for, unless its arguments say otherwise."""

OTHERS = "makes other system calls"
OTHERS_CONSEQUENCE = "they fail with ENOSYS"

_UNIMPORTANT = """
    rseq readahead sync_file_range getcpu mbind set_mempolicy get_mempolicy migrate_pages
    move_pages set_mempolicy_home_node ioprio_get ioprio_set restart_syscall
    sched_rr_get_interval sched_setattr remap_file_pages cachestat process_mrelease futex_waitv
    set_thread_area get_thread_area modify_ldt seccomp landlock_create_ruleset
    landlock_add_rule landlock_restrict_self pkey_alloc pkey_free pkey_mprotect
"""
UNIMPORTANT = frozenset(_UNIMPORTANT.split())
"""Advice and extras, whose failure programs expect."""


def wants_by_call() -> Mapping[str, Want]:
    """What each system call that is not served is for; those without importance are left out."""
    known = {call.name for call in served().values()}
    table = {name: want for want in WANTS for name in want.calls}
    other = Want(OTHERS, frozenset(), OTHERS_CONSEQUENCE)
    return {
        name: table.get(name, other)
        for name in NAMES.values()
        if name not in known and name not in UNIMPORTANT
    }
