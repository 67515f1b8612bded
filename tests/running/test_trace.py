"""``limpet trace``: what a program asks for, as its library OS tells it."""

from __future__ import annotations

import json
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.inspect import audit
from limpet.audit.policy import read_policy
from limpet.contract import Backend
from limpet.contract.limits import TRACE_CALL, TRACE_SIGNAL
from limpet.contract.structures import TRACE_PIECE, TRACE_RECORD
from limpet.errors import BundleError, PlanError, TraceError
from limpet.planning.explain import as_text
from limpet.running.tracing import show
from limpet.running.tracing.events import Events
from limpet.running.tracing.records import Reader
from limpet.running.tracing.start import traced_bundle
from tests.support.bundles import Maker

ASKS = r"""
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
int main(int n, char **a) {
    struct stat status;
    struct timespec pause = {0, 3000000};
    struct pollfd input = {0, POLLIN, 0};
    struct iovec vectors[2] = {{"one", 3}, {"two\n", 4}};
    char text[64], *volatile nowhere = (char *)8;
    int ends[2];
    if (n > 1 && !strcmp(a[1], "count"))
        return n;
    open("/no\x1b[31m\xff\n", O_RDWR | O_CREAT | O_EXCL, 0640);
    open("/none/such", O_RDONLY);
    open(nowhere, O_RDONLY);
    stat("/", &status);
    pipe(ends);
    write(ends[1], "a\0\"", 3);
    read(ends[0], text, sizeof text);
    writev(1, vectors, 2);
    nanosleep(&pause, NULL);
    poll(&input, 1, 0);
    lseek(ends[0], 0, SEEK_SET);
    fcntl(-1, F_GETFD);
    read(0, text, 8);
    return 7;
}
"""

SAYS = r"""arch_prctl(ARCH_SET_FS, 0x*) = 0
set_tid_address(0x*) = *
open("/no\x1b[31m\xff\n", O_RDWR|O_CREAT|O_EXCL|O_LARGEFILE, 0640) = 3
open("/none/such", O_RDONLY|O_LARGEFILE) = -1 ENOENT (No such file or directory)
open(0x8, O_RDONLY|O_LARGEFILE) = -1 EFAULT (Bad address)
stat("/", {st_mode=S_IFDIR|0755, st_size=*, ...}) = 0
pipe([4, 5]) = 0
write(5, "a\0\"", 3) = 3
read(4, "a\0\"", 64) = 3
writev(1, [{iov_base="one", iov_len=3}, {iov_base="two\n", iov_len=4}], 2) = 7
nanosleep({tv_sec=0, tv_nsec=3000000}, 0) = 0
poll([{fd=0, events=POLLIN, revents=POLLIN}], 1, 0) = 1
lseek(4, 0, SEEK_SET) = -1 ESPIPE (Illegal seek)
fcntl(-1, F_GETFD) = -1 EBADF (Bad file descriptor)
read(0, "input", 8) = 5
exit_group(7) = ?
"""
OUTSIDE = {"writev", "nanosleep", "poll", "read", "exit_group"}
"""What of it always comes to a hypercall."""
DATED = {"open", "pipe", "write"}
"""What makes or changes a file: it asks for the time, if nobody has for some milliseconds."""
ASKED = re.compile(r" +-> (\w+)").match

Bundles = Callable[[Backend], Path]


@pytest.fixture(scope="module")
def bundles(make: Maker, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """A bundle of that program that tells, for each backend."""
    guest = limpet.load(make.compile(ASKS, "asks"))
    folder = tmp_path_factory.mktemp("asks")

    def get(backend: Backend) -> Path:
        path = folder / backend
        if not path.exists():
            options = limpet.Options(backends=(backend,), features=("trace",))
            limpet.build(limpet.plan(guest, options)).write(path)
        return path

    return get


def _command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "limpet", "trace", *map(str, words)]


def _traced(*words: str | Path, status: int = 7) -> str:
    """What the command writes of a traced bundle, which is given some input."""
    done = subprocess.run(
        _command(*words), input="input", capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (status, "onetwo\n" if status == 7 else "")
    return done.stderr


def _like(line: str) -> str:
    return re.escape(line).replace(r"\*", r"[0-9a-f]+")


def test_lines(bundles: Bundles, backend: Backend) -> None:
    """Each call with its arguments decoded, in order; and which came to a hypercall."""
    *lines, last = _traced(bundles(backend)).splitlines()
    calls = [each for each in lines if " -> " not in each]
    for line, expected in zip(calls, SAYS.splitlines(), strict=True):
        assert re.fullmatch(rf" +\d+\.\d{{6}} {_like(expected)}( <\d+\.\d{{6}}>)?", line), line
    assert last == "+++ exited with 7 +++"
    found = ((i, ASKED(line)) for i, line in enumerate(lines))
    asked = {(calls_before(lines, i), hypercall[1]) for i, hypercall in found if hypercall}
    assert {call for call, _ in asked} - DATED == OUTSIDE
    assert {name for call, name in asked if call in DATED} <= {"wait"}
    text = "\n".join(lines)
    assert re.search(r"writev.*\n +-> console_out\(fd=1, address=0x\w+, length=3\) = 3 <", text)
    assert all(each.isascii() and each.isprintable() for each in lines)


def calls_before(lines: list[str], index: int) -> str:
    """The name of the call that a hypercall belongs to."""
    above = next(each for each in reversed(lines[:index]) if " -> " not in each)
    return above.split()[1].partition("(")[0]


SIGNALS = r"""
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static sigjmp_buf back;
static void heard(int n) { (void)n; }
static void faulted(int n) { (void)n; siglongjmp(back, 1); }
int main(void) {
    union sigval value = {.sival_ptr = (void *)0xfffffffe};
    struct itimerval soon = {.it_value = {0, 1000}};
    struct itimerspec once = {.it_value = {0, 1000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    timer_t timer;
    sigset_t none, all;
    sigemptyset(&none), sigfillset(&all);
    signal(SIGUSR1, heard), signal(SIGUSR2, heard), signal(SIGALRM, heard);
    signal(SIGSEGV, faulted), signal(SIGRTMIN + 1, heard);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR2);
    sigqueue(getpid(), SIGRTMIN + 1, value);
    sigprocmask(SIG_SETMASK, &all, 0); /* it rings in sigsuspend, and not before */
    setitimer(ITIMER_REAL, &soon, 0);
    sigsuspend(&none);
    event.sigev_value.sival_int = 7;
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &once, 0);
    sigsuspend(&none);
    sigprocmask(SIG_SETMASK, &none, 0);
    if (!sigsetjmp(back, 1))
        *(volatile int *)8 = 1;
    raise(SIGTERM);
    return 1;
}
"""
TOLD = """\
SIGUSR1 {si_signo=SIGUSR1, si_code=SI_TKILL, si_pid=1, si_uid=0}
SIGUSR2 {si_signo=SIGUSR2, si_code=SI_USER, si_pid=1, si_uid=0}
SIGRT_4 {si_signo=SIGRT_4, si_code=SI_QUEUE, si_pid=1, si_uid=0, si_int=-2, si_ptr=0xfffffffe}
SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL}
SIGUSR2 {si_signo=SIGUSR2, si_code=SI_TIMER, si_timerid=0, si_overrun=0, si_int=7, si_ptr=0x7}
SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x8}
SIGTERM {si_signo=SIGTERM, si_code=SI_TKILL, si_pid=1, si_uid=0}
"""


def test_signals(make: Maker, tmp_path: Path, backend: Backend) -> None:
    """Each that the program takes, where it takes it, as strace shows those of the same program."""
    path = tmp_path / "bundle"
    guest = limpet.load(make.compile(SIGNALS, "signals"))
    options = limpet.Options(backends=(backend,), features=("trace",))
    limpet.build(limpet.plan(guest, options)).write(path)
    lines = [each for each in _traced(path, status=143).splitlines() if " -> " not in each]
    told = [match for each in lines if (match := re.fullmatch(r" +[\d.]+ --- (.*) ---", each))]
    assert [each[1] for each in told] == TOLD.splitlines()
    before = [lines[lines.index(each[0]) - 1] for each in told]
    assert all("rt_sigsuspend([], 8) = -1 EINTR" in each for each in before[3:5])
    as_json = [json.loads(each) for each in _traced("--json", path, status=143).splitlines()]
    first = next(each["signal"] for each in as_json if "signal" in each)
    assert first == {"si_signo": "SIGUSR1", "si_code": "SI_TKILL", "si_pid": 1, "si_uid": 0}


def test_times(bundles: Bundles, backend: Backend) -> None:
    """A program that waits takes the time that it waits, by the clock of the host."""
    found = [json.loads(each) for each in _traced("--json", bundles(backend)).splitlines()]
    assert [each["at"] for each in found] == sorted(each["at"] for each in found)
    (slept,) = (each for each in found if each["call"] == "nanosleep")
    (waited,) = (each for each in slept["hypercalls"] if each["fields"]["deadline"])
    took = waited["fields"]["monotonic"] - waited["fields"]["deadline"]
    assert 0 <= took < 30e9 and 3e-3 <= slept["seconds"] < 30
    assert slept["seconds"] >= waited["seconds"] > 0
    assert not slept["inside"]
    failed = next(each for each in found if each["arguments"][0] == '"/none/such"')
    assert (failed["result"], failed["error"], failed["inside"]) == (-2, "ENOENT", True)


def test_table(bundles: Bundles, tmp_path: Path) -> None:
    """How often each call was made, how many failed and how many stayed inside."""
    output = tmp_path / "table"
    assert not _traced("-c", "-o", output, bundles("process"))
    rows = [each.split() for each in output.read_text().splitlines()]
    by_name = {each[-1]: each[3:-1] for each in rows[2:]}
    assert by_name["open"][:2] == ["3", "2"]
    assert by_name["stat"] == ["1", "1"] and by_name["read"] == ["2", "1"]
    assert by_name["total"][0] == str(len(SAYS.splitlines()))


def test_a_bundle_by_itself(bundles: Bundles, backend: Backend, tmp_path: Path) -> None:
    """It tells where its first word says so, and runs as ever without it."""
    records, bundle = tmp_path / "records", bundles(backend)
    done = subprocess.run([bundle, f"--trace={records}", "count"], check=False, timeout=60)
    assert done.returncode == 2  # it does not see the word
    assert records.stat().st_mode & 0o777 == 0o600
    said = subprocess.run(_command("--read", records), capture_output=True, text=True, check=True)
    assert "exit_group(2) = ?" in said.stderr and "exited" not in said.stderr
    plain = subprocess.run([bundle, "count", "more"], check=False, timeout=60)
    assert plain.returncode == 3
    refused = subprocess.run(
        [bundle, f"--trace={tmp_path}/none/such"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 125
    assert refused.stderr == "limpet: the file of --trace cannot be opened for writing\n"


def test_what_waits_is_shown(bundles: Bundles) -> None:
    """A call that does not return is there meanwhile; a signal ends the guest as without."""
    argv = _command(bundles("process"))
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr
        while "read(0, 0x" not in (line := child.stderr.readline()):
            assert line
        assert line.endswith(" <unfinished ...>\n")
        child.send_signal(signal.SIGTERM)
        assert child.stderr.read().endswith("+++ exited with 143 +++\n")
        assert child.wait(30) == 143


def test_audit_sees_it(bundles: Bundles, backend: Backend, tmp_path: Path) -> None:
    """What it adds is read from the bytes, and a policy can refuse it."""
    said = audit(bundles(backend))
    assert not said.findings
    assert "trace" in {each.name for each in said.hypercalls}
    policy = tmp_path / "policy.toml"
    policy.write_text('hypercalls = ["exit", "console_*", "wait", "p*"]')
    assert "hypercall trace is not among hypercalls" in read_policy(policy).violations(said)


def test_nothing_of_it_without_the_feature(make: Maker, bundles: Bundles, tmp_path: Path) -> None:
    """A bundle has it or has nothing of it; explain, audit and a policy see it."""
    guest = limpet.load(make.compile(ASKS, "asks"))
    plain = limpet.plan(guest, limpet.Options(backends=("process",)))
    told = limpet.plan(guest, limpet.Options(backends=("process",), features=("trace",)))
    assert "trace" not in {each.name for each in plain.hypercalls}
    assert "trace" in {each.name for each in told.hypercalls}
    assert "the library OS tells of each call, into the file" in as_text(told)
    assert "the library OS tells of each call, into the file" not in as_text(plain)
    path = tmp_path / "plain"
    limpet.build(plain).write(path)
    with pytest.raises(BundleError, match="does not tell"):
        traced_bundle(path)
    assert not traced_bundle(tmp_path / "none")
    with pytest.raises(PlanError, match="a snapshot cannot be traced"):
        limpet.plan(guest, limpet.Options(backends=("kvm",), features=("trace",), snapshot=True))


# --- a guest that writes what it likes ---


def _record(
    number: int, *values: int, pieces: dict[int, bytes] | None = None, kind: int = TRACE_CALL
) -> bytes:
    rest = b""
    for argument, data in (pieces or {}).items():
        rest += struct.pack(TRACE_PIECE.format, argument, len(data)) + data
        rest += bytes(-len(rest) % 8)
    six = (*values, *[0] * 6)[:6]
    size = TRACE_RECORD.size + len(rest)
    return struct.pack(TRACE_RECORD.format, size, kind, 1, number, 0, 0, 0, *six) + rest


def _shown(data: bytes) -> list[str]:
    events = Events()
    found: list[str] = []
    for record in Reader().feed(data):
        for event in events.taken(record):
            found += [*show.lines(event, 128), show.as_json(event, 128)]
    for event in events.left():
        found += show.lines(event, 128)
    return found


def test_nothing_reaches_a_terminal_but_text() -> None:
    """Whatever bytes a path has, of them letters are seen."""
    path = bytes(range(1, 256)) + b"\0"
    (line, as_json) = _shown(_record(2, 1, pieces={0: path}))
    for each in (line, as_json):
        assert each.isascii() and each.isprintable()
    assert r"\x1b" in line and r"\x9b" in line


def test_names_of_signals() -> None:
    """As strace names them: in an argument, and in a mask."""
    for number, name in ((32, "SIGRTMIN"), (34, "SIGRT_2"), (64, "SIGRT_32")):
        assert f"kill(1, {name})" in _shown(_record(NUMBERS["kill"], 1, number))[0]
    call = _record(NUMBERS["rt_sigprocmask"], 0, 4096, 0, 8, pieces={1: b"\0\0\0\xc0\0\0\0\x80"})
    assert "[SYS RTMIN RT_32]" in _shown(call)[0]


VALUES = st.integers(0, (1 << 64) - 1) | st.integers(0, 300)
CALLS = st.builds(
    lambda number, values, pieces, kind: _record(number, *values, pieces=pieces, kind=kind),
    st.integers(-1, 460) | st.sampled_from([-(1 << 31), (1 << 31) - 1]),
    st.lists(VALUES, max_size=6),
    st.dictionaries(st.integers(0, 20), st.binary(max_size=160), max_size=3),
    st.sampled_from([TRACE_CALL, TRACE_SIGNAL]),
)


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.lists(CALLS, max_size=2), st.binary(max_size=120))
def test_any_record_is_shown(calls: list[bytes], more: bytes) -> None:
    """No record, however odd its numbers and pieces are, is more than text."""
    for line in _shown(b"".join(calls)):
        assert line.isascii() and line.isprintable()
    try:
        _shown(b"".join(calls) + more + bytes(200))
    except TraceError as error:
        assert "no record at byte" in str(error) or "unknown kind" in str(error)


@pytest.mark.parametrize("size", [0, 8, 87, 89, (1 << 16) + 8, 0xFFFFFFF8])
def test_sizes_that_no_record_has(size: int) -> None:
    """A size from the guest is not waited for, and nothing is kept for it."""
    with pytest.raises(TraceError, match="no record at byte 88"):
        list(Reader().feed(_record(39) + struct.pack("<I", size) + bytes(120)))


def test_records_come_in_pieces() -> None:
    """However they are cut on their way."""
    data = _record(39) + _record(2, 5, pieces={0: b"/x\0"})
    reader = Reader()
    found = [each for byte in data for each in reader.feed(bytes([byte]))]
    assert [each.number for each in found] == [39, 2] and not reader.rest


def test_a_damaged_file(tmp_path: Path) -> None:
    """One line says what is wrong with it."""
    path = tmp_path / "records"
    path.write_bytes(bytes(200))
    done = subprocess.run(_command("--read", path), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "limpet: the trace has no record at byte 0"


def test_the_clock_of_a_process_is_found_out(bundles: Bundles, tmp_path: Path) -> None:
    """Times are the host's: a run is no longer than what it took from outside."""
    before = time.monotonic()
    found = [json.loads(each) for each in _traced("--json", bundles("process")).splitlines()]
    assert found[-1]["at"] <= time.monotonic() - before
