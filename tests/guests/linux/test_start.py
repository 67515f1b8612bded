"""What a program finds at its start: arguments and environment, which are its own to write; and
what of the library OS a start touches."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import limpet
from limpet.building.bundle import build
from limpet.contract import Backend
from limpet.contract.pages import PAGE
from limpet.errors import PlanError
from limpet.guests.linux.layout import Layout
from limpet.running.snapshot import snapshot
from tests.support.bundles import BUSYBOX, Maker, need

WRITES = r"""
#include <stdio.h>
#include <string.h>
extern char **environ;
static void show(char **strings) {
    for (; *strings; strings++) {
        printf("%s ", *strings);
        for (char *at = *strings; *at; at++)
            *at ^= 1;
        printf("%s\n", *strings);
        memset(*strings, '!', strlen(*strings) + 1);
    }
}
int main(int argc, char **argv) {
    show(argv);
    show(environ);
    return 0;
}
"""


@pytest.mark.parametrize("passed", [(), ("PASSED",)], ids=["baked", "passed"])
def test_strings_can_be_written(make: Maker, backend: Backend, passed: tuple[str, ...]) -> None:
    """Every byte of every argument and environment string, the zero at its end included."""
    program = make.compile(WRITES, "writes")
    baked = ("A=b", "EMPTY=", "LONG=" + "x" * 5000)
    guest = make(program, backend, environment=(*baked, *passed))
    variables = dict(each.split("=") for each in baked) | dict.fromkeys(passed, "outside")
    argv = ["writes", "one", "", "two words"]
    ran = subprocess.run(
        argv, executable=guest.path, env={"PASSED": "outside"}, capture_output=True, check=False
    )
    native = subprocess.run(
        argv, executable=program, env=variables, capture_output=True, check=True
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == (native.stdout, b"", 0)


def test_awk_reads_its_environment(make: Maker, backend: Backend) -> None:
    """Busybox's awk cuts NAME=VALUE in two where it stands."""
    guest = make(need(BUSYBOX, "busybox-static"), backend, environment=("A=b",), name="busybox")
    ran = guest.run("awk", 'BEGIN{print ENVIRON["A"]}')
    assert (ran.stdout, ran.stderr, ran.status) == (b"b\n", b"", 0)


def test_environment_that_does_not_fit(make: Maker, backend: Backend) -> None:
    """A quarter of the stack is for baked strings: what is more is refused when planning."""
    guest = limpet.load(make.compile(WRITES, "writes"))
    memory = 1 << 20
    room = memory // 8 // 4
    fits = limpet.Options(
        backends=(backend,), memory=memory, environment=("A=" + "x" * (room - 11),)
    )
    limpet.plan(guest, fits)
    too_long = limpet.Options(
        backends=(backend,), memory=memory, environment=("A=" + "x" * (room - 10),)
    )
    with pytest.raises(PlanError, match=r"32769 bytes of --env do not fit into its stack"):
        limpet.plan(guest, too_long)


def test_as_much_as_fits(make: Maker, backend: Backend) -> None:
    """The longest baked environment beside the longest arguments."""
    memory = 1 << 20
    room = memory // 8 // 4
    program = make.compile(WRITES, "writes")
    guest = make(program, backend, memory=memory, environment=("A=" + "x" * (room - 11),))
    ran = guest.run("y" * (room - len(guest.name) - 2))
    assert (ran.stdout.count(b"\n"), ran.stderr, ran.status) == (3, b"", 0)


def test_too_many_arguments(make: Maker, backend: Backend) -> None:
    """Empty arguments take no bytes, but a pointer each: what does not fit is one clear line."""
    guest = make(make.compile(WRITES, "writes"), backend, memory=1 << 20)
    ran = guest.run(*[""] * 20000)
    assert ran.status == 125
    assert ran.stderr.decode() == (
        "limpet: writes has no room on its stack for its "
        "arguments and environment: pass fewer, or give more with --memory, "
        f"backend {backend}\n"
    )


ASKS = """
#include <stdio.h>
#include <time.h>
int main(void) {
    getchar();
    return printf("%ld\\n", (long)time(NULL)) < 2;
}
"""


def test_few_pages_of_the_library_os(make: Maker, backend: Backend) -> None:
    """What goes on writes three of its pages, two of them stacks, and runs through few of code."""
    options = limpet.Options(backends=(backend,), snapshot=True, memory=8 << 20)
    bundle = snapshot(limpet.plan(limpet.load(make.compile(ASKS, "asks")), options)).bundle
    memory, place = bundle.plan.guest.memory, bundle.plan.layout
    assert memory
    assert isinstance(place, Layout)
    own = [run for run in memory.hot if place.state <= run[0] < place.state_end]
    assert own[0][0] == place.state
    assert sum(high - low for low, high in own) <= 3 * PAGE
    runs = ("start_program", "snapshot_start", "clock_renew", "take_answer", "thread_switch")
    places = [bundle.symbols[each] for each in (*runs, "console_write", "program_exit")]
    assert max(places) - min(places) < 2 * PAGE


def test_what_it_reads_of_its_data(backend: Backend) -> None:
    """It lies in the page that the monitor writes, in a guest that has a good deal of data, too."""
    options = limpet.Options(backends=(backend,), snapshot=True)
    bundle = build(limpet.plan(limpet.load(need(BUSYBOX, "busybox-static")), options))
    assert isinstance(bundle.plan.layout, Layout)
    reads = ("current", "guest_snapshot", "console_ops", "first_table")
    pages = {bundle.symbols[each] // PAGE for each in reads}
    assert pages == {bundle.plan.layout.state // PAGE}


SHOWS = r"""
#include <stdio.h>
static void show(const char *path) {
    char text[4096];
    FILE *from = fopen(path, "r");
    fwrite(text, 1, fread(text, 1, sizeof text, from), stdout);
}
int main(void) {
    getchar();
    show("/proc/self/stat");
    show("/proc/self/cmdline");
    return 0;
}
"""
ARG_START = 47
"""Of the numbers in /proc/self/stat, from 0: proc(5)."""


def _moment(program: Path, path: Path) -> Layout:
    """What goes on in a process from there, written to ``path``, and where its memory is."""
    options = limpet.Options(backends=("process",), snapshot=True)
    bundle = snapshot(limpet.plan(limpet.load(program), options)).bundle
    bundle.write(path)
    assert isinstance(bundle.plan.layout, Layout)
    return bundle.plan.layout


def test_few_words_take_no_page(make: Maker, tmp_path: Path) -> None:
    """Of what goes on in a process: many lie in its stack, and the program finds the same."""
    place = _moment(make.compile(SHOWS, "shows"), path := tmp_path / "shows")
    low, high = place.beside_boot

    def starts_at(size: int) -> int:
        """Where its words are, which take so many bytes."""
        words = [str(path), "w" * (size - len(str(path)) - 2)]
        stat, _, shown = subprocess.check_output(words, stdin=subprocess.DEVNULL).partition(b"\n")
        assert shown.decode() == "".join(f"{word}\0" for word in words)
        return int(stat.split()[ARG_START])

    assert starts_at(high - low - 1) == low
    assert starts_at(high - low) == place.stack[1] - (high - low)


TRIES = r"""
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    unsigned long at;
    scanf("%lx", &at);
    long got = write(2, (void *)at, 1);
    printf("%ld\n", got < 0 ? -errno : got);
    return 0;
}
"""


def test_few_words_take_no_memory(make: Maker, tmp_path: Path) -> None:
    """Nothing is mapped in the stack for what lies elsewhere, but for many there is room."""
    place = _moment(make.compile(TRIES, "tries"), path := tmp_path / "tries")

    def told(at: int, *words: str) -> bytes:
        found = subprocess.run([path, *words], input=b"%x\n" % at, capture_output=True, check=True)
        return found.stdout

    low, most = place.words_low, place.stack[1] - place.words_low
    assert told(low) == told(place.stack[1] - 1) == b"-14\n"
    assert told(low - 1) == b"1\n"
    assert told(low, "w" * 1000) == told(low, *["w" * 100_000] * (most // 100_001)) == b"1\n"


STACK = r"""
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    unsigned long low = 0, high = 0, sum = 0;
    char line[256] = "";
    getchar();
    FILE *maps = fopen("/proc/self/maps", "r");
    while (!strstr(line, "[stack]") && fgets(line, sizeof line, maps))
        sscanf(line, "%lx-%lx", &low, &high);
    unsigned long inside[] = {(unsigned long)line, (unsigned long)argv, (unsigned long)argv[0]};
    for (int i = 0; i < 3; i++)
        printf("%d ", low <= inside[i] && inside[i] < high);
    for (const volatile char *at = (char *)low; at < (char *)high; at += 4096)
        sum += *at != 0;
    printf("%d\n", sum <= (high - low) / 4096);
    return 0;
}
"""


def test_all_of_the_stack_can_be_read(make: Maker, tmp_path: Path, backend: Backend) -> None:
    """Whatever words a start has: a program may look through what /proc says is its stack."""
    options = limpet.Options(backends=(backend,), snapshot=True)
    program = make.compile(STACK, "stack")
    bundle = snapshot(limpet.plan(limpet.load(program), options), ["w" * 1000]).bundle
    bundle.write(path := tmp_path / "stack")
    for words in ((), ("few",), ("w" * 100_000,)):
        ran = subprocess.run([path, *words], input=b"x", capture_output=True, env={}, check=False)
        assert (ran.returncode, ran.stdout) == (0, b"1 1 1 1\n"), ran.stderr
