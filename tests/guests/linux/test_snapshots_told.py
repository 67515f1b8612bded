"""A program that is told before its moment comes, and comes to it by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.errors import RunError
from limpet.running.snapshot import snapshot
from tests.support.bundles import Maker, execute

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
    if (words[1][0] == 'b') {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        look(NULL);
    }
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


def test_never_comes(program: Path) -> None:
    """Who asks for a signal and blocks it has no moment, and that is said."""
    options = limpet.Options(backends=("process",), snapshot=True)
    with pytest.raises(RunError, match="waits for the moment that it wants to come to by itself"):
        snapshot(limpet.plan(limpet.load(program), options), ["blocked"])
