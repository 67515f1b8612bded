"""The verdict on programs, held against what they do: asked for, refused, or never needed."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.guests.linux import unserved
from limpet.guests.linux.parts import served
from limpet.loading.verdict import Asked, Certainty
from limpet.planning.explain import as_data, as_text
from tests.support import programs
from tests.support.bundles import BACKENDS, BUSYBOX, Maker, need

CERTAIN, PROBABLE, CONCEIVABLE = Certainty

REFUSED = 3
"""How the programs below end when they are refused what they ask for."""


@dataclass(frozen=True)
class Asking:
    """A program that asks for one thing, and ends with :data:`REFUSED` when it does not get it."""

    source: str
    what: str
    certainty: Certainty
    arguments: tuple[str, ...] = ()


ASKING = {
    "fork": Asking(
        """
        #include <unistd.h>
        int main(void) { return fork() < 0 ? 3 : 0; }
        """,
        "starts other processes",
        CERTAIN,
    ),
    "popen": Asking(
        """
        #include <stdio.h>
        int main(int argc, char **argv) { return argc > 1 && !popen(argv[1], "r") ? 3 : 0; }
        """,
        "starts other processes",
        PROBABLE,
        ("true",),
    ),
    "socket": Asking(
        """
        #include <arpa/inet.h>
        #include <stdio.h>
        #include <sys/socket.h>
        __attribute__((noinline)) static int call(void) {
            struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
            inet_pton(AF_INET, "192.0.2.1", &to.sin_addr);
            return connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&to, sizeof to) < 0 ? 3 : 0;
        }
        int main(int argc, char **argv) {
            for (int i = 1; i < argc; i++)
                puts(argv[i]);
            return call();
        }
        """,
        "opens network sockets",
        PROBABLE,
    ),
    "fanotify": Asking(
        """
        #include <sys/fanotify.h>
        int main(void) { return fanotify_init(0, 0) < 0 ? 3 : 0; }
        """,
        "watches whole file systems",
        CERTAIN,
    ),
    "executable": Asking(
        """
        #include <sys/mman.h>
        int main(void) {
            return mmap(0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? 3 : 0;
        }
        """,
        "makes memory executable",
        CERTAIN,
    ),
}

TABLE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int hello(void) { return puts("hello") < 0; }
static int shell(void) { return system("true") ? 3 : 0; }
static const struct { const char *name; int (*run)(void); } commands[] = {
    {"hello", hello}, {"shell", shell}};
int main(int argc, char **argv) {
    for (int i = 0; argc > 1 && i < 2; i++)
        if (!strcmp(commands[i].name, argv[1]))
            return commands[i].run();
    return 1;
}
"""

DEAD = """
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
__attribute__((used, noinline)) static int unused(void) { return fork() + socket(2, 1, 0); }
int main(void) { return puts("hello") < 0; }
"""


def verdict(program: Path) -> tuple[Asked, ...]:
    """The verdict on a program."""
    found = limpet.plan(limpet.load(program)).verdict
    assert found is not None
    return found


def expected(found: tuple[Asked, ...]) -> dict[str, Certainty]:
    """What is worth a warning."""
    return {each.what: each.certainty for each in found if each.certainty is not CONCEIVABLE}


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
@pytest.mark.parametrize("name", ASKING)
def test_asking(make: Maker, name: str, compiler: str) -> None:
    """What a program asks for is named with its place, nothing else is, and it is refused."""
    asking = ASKING[name]
    flags = () if compiler == "zig" else ("-static",)
    program = make.compile(asking.source, name, *flags, compiler=compiler)
    found = verdict(program)
    assert expected(found) == {asking.what: asking.certainty}
    assert any("main" in why for why in found[0].evidence)
    assert make(program, BACKENDS[-1]).run(*asking.arguments).status == REFUSED


@pytest.mark.parametrize("name", ASKING)
def test_asking_without_symbols(make: Maker, name: str) -> None:
    """Without symbols the same is found, at least as probable."""
    asking = ASKING[name]
    program = make.compile(asking.source, name, "-static", "-s", compiler="gcc")
    found = expected(verdict(program))
    assert set(found) == {asking.what}
    assert asking.certainty is CERTAIN or found[asking.what] is asking.certainty


@pytest.mark.parametrize("flags", [(), ("-s",)], ids=["symbols", "stripped"])
def test_behind_a_table(make: Maker, flags: tuple[str, ...]) -> None:
    """What only a pointer leads to is conceivable: it may be needed or not."""
    program = make.compile(TABLE, "table", "-static", *flags, compiler="gcc")
    found = verdict(program)
    assert not expected(found)
    assert "starts other processes" in {each.what for each in found}
    made = make(program, BACKENDS[-1])
    assert made.run("hello").stdout == b"hello\n"
    assert made.run("shell").status == REFUSED


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_what_nothing_leads_to(make: Maker, compiler: str) -> None:
    """Code that is there and that nothing calls is not mentioned."""
    flags = () if compiler == "zig" else ("-static",)
    program = make.compile(DEAD, "dead", *flags, compiler=compiler)
    assert verdict(program) == ()
    text = as_text(limpet.plan(limpet.load(program)))
    assert text.splitlines()[0] == f"{program.name} asks for nothing that is not served"


SYSLOG = """
#include <syslog.h>
int main(void) { syslog(LOG_INFO, "hello"); return 0; }
"""


def test_sockets_inside(make: Maker) -> None:
    """Sockets of AF_UNIX are served: nothing is said of the C library's own."""
    found = verdict(make.compile(SYSLOG, "syslog", "-static", compiler="gcc"))
    assert "opens network sockets" not in {each.what for each in found}


def test_ways_out(make: Maker) -> None:
    """Sockets that lead somewhere are served as well."""
    guest = limpet.load(make.compile(ASKING["socket"].source, "socket"))
    made = limpet.plan(guest, limpet.Options(connect=("192.0.2.1:80",)))
    assert expected(made.verdict or ()) == {}


@pytest.mark.parametrize("name", ["busybox", "lua", "sqlite", "zstd", "quickjs", "python"])
def test_no_false_alarm(name: str) -> None:
    """Programs that run well, as other tests show, are not warned about."""
    assert limpet.plan(limpet.load(programs.get(name))).warnings == ()


@pytest.mark.parametrize("name", ["bash", "zsh", "mksh-klibc", "mksh-musl"])
def test_shells(name: str) -> None:
    """A shell starts other programs when it is told to: klibc hides the number from the site."""
    made = limpet.plan(limpet.load(programs.get(name)))
    assert expected(made.verdict or ()) == {"starts other processes": PROBABLE}
    (warning,) = made.warnings
    assert warning.startswith(f"{made.image.name} probably starts other processes (")
    assert "ENOSYS" in warning


def test_explain_opens_with_it() -> None:
    """The verdict comes first, with its evidence; as data it is the same."""
    made = limpet.plan(limpet.load(programs.get("bash")))
    first, second = as_text(made).splitlines()[:2]
    assert first.startswith("bash-static probably starts other processes (")
    assert second.startswith("  ")
    asked = as_data(made)["verdict"][0]
    assert asked["certainty"] == "probable"
    assert asked["evidence"]
    assert {"fork", "vfork", "clone", "clone3", "execve"} & set(asked["calls"])


def test_equal_lines_are_one() -> None:
    """Sites of which the same is said share a line; the data has each."""
    made = limpet.plan(limpet.load(need(Path("/sbin/ldconfig"), "libc-bin")))
    lines = as_text(made).splitlines()
    sites = lines[lines.index("system call sites") :]
    sites = sites[: sites.index("")]
    assert len(sites) < 12
    kinds = Counter(line.partition(" ")[2] for line in sites)
    assert max(kinds.values()) == 1
    unresolved = as_data(made)["sites"]["unresolved"]
    assert len(unresolved) > 10
    assert all(each["address"] for each in unresolved)


def test_wants_are_what_is_not_served() -> None:
    """The words' table names real calls, each once, and none that is served in full."""
    known = {call.name for call in served().values()}
    names = Counter(name for want in unserved.WANTS for name in want.calls)
    assert set(names) <= set(NUMBERS)
    assert set(names.values()) == {1}
    assert not known & set(names)
    assert set(NUMBERS) >= unserved.UNIMPORTANT
    assert not unserved.UNIMPORTANT & set(names)


def test_it_takes_little_time() -> None:
    """The verdict is a small part of a plan."""
    guest = limpet.load(need(BUSYBOX, "busybox-static"))
    started = time.process_time()
    limpet.plan(guest)
    assert time.process_time() - started < 2


SLOW = """
#include <sys/socket.h>
int main(void) {
    __asm__ volatile(".rept 400000\\n add %%ecx, %%edx\\n .endr" ::: "edx");
    return socket(AF_INET, SOCK_STREAM, 0);
}
"""


def test_a_program_made_to_be_slow(make: Maker) -> None:
    """A function of 400,000 instructions is not read to its end: effort has a bound."""
    guest = limpet.load(make.compile(SLOW, "slow", "-static", compiler="gcc"))
    started = time.process_time()
    assert limpet.plan(guest).warnings == ()
    assert time.process_time() - started < 3


def test_known_before_the_plan(make: Maker) -> None:
    """It is found while the program is read; a plan that has to find it finds the same.

    What it was found by takes memory, and no plan keeps that.
    """
    asking = next(iter(ASKING.values()))
    guest = limpet.load(make.compile(asking.source, "known"))
    assert guest.judged and guest.judged.asked
    plans = [limpet.plan(each) for each in (guest, replace(guest, judged=None))]
    assert plans[0].verdict == plans[1].verdict == guest.judged.asked
    assert [each.guest.judged for each in plans] == [None, None]
    assert plans[0].digest() == plans[1].digest()
