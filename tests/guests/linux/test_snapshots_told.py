"""A program that is told before its moment comes; and what need not be told: to seed anew."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.errors import RunError
from limpet.running.snapshot import snapshot
from tests.support.bundles import Maker, execute
from tests.support.shared import compiler

PROGRAM = """
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static long put(const char *file, const char *text) {
    int fd = open(file, O_WRONLY);
    long wrote = write(fd, text, strlen(text));
    long error = wrote < 0 ? errno : 0;
    close(fd);
    return error;
}

static int before, after;

static void come(int number) {
    before = number;
    put("/dev/limpet/snapshot", "x");
    usleep(100000);
    after++;
    put("/dev/limpet/snapshot", "x");
}

static void took(int number) {
    before = number;
}

static void *look(void *end) {
    char line[8] = "";
    struct pollfd input = {0, POLLIN, 0};
    int ready = end ? poll(&input, 1, -1) : 1;
    long size = read(0, line, sizeof line);
    printf("%d %ld %.2s %d %d\\n", ready, size, line, before, after);
    return NULL;
}

int main(int count, char **words) {
    const char *wrong[] = {"0", "65", "100", "x", "6 ", "", "-1", "4294967360"};
    pthread_t other;
    for (int i = 0; i < 8; i++)
        printf("%ld ", put("/dev/limpet/signal", wrong[i]));
    signal(64, come);
    printf("%ld\\n", put("/dev/limpet/signal", "64\\n"));
    fflush(stdout);
    sigset_t all;
    sigfillset(&all);
    if (words[1][0] == 'b')
        sigprocmask(SIG_BLOCK, &all, NULL);
    if (words[1][0] == 'i' || words[1][0] == 'd')
        signal(64, words[1][0] == 'i' ? SIG_IGN : SIG_DFL);
    if (words[1][0] == 't')
        signal(64, took);
    if (words[1][0] != 'p' && words[1][0] != 'r')
        look(words);
    pthread_create(&other, NULL, look, words[1][0] == 'p' ? words : NULL);
    pthread_join(other, NULL);
    return after;
}
"""


@pytest.fixture
def program(make: Maker) -> Path:
    """It looks for its input in a thread of its own, with ``poll``, or blocks all signals."""
    return make.compile(PROGRAM, "told", "-lpthread")


@pytest.mark.parametrize("how", ["poll", "read"])
def test_told(program: Path, how: str, backend: Backend, tmp_path: Path) -> None:
    """No other thread finds input before the handler has done all that it wants to, once."""
    options = limpet.Options(backends=(backend,), snapshot=True)
    found = snapshot(limpet.plan(limpet.load(program), options), [how])
    assert found.stdout.split() == [b"22"] * 8 + [b"0"]
    assert found.why == "input"
    found.bundle.write(tmp_path / "again")
    for _ in range(2):
        ran = execute(["again"], tmp_path / "again", b"hi")
        assert (ran.status, ran.stdout) == (1, b"1 2 hi 64 1\n")


@pytest.mark.parametrize("how", ["blocked", "ignored", "default", "taken"])
def test_never_comes(program: Path, how: str) -> None:
    """Who asks for a signal and does not hear it has no moment, and that is said."""
    options = limpet.Options(backends=("process",), snapshot=True)
    said = "waits for its moment, to which no handler" if how == "taken" else "blocks or ignores"
    with pytest.raises(RunError, match=said):
        snapshot(limpet.plan(limpet.load(program), options), [how])


SEEDED = """
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
int RAND_bytes(unsigned char *to, int size);
int main(void) {
    unsigned char bytes[8];
    void *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("%d", madvise(page, 4096, MADV_WIPEONFORK));
    for (int i = 0; i < 2; i++) {
        RAND_bytes(bytes, sizeof bytes);
        printf(" %ld ", (long)time(NULL));
        for (int j = 0; j < 8; j++)
            printf("%02x", bytes[j]);
        fflush(stdout);
        getchar();
    }
    return 0;
}
"""


def test_random_numbers_of_a_library(tmp_path: Path) -> None:
    """OpenSSL's are others in each start, though a copy looks like what it is of."""
    program, library = tmp_path / "seeded", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3"
    argv = [compiler("glibc"), "-x", "c", "-", "-o", str(program), "-x", "none", library]
    subprocess.run(argv, input=SEEDED.encode(), check=True)
    options = limpet.Options(backends=("process",), snapshot=True)
    found = snapshot(limpet.plan(limpet.load(program), options))
    wipes, before, first = found.stdout.split()
    assert wipes == b"-1"
    found.bundle.write(tmp_path / "again")
    later = [execute(["again"], tmp_path / "again", b"\n").stdout.split() for _ in range(2)]
    assert len({first, later[0][1], later[1][1]}) == 3
    assert int(before) + 80000 < time.time() < int(later[0][0]) + 60
